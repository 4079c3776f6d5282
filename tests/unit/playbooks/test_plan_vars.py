# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What site.yml hands to the roles are variables that they document, and what the sample inventory shows is read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[3]
PLAYBOOKS = PROJECT / "playbooks"


def role_options() -> set[str]:
    options: set[str] = set()
    for spec in PROJECT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(spec.read_text())["argument_specs"].values():
            options |= set(entry.get("options", {}))
    return options


def test_every_variable_that_is_handed_over_is_documented_by_its_role() -> None:
    handed = set(yaml.safe_load((PLAYBOOKS / "vars/plan.yml").read_text())) - {"trtllm_plan"}
    assert handed - role_options() == set()


def test_the_sample_inventory_shows_every_variable_of_the_playbooks_and_no_other() -> None:
    text = "".join(path.read_text() for path in [*PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("vars/*.yml")])
    names = set(re.findall(r"\btrtllm_[a-z_]+", text)) - role_options()
    own = re.compile(r"trtllm_(plan|planned|request|gpu_info|record|release_record|backend|teardown_.*)$")
    read = {name for name in names if not own.match(name)}
    sample = (PROJECT / "inventories/sample/group_vars/trtllm.yml").read_text()
    shown = set(re.findall(r"^(?:# )?(trtllm_[a-z_]+):", sample, re.MULTILINE))
    assert read == shown
