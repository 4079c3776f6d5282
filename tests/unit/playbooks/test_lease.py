# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that change hosts do so with the lease of the host. The others neither need it nor have to wait."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES

ROLE = ROLES / "deployment/tasks"
PLAYBOOKS = {file.stem: file for file in (PROJECT / "playbooks").glob("*.yml")}
# Before the lease is acquired, these change nothing but the Python that the module needs.
HARMLESS = ("Check the variables", "Find a Python that Ansible can use", "Skip hosts without Python")


def block_of(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [task for task in tasks if "always" in task and "acquire_lease.yml" in str(task["block"])]
    return found


def play_of(name: str) -> dict[str, Any]:
    (play,) = yaml.safe_load(PLAYBOOKS[name].read_text())
    return dict(play)


CHANGING = [
    pytest.param(yaml.safe_load((ROLE / "main.yml").read_text()), id="deployment"),
    pytest.param(play_of("rollback")["tasks"], id="rollback"),
    pytest.param(play_of("teardown")["tasks"], id="teardown"),
]


@pytest.mark.parametrize("tasks", CHANGING)
def test_the_lease_is_acquired_first_and_always_released(tasks: list[dict[str, Any]]) -> None:
    block = block_of(tasks)
    order = [task["name"] for task in [*tasks[: tasks.index(block)], *block["block"]]]
    assert all(name.startswith(HARMLESS) for name in order[: order.index("Acquire the lease of the host")])
    assert block["always"][-1]["ansible.builtin.import_tasks"].endswith("release_lease.yml")
    assert "__deployment_lease.environment | default({})" in block["environment"]


@pytest.mark.parametrize("tasks", CHANGING)
def test_tasks_after_the_release_need_no_lease(tasks: list[dict[str, Any]]) -> None:
    after = [task["name"] for task in tasks[tasks.index(block_of(tasks)) + 1 :]]
    # No module can run without Python, and so none can release the lease.
    assert after in ([], ["Remove the Python that was installed for Ansible"])


@pytest.mark.parametrize("name", ["site", "rollback", "teardown"])
def test_hosts_are_locked_in_one_order(name: str) -> None:
    assert play_of(name)["order"] == "sorted"


def test_hosts_are_locked_one_by_one_only_if_the_run_may_wait() -> None:
    (acquire,) = yaml.safe_load((ROLE / "acquire_lease.yml").read_text())
    assert acquire["throttle"] == "{{ 1 if trtllm_lease_wait | default(0) | int > 0 else 0 }}"


def test_what_only_reads_does_not_use_the_lease() -> None:
    files = [*PLAYBOOKS.values(), *PROJECT.glob("playbooks/tasks/*.yml"), *ROLES.glob("*/tasks/*.yml")]
    using = {str(file.relative_to(PROJECT)) for file in files if "acquire_lease.yml" in file.read_text()}
    own = {f"roles/deployment/tasks/{name}.yml" for name in ("main", "release_lease")}
    assert using == {"playbooks/rollback.yml", "playbooks/teardown.yml", *own}
