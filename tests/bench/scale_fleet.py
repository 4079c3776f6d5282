# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the site on hosts that do not exist, and measures the control node."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
# As in ansible.cfg, but the callbacks that print or write a report.
CALLBACKS = "task_results,tritonops.trtllm.fork_memory"
RECORDING = Path(__file__).parent / "recorded" / "site.json"
ROLL = RECORDING.with_name("roll.json")


class Run(NamedTuple):
    """Seconds, those of CPU, and the memory in MiB of all processes at the moment when it was most."""

    output: str
    status: int
    wall: float
    cpu: float
    memory: float


def fleet(folder: Path, size: int, recording: Path = RECORDING) -> Path:
    """An inventory of hosts that answer what was recorded."""
    content = json.loads(recording.read_text(encoding="utf-8"))
    hosts = {f"gpu{number:03d}": {"ansible_host": f"10.0.{number // 250}.{number % 250 + 1}"} for number in range(size)}
    variables = {
        **content["variables"],
        "ansible_connection": "replay",
        "ansible_python_interpreter": "/usr/bin/python3",
        "replay_results": str(recording),
    }
    inventory = folder / f"fleet-{size}.json"
    inventory.write_text(json.dumps({"trtllm": {"hosts": hosts, "vars": variables}}))
    return inventory


def play(inventory: Path, results: Path, forks: int, *options: str) -> Run:
    """Run the site. The callback task_results writes what each task did to `results`."""
    # The output of Ansible is parsed, so settings of this machine's user are removed.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": str(forks),
        "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": CALLBACKS,
        "BENCH_TASK_RESULTS": str(results),
    }
    command = ["ansible-playbook", "-i", str(inventory), "tritonops.trtllm.site", *options]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        memory = Memory(process.pid)
        memory.start()
        output, _nothing = process.communicate()
        memory.stop()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(output, process.returncode, wall, cpu, memory.peak / 1024)


class Memory(threading.Thread):
    """Watches a process and those that it started. Pages that they share are counted once."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._process = process
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(1):
            self.look()

    def look(self) -> None:
        self.peak = max(self.peak, sum(map(proportional_kib, family(self._process))))

    def stop(self) -> None:
        self._ended.set()
        self.join()


def family(process: int) -> Iterable[Path]:
    """The process and its descendants. Ansible gives each of its own processes a session, so that tells nothing."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [process]
    for known in found:
        found += children.get(known, [])
    return [Path("/proc") / str(number) for number in found]


def proportional_kib(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        # It has ended.
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
