# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's program, which is packed on the control node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.watchdog._program import pack
from ansible_collections.tritonops.trtllm.tests.unit.support.tasks import Tasks

PLACES = {"folder": "/opt", "rotation_map": "/missing/rotation.map", "rotation_socket": "/missing/socket"}


def test_the_module_gets_the_program(tmp_path: Path) -> None:
    given = {"path": str(tmp_path / "there"), "settings": {"deployment": "chat", **PLACES}}
    task: dict[str, Any] = {
        "tritonops.trtllm.deployment_watchdog": {**given, "service": "[Service]", "timer": "[Timer]"}
    }
    tasks = Tasks(tmp_path)
    (result,) = tasks.run(task, options=("--check",))
    assert result["changed"] and result["files"][0] == str(tmp_path / "there/watchdog.pyz"), result
    # It is too long to be shown.
    assert len(max(tasks.output.splitlines(), key=len)) < 10000


def test_the_program_runs_without_ansible(tmp_path: Path) -> None:
    written = tmp_path / "watchdog.pyz"
    written.write_bytes(pack("watchdog._program"))
    done = subprocess.run([sys.executable, written, "/missing"], check=False, capture_output=True, text=True)
    assert "No such file or directory: '/missing'" in done.stderr
