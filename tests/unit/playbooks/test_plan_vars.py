# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What site.yml hands to the roles are variables that they document, and what the sample inventory shows is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._inputs import read_facts, request_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import VARIABLES
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, accepted, plan_for

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


SAMPLE = (PROJECT / "inventories/sample/group_vars/trtllm.yml").read_text()
# What plays keep between tasks, and names of modules.
OWN = re.compile(r"trtllm_(plan|planned|fleet_plan|host_info|request|backend|checkpoint)$")


def shown() -> dict[str, Any]:
    """Variables of the sample, also those that are comments."""
    lines = re.findall(r"^(?:# )?(trtllm_[a-z_]+: .+)$", SAMPLE, re.MULTILINE)
    variables: dict[str, Any] = yaml.safe_load("\n".join(lines))
    assert len(variables) == len(lines)
    return variables


def test_the_sample_inventory_shows_every_variable_of_the_playbooks_and_no_other() -> None:
    text = "".join(path.read_text() for path in [*PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("vars/*.yml")])
    names = {name for name in re.findall(r"\btrtllm_[a-z_]+", text) if not OWN.match(name)} - role_options()
    assert names | {f"trtllm_{name}" for name in VARIABLES} == set(shown())


def test_what_the_sample_inventory_shows_as_a_default_is_one() -> None:
    model = {"model": shown()["trtllm_model"]}
    examples = ("parallelism", "sources", "tokenizer", "repository_parameters", "repository_overrides")
    everything = {name: value for name, value in request_of(shown()).items() if name not in examples}
    assert plan_for(**everything) == accepted(**model)


def test_what_the_sample_inventory_shows_as_an_example_can_be_used() -> None:
    accepted(**request_of(shown()))
    facts = read_facts({"hosts": ["one"], "host_facts": None, "host_shape": shown()["trtllm_host_shape"]}, CATALOGUE)
    assert len(facts["one"]["gpus"]) == 8


def test_the_request_has_every_variable_with_the_planners_default() -> None:
    given = yaml.safe_load((PLAYBOOKS / "vars/defaults.yml").read_text())["trtllm_request"]
    assert set(given) == set(VARIABLES)
    with_default = re.compile(r"\{\{ (\w+) \| default\((.*)\) \}\}")
    matches = {name: with_default.fullmatch(template) for name, template in given.items()}
    assert all(match and match[1] == f"trtllm_{name}" for name, match in matches.items())
    values = {name: yaml.safe_load(match[2]) for name, match in matches.items() if match and name != "model"}
    assert plan_for(**values) == accepted()
