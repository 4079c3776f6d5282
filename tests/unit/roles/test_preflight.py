# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role preflight on this machine, where it changes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLOSED = "http://127.0.0.1:9/"


def said(**variables: Any) -> str:
    variables = {"ansible_python_interpreter": sys.executable, **variables}
    command = [
        str(Path(sys.executable).with_name("ansible")),
        *("localhost", "-i", "localhost,", "-c", "local", "-m", "include_role"),
        *("-a", "name=tritonops.trtllm.preflight", "-e", json.dumps(variables)),
    ]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    # Without the settings of this project, as for an installed collection.
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment, cwd="/")
    return done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("planned", "need", "waive"),
    [(False, "needs.memory_bytes", "preflight_waive"), (True, "trtllm_model", "trtllm_waive")],
)
def test_a_host_that_does_not_meet_the_requirements(planned: bool, need: str, waive: str) -> None:
    text = said(
        preflight_needs=[
            {
                "memory_bytes": 10**15,
                "reach": [{"url": f"{CLOSED}a", "what": "code"}],
                "registry": "127.0.0.1:9",
                "planned": planned,
            },
            # No machine has a thousand GPUs.
            {"gpus": {"count": 1000, "executable": "no-such-nvidia-smi"}, "planned": planned},
            {"reach": [{"url": f"{CLOSED}b", "what": "packages"}], "planned": planned},
        ],
        preflight_waive=["registry_unreachable", "gpu_absent"],
    )
    assert "4 problems must be fixed first" in text
    assert f"the required amount comes from {need}. (To continue anyway, add memory to {waive}.)" in text
    assert f"{CLOSED}a (code) does not respond" in text and f"{CLOSED}b (packages) does not respond" in text
    assert "\n  waived   registry_unreachable" in text, "it is waived, and in a line of a table"
    assert re.search(r"\nregistry_unreachable: .*; ", text), "it is shown with its remedy, too"
    assert "\n  error    gpu_absent" in text and f"add gpu_absent to {waive}" not in text, "it cannot be waived"


def test_without_needs_nothing_is_checked() -> None:
    assert "localhost: GPUs not checked: no findings\n" in said()


def test_a_need_that_does_not_exist_is_refused() -> None:
    text = said(preflight_needs=[{"prots": []}])
    assert "prots" in text and "Supported parameters include" in text
