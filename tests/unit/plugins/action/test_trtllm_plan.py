# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

GOOD = {
    "model": "smollm2-135m-instruct",
    "release": "0.17.0",
    "gpus_required": False,
    "image": {"reference": "registry.example/backend", "digest": "sha256:" + "a" * 64},
}


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The action's result, by Ansible itself: what it templates reaches the planner in types of its own."""
    command = [
        str(Path(sys.executable).with_name("ansible")),
        *("localhost", "-m", "tritonops.trtllm.trtllm_plan"),
        *("-a", json.dumps({"request": "{{ wanted }}"}), "-e", json.dumps({"wanted": request})),
        *("-o", "-i", "localhost,"),
    ]
    said = subprocess.run(command, text=True, capture_output=True, check=False).stdout
    return json.loads(said[said.index("{") :])


def test_a_plan_comes_back_with_its_warnings() -> None:
    result = run(GOOD)
    assert result["plan"]["launch"]["world_size"] == 1
    assert result["changed"] is False


def test_all_refusals_make_one_message() -> None:
    result = run({**GOOD, "model": "nothing", "precision": "int3"})
    assert result["msg"].startswith("This cannot work, for 2 reasons. Nothing was changed.")
    assert "- trtllm_model = 'nothing': " in result["msg"]
    assert "- trtllm_precision = 'int3': " in result["msg"]
