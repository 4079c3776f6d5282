# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time to plan a fleet from recorded facts, compared with a play that reads one variable of every host.

Identical hosts are planned once, so a fleet of identical hosts and one of different hosts are measured. Everything
runs alternately in the same run, as `ansible-playbook` including its start. Results are medians.
`--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import machine, table, write_section

PROJECT = Path(__file__).resolve().parents[2]
READ = """---
- name: Read one variable of every host
  hosts: trtllm
  gather_facts: false
  tasks:
    - name: Read it
      ansible.builtin.debug:
        msg: "{{ ansible_play_hosts | map('extract', hostvars, 'trtllm_model') | unique }}"
      run_once: true
"""
ALIKE, DIFFERENT = "alike", "different"


def facts(number: int) -> dict[str, object]:
    """The facts of a host, which differ slightly for each number."""
    gpu = {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "compute_capability": "8.0"}
    return {
        "gpus": [gpu] * 8,
        "driver_version": "590.44.01",
        "processors": 128,
        "memory_bytes": 2 << 40,
        "disk_free_bytes": 10**13 + number,
        "container_toolkit": "1.19.1",
        "artifacts": [],
        "deployments": {"default": f"release-{number}"},
    }


def fleet(folder: Path, size: int) -> tuple[Path, dict[str, Path]]:
    """An inventory of unreachable hosts, and files with their facts."""
    hosts = [f"gpu{number:05d}" for number in range(size)]
    variables = {"trtllm_model": "mixtral-8x7b-instruct", "ansible_host": "192.0.2.1"}
    inventory = folder / f"inventory-{size}.json"
    inventory.write_text(json.dumps({"trtllm": {"hosts": {host: {} for host in hosts}, "vars": variables}}))
    recorded = {kind: folder / f"{kind}-{size}.json" for kind in (ALIKE, DIFFERENT)}
    for kind, file in recorded.items():
        numbers = [number if kind == DIFFERENT else 0 for number in range(size)]
        file.write_text(json.dumps({"hosts": dict(zip(hosts, map(facts, numbers), strict=True))}))
    return inventory, recorded


def seconds(*command: str | Path) -> float:
    environment = {**os.environ, "ANSIBLE_INVENTORY_ENABLED": "yaml", "ANSIBLE_FORKS": "5"}
    began = time.monotonic()
    subprocess.run(["ansible-playbook", *command], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def measure(folder: Path, size: int, rounds: int) -> list[list[str]]:
    """A row for identical hosts, and one for different hosts."""
    inventory, recorded = fleet(folder, size)
    play = folder / "read.yml"
    play.write_text(READ)
    read: list[float] = []
    planned: dict[str, list[float]] = {kind: [] for kind in recorded}
    for _round in range(rounds):
        read.append(seconds("-i", inventory, play))
        for kind, file in recorded.items():
            planned[kind].append(seconds("-i", inventory, "playbooks/plan.yml", "-e", f"trtllm_host_facts_file={file}"))
        last = ", ".join(f"plan {kind} {times[-1]:.2f} s" for kind, times in planned.items())
        print(f"{size} hosts: read {read[-1]:.2f} s, {last}", file=sys.stderr, flush=True)
    return [row(size, kind, statistics.median(times), statistics.median(read)) for kind, times in planned.items()]


def row(size: int, kind: str, plan: float, read: float) -> list[str]:
    return [str(size), kind, f"{plan:.2f}", f"{read:.2f}", f"{plan / read:.2f}", f"{1000 * plan / size:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 10000], help="numbers of hosts")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each playbook")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [line for size in arguments.sizes for line in measure(Path(folder), size, arguments.rounds)]
    head = ["hosts", "they are", "plan.yml, s", "reading one variable, s", "ratio", "plan, ms a host"]
    text = f"{table(head, rows)}\n\nOn {machine()}; median of {arguments.rounds}, 5 forks."
    print(text)
    if arguments.write:
        write_section("plan", text)


if __name__ == "__main__":
    main()
