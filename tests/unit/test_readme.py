# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plans that README shows are those that the planner makes. `python tests/unit/test_readme.py` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._deployments import deployments_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._fleet import Host, plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._plan_table import plan_table

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
SHOWN = re.compile(r"(<!-- planned: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def hosts(name: str) -> dict[str, dict[str, Any]]:
    """The variables of the hosts that README's command plans for."""
    if name == "llmapi":
        return {"localhost": {"trtllm_model": "mixtral-8x7b-instruct", "trtllm_profile": "llmapi"}}
    inventory = yaml.safe_load((PROJECT / "inventories/sample/tutorial.yml").read_text())
    found: dict[str, dict[str, Any]] = inventory["trtllm"]["hosts"]
    return found


def planned(name: str) -> str:
    catalogue = load_catalogue()
    facts = facts_of_shape(catalogue.shapes["BM.GPU4.8"])
    planned_for = {host: Host(deployments_of(variables), facts) for host, variables in hosts(name).items()}
    return f"```text\n{plan_table(plan_fleet(planned_for, catalogue)['hosts'])}\n```\n"


@pytest.mark.parametrize("name", ["tutorial", "llmapi"])
def test_readme_shows_the_plan_as_it_is(name: str) -> None:
    assert {found[1]: found[2] for found in SHOWN.findall(README.read_text())}[name] == planned(name)


if __name__ == "__main__":
    README.write_text(SHOWN.sub(lambda match: match[1] + planned(match[2]) + match[4], README.read_text()))
