# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Needs are options of the module and the role, and remedies refer to them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tritonops.trtllm.plugins.doc_fragments.preflight_needs import ModuleDocFragment
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _needs
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import (
    VARIABLES,
    Gpus,
    Hub,
    Needs,
    Port,
    named,
    options_of,
    read,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT

ROLE = PROJECT / "roles/preflight/meta/argument_specs.yml"


def without_words(options: dict[str, Any], nested: str = "options") -> dict[str, Any]:
    """Options without their descriptions, with the key for suboptions as in a module's code."""
    found = {}
    for name, spec in options.items():
        found[name] = {key: value for key, value in spec.items() if key not in ("description", nested)}
        if nested in spec:
            found[name]["options"] = without_words(spec[nested], nested)
    return found


def test_the_role_and_the_module_have_the_same_needs() -> None:
    described = yaml.safe_load(ROLE.read_text())["argument_specs"]["main"]["options"]["preflight_needs"]["options"]
    assert without_words(described) == options_of(Needs)
    documented = json.loads(ModuleDocFragment.DOCUMENTATION)["options"]["needs"]["suboptions"]
    assert without_words(documented, "suboptions") == options_of(Needs)
    count = documented["gpus"]["suboptions"]["count"]
    assert count["description"] == described["gpus"]["options"]["count"]["description"]


def validated(given: dict[str, Any]) -> Needs:
    result = ArgumentSpecValidator(options_of(Needs)).validate(given)
    assert result.error_messages == []
    return read(Needs, result.validated_parameters)


def test_missing_needs_have_defaults() -> None:
    assert validated({}) == Needs()
    needs = validated({"ports": [{"port": "8000"}], "gpus": {}, "hub": {"repository": "a/b", "revision": "main"}})
    assert needs.ports == [Port(8000)] and needs.gpus == Gpus()
    assert needs.hub == Hub("a/b", "main", files=["config.json"])
    assert asdict(needs)["ports"] == [{"port": 8000, "address": "127.0.0.1", "what": ""}]


REFERENCE = re.compile(r"O\(([^)]*)\)")
CHECKS = Path(_needs.__file__).parent


def references() -> set[str]:
    """The references in remedies of the checks."""
    return {name for path in CHECKS.glob("_*.py") for name in REFERENCE.findall(path.read_text())}


def test_remedies_name_options_that_exist() -> None:
    assert {"ports", "shm", "hub.token_file", "ca_bundle"} <= references()
    for name in references() - {"ca_bundle"}:
        options = options_of(Needs)
        for part in name.split("."):
            assert part in options, name
            options = options[part].get("options", {})
        assert name in VARIABLES, f"no variable sets {name}"


@pytest.mark.parametrize(
    ("planned", "text"),
    [(False, "in needs.hub.token_file or ca_bundle"), (True, "in trtllm_token_file or trtllm_ca_bundle")],
)
def test_references_are_replaced_depending_on_the_source_of_needs(planned: bool, text: str) -> None:
    assert named("in O(hub.token_file) or O(ca_bundle)", planned) == text


def test_an_unknown_reference_is_an_error() -> None:
    with pytest.raises(KeyError):
        named("reduce O(shm.bytes)", planned=True)


def test_the_variables_exist_in_the_inventory() -> None:
    sample = (PROJECT / "inventories/sample/group_vars/trtllm.yml").read_text()
    roles = "".join(path.read_text() for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))
    for text in VARIABLES.values():
        for variable in re.findall(r"[a-z]+_[a-z_]+", text):
            assert f"{variable}:" in sample or f"{variable}:" in roles, variable
