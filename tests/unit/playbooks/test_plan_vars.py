# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What site.yml hands to the roles are variables that they document, and what the sample inventory shows is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._inputs import read_facts, request_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._variables import (
    INTERNAL,
    REQUEST,
    VARIABLES,
    unknown_names,
)
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


def shown() -> dict[str, Any]:
    """Variables of the sample, also those that are comments."""
    lines = re.findall(r"^(?:# )?(trtllm_[a-z_]+: .+)$", SAMPLE, re.MULTILINE)
    variables: dict[str, Any] = yaml.safe_load("\n".join(lines))
    assert len(variables) == len(lines)
    return variables


def read_by(*globs: str) -> set[str]:
    """Names in the files, apart from those of plugins and roles."""
    text = "".join(path.read_text() for pattern in globs for path in PROJECT.glob(pattern))
    return set(re.findall(r"(?<!trtllm\.)\btrtllm_[a-z_]+", text)) - {path.name for path in PROJECT.glob("roles/*")}


def test_the_variables_are_those_that_are_read() -> None:
    read = read_by("playbooks/**/*.yml") - role_options()
    assert read | {f"trtllm_{name}" for name in REQUEST} == VARIABLES.keys() | INTERNAL


def test_roles_read_their_own_options_only() -> None:
    """The tasks of other roles name variables of the playbooks in messages only."""
    assert read_by("roles/*/tasks/*.yml", "roles/*/defaults/*.yml") - role_options() <= VARIABLES.keys() | INTERNAL


def test_the_sample_inventory_shows_every_variable_and_no_other() -> None:
    assert set(shown()) == set(VARIABLES)


@pytest.mark.parametrize(
    "path",
    [
        str(path.relative_to(PROJECT))
        for glob in ("inventories", "molecule/*/vars")
        for path in PROJECT.glob(f"{glob}/**/*.yml")
    ],
)
def test_no_inventory_has_an_unknown_variable(path: str) -> None:
    names = re.findall(r"^ *(trtllm_[a-z_]+):", (PROJECT / path).read_text(), re.MULTILINE)
    assert unknown_names(names) == []


def test_what_the_sample_inventory_shows_as_a_default_is_one() -> None:
    model = {"model": shown()["trtllm_model"]}
    examples = (
        *("parallelism", "sources", "tokenizer", "repository_parameters", "repository_overrides"),
        "preflight_gpus",
    )
    everything = {name: value for name, value in request_of(shown()).items() if name not in examples}
    assert plan_for(**everything) == accepted(**model)


def test_what_the_sample_inventory_shows_as_an_example_can_be_used() -> None:
    accepted(**request_of(shown()))
    facts = read_facts({"hosts": ["one"], "host_facts": None, "host_shape": shown()["trtllm_host_shape"]}, CATALOGUE)
    assert len(facts["one"]["gpus"]) == 8
