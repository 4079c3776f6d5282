# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of tasks whose name is a template. Neither Ansible's check of the syntax nor ansible-lint reads these names."""

from __future__ import annotations

from ansible.parsing.splitter import parse_kv
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import tasks_of

NAMES = ("ansible.builtin.include_tasks", "ansible.builtin.import_tasks")


def test_ansible_reads_the_name_of_a_file_and_no_option() -> None:
    """What stands before an equals sign is an option, unless the file has a key of its own."""
    files = [*PROJECT.glob("roles/*/tasks/*.yml"), *PROJECT.glob("playbooks/tasks/*.yml")]
    included = [(file, task[name]) for file in files for task in tasks_of(file) for name in NAMES if name in task]
    names = [(file, name) for file, name in included if isinstance(name, str)]
    assert len(names) > 50
    assert [(file, name) for file, name in names if set(parse_kv(name)) != {"_raw_params"}] == []
