# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that explain logs get the catalogue's patterns, which are not shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_log_patterns
from ansible_collections.tritonops.trtllm.tests.unit.support.action_plugins import action_of
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import RECORDED, TritonStub

MODULES = Path(__file__).parents[5] / "plugins" / "modules"
EXPLAINING = sorted(path.stem for path in MODULES.glob("*.py") if "tritonops.trtllm.log_patterns" in path.read_text())


def passed_to(module: str, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    monkeypatch.setattr(NormalAction, "run", lambda self, _tmp, _vars: self._task.args)
    task = SimpleNamespace(args=arguments, check_mode=True)
    unused = SimpleNamespace()
    return action_of(module)(task, unused, unused, unused, unused, unused).run()


def test_the_modules_are_found() -> None:
    assert {"triton_health", "trtllm_engine"} <= set(EXPLAINING)


@pytest.mark.parametrize("module", EXPLAINING)
def test_the_module_gets_the_patterns(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = passed_to(module, monkeypatch, dest="/dest")
    assert arguments == {"dest": "/dest", "log_patterns": log_patterns_option()}
    assert [entry["name"] for entry in json.loads(arguments["log_patterns"])] == [
        entry["name"] for entry in load_log_patterns()
    ]


def test_patterns_of_the_task_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed_to("triton_health", monkeypatch, log_patterns="[]") == {"log_patterns": "[]"}


def test_a_failure_is_explained_without_showing_the_patterns() -> None:
    with TritonStub() as stub:
        stub.routes["POST /v2/models/ensemble/generate"] = RECORDED["decoupled_generate"]
        command = [
            str(Path(sys.executable).with_name("ansible")),
            *("localhost", "-i", "localhost,", "-c", "local", "-vvv", "-m", "tritonops.trtllm.triton_generate"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
            *("-a", json.dumps({"url": stub.url, "prompt": "Hello"})),
        ]
        environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    result = json.loads(done.stdout[done.stdout.index("=> {") + 3 :])
    assert [hit["id"] for hit in result["explanations"]] == ["decoupled_generate"]
    assert "Known cause: The model is decoupled" in result["msg"]
    assert "engine_trt_version" not in done.stdout + done.stderr
