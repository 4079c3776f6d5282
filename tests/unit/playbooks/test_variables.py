# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every playbook refuses unknown trtllm_ variables, wherever they are set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT, Run

# In check mode if they could change anything, because they run on this machine.
HERE = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}


def here(folder: Path, playbook: str, *options: str, **variables: Any) -> Run:
    inventory = ("-i", "localhost,", "--check")
    hosts = dict.fromkeys(("trtllm_hosts", "trtllm_gateway_hosts"), "localhost")
    return Run(folder, *inventory, *options, playbook=playbook, **hosts, **HERE, **variables)


def test_the_plan_refuses_it_with_other_problems_and_only_for_its_host(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.json"
    hosts = {"a": {"trtllm_tokenfile": "x"}, "b": {}}
    inventory.write_text(json.dumps({"trtllm": {"hosts": hosts, "vars": {"trtllm_model": "mixtral-8x7b"}}}))
    variables = {"trtllm_host_shape": "BM.GPU4.8", "trtllm_limit": {"max_batch_size": 64}, "trtllm_waive": ["gpu"]}
    run = Run(tmp_path, "-i", str(inventory), **variables)
    assert run.rc != 0
    refused = {host: [entry["variable"] for entry in plan["refusals"]] for host, plan in run.hosts.items()}
    common = ["trtllm_limit", "trtllm_waive"]
    assert refused == {"a": ["trtllm_limit", "trtllm_tokenfile", "trtllm_waive"], "b": common}
    assert "trtllm_limit: is not a variable of this collection (did you mean trtllm_limits?)" in run.said
    assert not any(entry["waive"] for plan in run.hosts.values() for entry in plan["refusals"])


@pytest.mark.long
def test_preflight_reports_it_with_other_findings(tmp_path: Path) -> None:
    """Such as a wrong proxy, which no role fails for earlier."""
    report = tmp_path / "report.json"
    wrong = {"trtllm_realease": "0.19.0", "trtllm_proxy": {"htp": "http://x"}, "trtllm_storage": {"drivs": ["x"]}}
    run = here(tmp_path, "preflight", trtllm_model="mixtral-8x7", trtllm_preflight_report=str(report), **wrong)
    said = " ".join(run.said.split())
    assert run.rc != 0 and "Unsupported" not in said
    for variable in ("trtllm_realease", "trtllm_storage.drivs", "trtllm_proxy.htp", "trtllm_model"):
        assert f"Remedy: change {variable}" in said, run.said


@pytest.mark.parametrize("playbook", ["verify", "rollback", "teardown", "prune", "status", "rehearse", "keys"])
def test_playbooks_without_a_plan_refuse_it_first(tmp_path: Path, playbook: str) -> None:
    run = here(tmp_path, playbook, "-v", trtllm_kep=["weights"])
    assert run.rc != 0 and "- trtllm_kep: is not a variable of this collection (did you mean trtllm_keep?)" in run.said
    assert run.said.count("\nTASK [") == 1, run.said


def test_every_playbook_checks_variables() -> None:
    """With one of the tasks for it, in its own plays or in those of an imported playbook."""
    checks = (
        *("trtllm_plan:", "tritonops.trtllm.deployment\n", "check_variables.yml", "find_deployments.yml"),
        *("import_playbook: plan.yml\n", "tasks/teardown.yml\n"),
    )
    for path in PROJECT.glob("playbooks/*.yml"):
        assert any(check in path.read_text() for check in checks), path.name
