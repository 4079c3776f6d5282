# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet that does not exist, for playbooks that read: its hosts answer with recorded results."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import install
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

PROJECT = Path(__file__).resolve().parents[2]
FORKS = 5


class Time(NamedTuple):
    """Seconds, and those of CPU of the control node."""

    wall: float
    cpu: float


def recorded(folder: Path) -> dict[str, Any]:
    """What the module says on this machine, about a root folder and GPUs that are made for it."""
    root = RootFolder(folder / "trtllm")
    for name in ("default", "small"):
        for release in ("old", "mixtral-8x7b-instruct-1.2.1-0f1e2d3c"):
            root.release(release, name, release="1.2.1", profile="engine", image=f"sha256:{'0f' * 32}")
        root.serve("mixtral-8x7b-instruct-1.2.1-0f1e2d3c", "old", deployment=name)
    arguments = {"root": str(root.path), "executable": install(folder, "a100"), "configuration": str(folder)}
    module = PROJECT / "plugins/modules/deployment_info.py"
    done = subprocess.run(
        [sys.executable, module, json.dumps({"ANSIBLE_MODULE_ARGS": arguments})],
        text=True,
        capture_output=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def fleet(folder: Path, size: int, result: dict[str, Any]) -> Path:
    """An inventory of hosts that answer with this result, a gateway that sends them requests, and a dead host."""
    hosts = [f"gpu{number:05d}" for number in range(size - 1)]
    names = [entry["name"] for entry in result["deployments"]]
    servers = [
        {"host": host, "deployment": name, "backend": name, "state": "ready", "status": "UP", "in_flight": 3}
        for host in hosts
        for name in names
    ]
    results = {"gpu": result, "gateway": {**result, "deployments": [], "gpus": [], "gateway": servers}}
    for kind, said in results.items():
        modules = {"deployment_info": said, "ping": {"ping": "pong", "changed": False}}
        calls = [{"module": name, "arguments": {}, "result": answer} for name, answer in modules.items()]
        (folder / f"{kind}-{size}.json").write_text(json.dumps({"calls": calls}))
    variables = {
        "ansible_connection": "replay",
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "replay_results": str(folder / f"gpu-{size}.json"),
    }
    dead = {"replay_unreachable": True}
    gateway = {"replay_results": str(folder / f"gateway-{size}.json")}
    groups = {
        "trtllm": {"hosts": {**{host: {} for host in hosts}, "dead": dead}},
        "gateway": {"hosts": {"gateway1": gateway}},
        "all": {"vars": variables},
    }
    inventory = folder / f"inventory-{size}.json"
    inventory.write_text(json.dumps(groups))
    return inventory


def play(*command: str | Path, failures: tuple[int, ...] = (0,)) -> Time:
    environment = {
        **os.environ,
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_FORKS": str(FORKS),
        "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connections"),
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", *command],
        cwd=PROJECT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in failures:
        raise SystemExit(f"{done.stdout[-5000:]}\nansible-playbook failed with status {done.returncode}")
    return Time(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def check(file: Path, size: int) -> None:
    """The table must be complete, or the time means nothing."""
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    served = [row for row in rows if row["rotation"] == "in" and row["in_flight"] == 3 and len(row["gpus"]) == 8]
    problems = [row for row in rows if row["problem"]]
    if (len(served), len(problems)) != (2 * (size - 1), 1):
        raise SystemExit(f"{len(served)} rows of {size} hosts are complete, {len(problems)} have a problem: {rows[:2]}")
