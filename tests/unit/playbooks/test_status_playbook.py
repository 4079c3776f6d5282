# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""status.yml shows every host: those that answer, those that fail, and those that cannot be reached."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
# A port on which nothing listens.
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def status(
    folder: Path, hosts: dict[str, dict[str, Any]], *options: str, **variables: Any
) -> tuple[Run, dict[str, Any]]:
    """The run, and the rows by host."""
    inventory, file = folder / "hosts.json", folder / "status.json"
    groups = {
        name: {
            "hosts": {host: entry for host, entry in hosts.items() if host.startswith("gateway") is (name == "gateway")}
        }
        for name in ("trtllm", "gateway")
    }
    inventory.write_text(json.dumps({name: group for name, group in groups.items() if group["hosts"]}))
    run = Run(
        folder,
        *("-i", str(inventory), *options),
        playbook="status",
        ansible_become=False,
        trtllm_status_file=file.name,
        **variables,
    )
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    return run, {row["host"]: row for row in rows}


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> str:
    root = RootFolder(tmp_path / "trtllm")
    root.release("mixtral-1", release="1.2.1", profile="engine")
    root.serve("mixtral-1")
    return str(root.path)


@pytest.mark.long
def test_every_host_has_a_row(tmp_path: Path, root: str) -> None:
    hosts = {
        # The first one, because it would run the tasks that run once.
        "gone": GONE,
        "gpu1": {**LOCAL, "trtllm_root": root},
        "broken": {**LOCAL, "trtllm_root": root, "ansible_python_interpreter": "/bin/false"},
        "gateway1": {**LOCAL, "trtllm_root": str(tmp_path / "none")},
    }
    run, rows = status(tmp_path, hosts)
    assert run.rc == 0, run.said
    assert list(rows) == list(hosts)
    assert rows["gpu1"]["release"] == "mixtral-1" and rows["gpu1"]["problem"] is None
    assert rows["gone"]["problem"].startswith("unreachable: ") and rows["broken"]["problem"]
    assert rows["gateway1"]["deployment"] is None and rows["gateway1"]["problem"] is None
    assert "\ngone: unreachable: " in run.said and "\ngpu1 " in run.said


@pytest.mark.long
def test_no_host_can_be_reached(tmp_path: Path) -> None:
    run, rows = status(tmp_path, {"gpu1": GONE, "gpu2": GONE})
    assert run.rc == 0 and list(rows) == ["gpu1", "gpu2"], run.said


def test_it_runs_in_check_mode_and_writes_nothing(tmp_path: Path, root: str) -> None:
    run, rows = status(tmp_path, {"gpu1": {**LOCAL, "trtllm_root": root}}, "--check")
    assert run.rc == 0 and rows == {} and "mixtral-1" in run.said, run.said
