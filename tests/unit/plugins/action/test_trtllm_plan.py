# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action by Ansible itself: what it templates reaches the planner in types of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.action.trtllm_plan import refusal_message
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host

GOOD = {"model": "smollm2-135m-instruct", "release": "0.17.0"}


def run(request: dict[str, Any], facts: dict[str, Any], **variables: Any) -> tuple[dict[str, Any], str]:
    """The result on a host with these variables, and everything that was said."""
    command = [
        str(Path(sys.executable).with_name("ansible")),
        *("localhost", "-m", "tritonops.trtllm.trtllm_plan"),
        *("-a", json.dumps({"request": "{{ wanted }}", "host_facts": "{{ known }}"})),
        *("-e", json.dumps({"wanted": request, "known": facts, **variables})),
        *("-i", "localhost,"),
    ]
    environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    return json.loads(done.stdout[done.stdout.index("=> {") + 3 :]), done.stdout + done.stderr


def test_a_plan_comes_back_with_its_warnings_and_facts() -> None:
    result, said = run(GOOD, host())
    assert result["plan"]["parallelism"]["world_size"] == 1
    assert len(result["host_facts"]["gpus"]) == 8
    assert result["changed"] is False
    assert "[WARNING]: trtllm_streaming makes" in said


def test_what_is_not_in_the_request_is_said_by_the_hosts_variables() -> None:
    variables = {"trtllm_model": "{{ small }}", "trtllm_precision": "float32", "small": GOOD["model"]}
    result, _said = run({"release": "0.17.0", "precision": "bfloat16"}, host(), **variables)
    assert result["plan"]["model"]["name"] == GOOD["model"]
    assert (result["plan"]["release"], result["plan"]["precision"]) == ("0.17.0", "bfloat16")


def test_an_unknown_variable_is_refused_with_everything_else() -> None:
    result, _said = run(GOOD, host(), trtllm_limit={}, trtllm_precision="int3", trtllm_proxy={"htp": "x"})
    refused = [entry["variable"] for entry in result["plan"]["refusals"]]
    assert refused == ["trtllm_limit", "trtllm_proxy.htp", "trtllm_precision"]
    assert list(result["plan"]) == ["preflight", "refusals", "warnings"]


def test_all_refusals_make_one_message() -> None:
    result, said = run({**GOOD, "model": "nothing", "precision": "int3"}, {})
    assert "FAILED!" in said
    assert result["msg"].startswith("This cannot work, for 2 reasons. Nothing was changed.")
    assert "- trtllm_model = 'nothing': " in result["msg"]
    assert "- trtllm_precision = 'int3': " in result["msg"]


def test_a_variable_of_earlier_versions_is_refused() -> None:
    result, _said = run(GOOD, host(), trtllm_preflight_waive=["clock"])
    assert "- trtllm_preflight_waive: is called trtllm_waive now: move its value there" in result["msg"]
    assert result["plan"]["needs"]["hub"]["repository"]


def test_one_reason_is_one() -> None:
    refusal = {"variable": "trtllm_root", "value": None, "message": "is missing", "waive": "disk_space"}
    assert refusal_message([refusal]).splitlines() == [
        "This cannot work, for one reason. Nothing was changed.",
        "- trtllm_root: is missing (or accept it: trtllm_waive: [disk_space])",
    ]
