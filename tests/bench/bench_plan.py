# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long it takes to plan a fleet from recorded facts, against a plain debug task over the same inventory.

Both run by turns in the same run, as `ansible-playbook` with its start included; the median of each counts.
`--write` puts the table into docs/benchmarks.md.
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
DEBUG = """---
- name: Say something on every host
  hosts: trtllm
  gather_facts: false
  tasks:
    - name: Say something
      ansible.builtin.debug:
        msg: "{{ inventory_hostname }}"
"""


def facts(number: int) -> dict[str, object]:
    """Of one host. Every one is a little different, so that none is planned for another."""
    gpu = {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "compute_capability": "8.0"}
    return {
        "gpus": [gpu] * 8,
        "driver_version": "590.44.01",
        "processors": 128,
        "memory_bytes": 2 << 40,
        "disk_free_bytes": 10**13 + number,
        "container_toolkit": "1.19.1",
        "artifacts": [],
        "current": f"release-{number}",
    }


def fleet(folder: Path, size: int) -> tuple[Path, Path]:
    """An inventory of hosts that nobody can reach, and their facts."""
    hosts = [f"gpu{number:04d}" for number in range(size)]
    variables = {"trtllm_model": "mixtral-8x7b-instruct", "ansible_host": "192.0.2.1"}
    inventory, recorded = folder / f"inventory-{size}.json", folder / f"facts-{size}.json"
    inventory.write_text(json.dumps({"trtllm": {"hosts": {host: {} for host in hosts}, "vars": variables}}))
    recorded.write_text(json.dumps({"hosts": {host: facts(number) for number, host in enumerate(hosts)}}))
    return inventory, recorded


def seconds(*command: str | Path) -> float:
    environment = {**os.environ, "ANSIBLE_INVENTORY_ENABLED": "yaml", "ANSIBLE_FORKS": "5"}
    began = time.monotonic()
    subprocess.run(["ansible-playbook", *command], cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def measure(folder: Path, size: int, rounds: int) -> list[str]:
    inventory, recorded = fleet(folder, size)
    debug = folder / "debug.yml"
    debug.write_text(DEBUG)
    planned, said = [], []
    for _round in range(rounds):
        said.append(seconds("-i", inventory, debug))
        planned.append(seconds("-i", inventory, "playbooks/plan.yml", "-e", f"trtllm_host_facts_file={recorded}"))
        print(f"{size} hosts: debug {said[-1]:.2f} s, plan {planned[-1]:.2f} s", file=sys.stderr, flush=True)
    plan, debug_task = statistics.median(planned), statistics.median(said)
    return [str(size), f"{plan:.2f}", f"{debug_task:.2f}", f"{plan / debug_task:.2f}", f"{1000 * plan / size:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30, 100, 300, 1000], help="numbers of hosts")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(Path(folder), size, arguments.rounds) for size in arguments.sizes]
    head = ["hosts", "plan.yml, s", "one debug task, s", "ratio", "plan, ms a host"]
    text = f"{table(head, rows)}\n\nOn {machine()}; median of {arguments.rounds}, 5 forks."
    print(text)
    if arguments.write:
        write_section("plan", text)


if __name__ == "__main__":
    main()
