# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time to show the state of a fleet, compared with a play that runs ansible.builtin.ping on every host.

The hosts do not exist: a connection plugin returns what the module deployment_info said on a host with eight recorded
A100 and two deployments. Both plays run alternately in the same run, as `ansible-playbook` including its start. Results
are medians. `--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from report import machine, table, write_section
from status_fleet import FORKS, check, fleet, play, recorded

# For BOUND_HOSTS hosts on two processors, in seconds.
BOUND, BOUND_HOSTS = 10, 50
PING = """---
- name: Reach every host
  hosts: trtllm
  become: true
  gather_facts: false
  tasks:
    - name: Reach it
      ansible.builtin.ping:
"""


def measure(folder: Path, size: int, rounds: int, result: dict[str, Any]) -> list[str]:
    inventory, ping, written = fleet(folder, size, result), folder / "ping.yml", folder / "status.json"
    ping.write_text(PING)
    pings, states = [], []
    for _round in range(rounds):
        # The dead host makes ansible-playbook fail.
        pings.append(play("-i", inventory, ping, failures=(4,)))
        states.append(play("-i", inventory, "playbooks/status.yml", "-e", f"trtllm_status_file={written}"))
        check(written, size)
        print(f"{size} hosts: ping {pings[-1].wall:.2f} s, status {states[-1].wall:.2f} s", file=sys.stderr, flush=True)
    wall, cpu, base = (
        statistics.median(values)
        for values in ([run.wall for run in states], [run.cpu for run in states], [run.wall for run in pings])
    )
    return [str(size), f"{wall:.2f}", f"{cpu:.2f}", f"{base:.2f}", f"{wall / base:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 200], help="numbers of hosts")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each playbook")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result = recorded(folder)
        rows = [measure(folder, size, arguments.rounds, result) for size in arguments.sizes]
    head = ["hosts", "status.yml, s", "CPU of the control node, s", "ping, s", "ratio"]
    over = [row for row in rows if row[0] == str(BOUND_HOSTS) and float(row[1]) > BOUND]
    verdict = f"The bound is exceeded: {over[0][1]} s for {BOUND_HOSTS} hosts." if over else "The bound is kept."
    text = f"{table(head, rows)}\n\n{verdict}\n\nOn {machine()}; median of {arguments.rounds}, {FORKS} forks."
    print(text)
    if arguments.write:
        write_section("status", text)


if __name__ == "__main__":
    main()
