# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README shows current plans for its commands, and its names and links exist.

`python tests/unit/test_readme.py` updates the plans.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import Host, plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import deployments_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import plan_table

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
TEXT = README.read_text()
# A block with a command, and the plan that it prints.
PLANNED = re.compile(r"(```shell\n([^`]+)```\n\n<!-- planned: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
YAML = [dedent(block) for block in re.findall(r"```yaml\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)]
VARIABLES = [block for block in YAML if block.startswith("trtllm_")]
CATALOGUE = load_catalogue()


def options_of(command: str) -> tuple[str, dict[str, Any]]:
    """The inventory and the extra variables of a command that runs the playbook plan."""
    program, playbook, *options = shlex.split(command.replace("\\\n", " "))
    assert (program, playbook) == ("ansible-playbook", "tritonops.trtllm.plan")
    given = list(zip(options[::2], options[1::2]))
    assert {option for option, _value in given} <= {"-i", "-e"}
    inventory = "".join(value for option, value in given if option == "-i")
    return inventory, dict(value.split("=", 1) for option, value in given if option == "-e")


def plans_of(hosts: dict[str, dict[str, Any]], shape: str) -> dict[str, Any]:
    facts = facts_of_shape(CATALOGUE.shapes[shape])
    planned: dict[str, Any] = plan_fleet(
        {
            host: Host(deployments_of(variables), facts, storage=variables.get("trtllm_storage"))
            for host, variables in hosts.items()
        },
        CATALOGUE,
    )["hosts"]
    return planned


def planned(command: str) -> str:
    inventory, extra = options_of(command)
    shape = extra.pop("trtllm_host_shape")
    hosts = yaml.safe_load((PROJECT / inventory).read_text())["trtllm"]["hosts"] if inventory else {"localhost": {}}
    plans = plans_of({host: {**variables, **extra} for host, variables in hosts.items()}, shape)
    return f"```text\n{plan_table(plans)}\n```\n"


@pytest.mark.parametrize(("command", "shown"), [pytest.param(p[1], p[3], id=p[2]) for p in PLANNED.findall(TEXT)])
def test_a_plan_matches_its_command(command: str, shown: str) -> None:
    assert shown == planned(command), "run `make docs`"


def test_every_plan_has_a_command() -> None:
    assert TEXT.count("<!-- planned: ") == len(PLANNED.findall(TEXT)) > 0


@pytest.mark.parametrize("profile", CATALOGUE.upstream["profiles"])
def test_the_table_of_profiles_is_that_of_the_catalogue(profile: str) -> None:
    known = CATALOGUE.upstream["profiles"][profile]
    versions = [name for name, entry in CATALOGUE.versions(profile).items() if profile in entry["profiles"]]
    row = f"| `{profile}` | {known['state']} | {versions[0]} to {versions[-1]} | {known['summary']} | "
    assert row in TEXT


def test_explained_words_are_in_the_plan() -> None:
    _before, _command, _name, shown, _end = PLANNED.findall(TEXT)[0]
    explained = re.findall(r"^- `([^`]+)`", TEXT.split("<!-- end -->")[1], re.MULTILINE)
    assert len(explained) > 3
    assert [word for word in explained if word not in shown] == []


def test_the_examples_with_variables_are_found() -> None:
    assert len(VARIABLES) == 2


@pytest.mark.parametrize("variables", VARIABLES)
def test_the_examples_with_variables_can_be_planned(variables: str) -> None:
    plans = plans_of({"gpu-1": yaml.safe_load(variables)}, "BM.GPU.H100.8")
    assert plans["gpu-1"]["refusals"] == []


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("playbook", [path.stem for path in PROJECT.glob("playbooks/*.yml")]),
        ("role", [path.name for path in PROJECT.glob("roles/*")]),
        ("module", [path.stem for path in PROJECT.glob("plugins/modules/*.py")]),
    ],
)
def test_tables_list_every_playbook_role_and_module(what: str, names: list[str]) -> None:
    cells = "\n".join(re.findall(r"^\| ([^|]+) \|", TEXT, re.MULTILINE))
    assert {name for name in names if not re.search(rf"[`\[]{name}[`\]]", cells)} == set(), what


if __name__ == "__main__":
    README.write_text(PLANNED.sub(lambda found: found[1] + planned(found[2]) + found[5], TEXT))
