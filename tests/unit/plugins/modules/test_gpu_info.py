# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module with a program in nvidia-smi's place."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import gpu_info
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import A100, RECORDINGS, Recording
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import install
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

Look = t.Callable[..., Result]


@pytest.fixture(name="look")
def fixture_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Look:
    def look(body: str, **arguments: t.Any) -> Result:
        program = tmp_path / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + body)
        program.chmod(0o755)
        return run_module(gpu_info, capsys, executable=str(program), **arguments)

    return look


def test_without_nvidia_smi_there_is_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(gpu_info, capsys, executable="no-such-program")
    assert (result["present"], result["gpus"], result["error"], result["changed"]) == (False, [], None, False)


@pytest.mark.parametrize(
    ("recording", "gpus", "links"), [("a100", 8, 12), ("a100-535", 8, 12), ("h100", 8, 18), ("l40s", 4, None)]
)
def test_what_hosts_have(
    recording: str, gpus: int, links: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-in takes no question that the real program would not take."""
    result = run_module(gpu_info, capsys, executable=install(tmp_path, recording))
    assert (result["present"], result["changed"], result["error"]) == (True, False, None)
    assert [gpu["nvlinks_active"] for gpu in result["gpus"]] == [links] * gpus
    assert {gpu["compute_capability"] for gpu in result["gpus"]} == {RECORDINGS[recording]["gpus"][0]["compute_cap"]}


@pytest.mark.parametrize("recording", ["driver-mismatch", "driver-not-loaded"])
def test_a_driver_in_trouble_is_quoted(recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(gpu_info, capsys, executable=install(tmp_path, recording))
    assert (result["present"], result["error"]) == (False, RECORDINGS[recording]["error"]["text"])


def test_a_driver_that_does_not_know_compute_cap(tmp_path: Path, look: Look) -> None:
    (tmp_path / "xml").write_text(Recording(A100).query())
    result = look(f'[ "$1" = -q ] && exec cat "{tmp_path}/xml"\necho "Field compute_cap is not a valid field"; exit 2')
    assert result["gpus"][0]["compute_capability"] == "8.0"


def test_failing_nvidia_smi_is_quoted(look: Look) -> None:
    result = look('echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18')
    assert not result.get("failed")
    assert (result["present"], result["gpus"]) == (False, [])
    assert result["error"] == "Failed to initialize NVML: Driver/library version mismatch"


def test_hanging_nvidia_smi_is_given_up(look: Look) -> None:
    assert "did not finish within 1 s" in look("exec sleep 60", timeout=1)["error"]
