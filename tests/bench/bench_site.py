# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a run of the site that changes nothing, on one, two and four rehearsal hosts.

Creates the hosts trtllm-bench-1 and so on, serves a small model on each, and runs the site again. Only these hosts are
removed at the end; images, model and hub stay, as after `make rehearse`. `--write` writes the table to
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml
from report import machine, table, write_section
from scale_fleet import CALLBACKS
from site_results import Measured, NotMeasured, exceeded, measured, rows

PROJECT = Path(__file__).resolve().parents[2]
BIN = PROJECT / "rehearsal" / "bin"
STATE = PROJECT / ".cache" / "rehearsal"
REHEARSAL = PROJECT / "inventories" / "rehearsal"
MIXTRAL = PROJECT / "rehearsal" / "mixtral" / "tiny-mixtral"


def script(name: str, *options: str) -> None:
    subprocess.run([BIN / name, *options], check=True)


def exists(container: str) -> bool:
    inspected = subprocess.run(["docker", "container", "inspect", container], capture_output=True, check=False)
    return inspected.returncode == 0


@contextmanager
def new_hosts(names: list[str]) -> Iterator[None]:
    """Create hosts with these names, which must not exist, and always remove them afterwards."""
    there = [name for name in names if exists(name)]
    if there:
        raise SystemExit(f"{', '.join(there)}: in use or left over; rehearsal/bin/host NAME --rm removes a host")
    begun = []
    try:
        for name in names:
            begun.append(name)
            script("host", name)
        yield
    finally:
        for name in begun:
            script("host", name, "--rm")


def inventory(folder: Path, names: list[str], **variables: Any) -> Path:
    """An inventory like inventories/rehearsal, with these hosts."""
    folder.mkdir()
    known = yaml.safe_load((REHEARSAL / "hosts.yml").read_text())["trtllm"]["hosts"]["rehearsal"]
    hosts = {name: {**known, "ansible_host": name, **variables} for name in names}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"trtllm": {"hosts": hosts}}))
    (folder / "group_vars").symlink_to(REHEARSAL / "group_vars")
    return folder


def tiny_mixtral() -> dict[str, Any]:
    """The model in two ranks: its service is checked like that of a large model, and starts quickly."""
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["tiny_mixtral_revision"]
    return {
        "trtllm_model": {
            "repository": "rehearsal/tiny-mixtral",
            "revision": revision,
            "config": str(MIXTRAL / "config.json"),
        },
        "trtllm_precision": "float32",
        "trtllm_parallelism": {"tensor": 2},
        "trtllm_limits": {"max_input_len": 256, "max_seq_len": 512},
    }


def play_site(hosts: Path, variables: dict[str, Any], results: Path) -> tuple[str, float, float]:
    """Run the site; return its output, wall-clock and CPU seconds.

    CPU time includes Ansible and all processes that it starts on this machine, such as connections to hosts, but not
    processes on the hosts.
    """
    # The output of Ansible is parsed, so settings of this machine's user are removed.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    ours |= {
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connections"),
        "ANSIBLE_CALLBACKS_ENABLED": CALLBACKS,
        "BENCH_TASK_RESULTS": str(results),
    }
    command = ["ansible-playbook", "-i", str(hosts), "tritonops.trtllm.site", "-e", json.dumps(variables)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=PROJECT, env=ours, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-5000:]}\nthe site failed with status {done.returncode}")
    return done.stdout, wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(folder: Path, names: list[str], variables: dict[str, Any], rounds: int) -> Measured:
    """The run with the median wall-clock time."""
    hosts, results = inventory(folder / f"hosts-{len(names)}", names), folder / "results.jsonl"
    runs = []
    for _round in range(rounds):
        output, wall, cpu = play_site(hosts, variables, results)
        runs.append(measured(output, results.read_text(encoding="utf-8"), wall, cpu))
        print(runs[-1], file=sys.stderr, flush=True)
    return sorted(runs, key=attrgetter("wall"))[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4], help="numbers of hosts")
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of the site")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    names = [f"trtllm-bench-{number}" for number in range(1, max(arguments.sizes) + 1)]
    release = yaml.safe_load((REHEARSAL / "group_vars" / "all.yml").read_text())["rehearsal_release"]
    for command in (["docker"], ["images", "base", "host", f"backend-{release}"], ["model"], ["hub"]):
        script(*command)
    with tempfile.TemporaryDirectory() as temporary, new_hosts(names):
        folder = Path(temporary)
        variables = {"rehearsal_state": str(STATE), **tiny_mixtral()}
        play_site(inventory(folder / "all", names), variables, folder / "first.jsonl")
        try:
            runs = [measure(folder, names[:size], variables, arguments.rounds) for size in arguments.sizes]
        except NotMeasured as exc:
            raise SystemExit(str(exc)) from exc
    head = ["hosts", "tasks", "modules on a host", "wall, s", "CPU of the control node, s"]
    over = [bound for run in runs for bound in exceeded(run)]
    verdict = f"The bounds are exceeded: {'; '.join(over)}." if over else "The bounds are kept."
    text = f"{table(head, rows(runs))}\n\n{verdict}\n\nOn {machine()}; median of {arguments.rounds}, 5 forks."
    print(text)
    if arguments.write:
        write_section("site", text)


if __name__ == "__main__":
    main()
