# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that share an action plugin (meta/runtime.yml) otherwise have nothing in common."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._progress import ProgressAction
from ansible_collections.tritonops.trtllm.tests.unit.support.action_plugins import action_of
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import RECORDED, TritonStub

PLAY = """
- hosts: localhost
  gather_facts: false
  collections: [tritonops.trtllm]
  module_defaults:
    tritonops.trtllm.triton_generate: {prompt: Hello}
    # Not an option of triton_generate, whose action plugin has this name.
    tritonops.trtllm.triton_health: {container: none}
  tasks:
    - %s:
        url: %s
"""


@pytest.mark.parametrize(
    "module",
    ["hf_snapshot", "trtllm_checkpoint", "trtllm_engine", "trtllm_image", "trtllm_image_build", "trtllm_sources"],
)
def test_progress_is_displayed(module: str) -> None:
    assert issubclass(action_of(module), ProgressAction)


@pytest.mark.parametrize("name", ["triton_generate", "tritonops.trtllm.triton_generate"])
def test_the_task_runs_its_own_module(name: str, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    program = Path(sys.executable).with_name("ansible-playbook")
    interpreter = f"ansible_python_interpreter={sys.executable}"
    command = [str(program), "-i", "localhost,", "-c", "local", "-e", interpreter, str(playbook)]
    with TritonStub() as stub:
        stub.routes["POST /v2/models/ensemble/generate"] = RECORDED["decoupled_generate"]
        playbook.write_text(PLAY % (name, stub.url))
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        assert stub.requests[-1][1]["text_input"] == "Hello", done.stdout + done.stderr
    assert "Known cause: The model is decoupled" in done.stdout
    assert "deprecat" not in done.stdout + done.stderr
