# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a run of the site that changes nothing, on the control node of a large fleet.

The hosts do not exist: a connection plugin returns at once what each module said on one host, with the names and
addresses of the others, and fails for calls that were not recorded. `--write` writes the table to docs/benchmarks.md.
`--record` creates a rehearsal host, serves a small model on it, and records another run of the site to
tests/bench/recorded/site.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from bench_site import PROJECT, REHEARSAL, STATE, inventory, new_hosts, play_site, script, tiny_mixtral
from calls import recorded
from report import machine, table, write_section
from scale_fleet import RECORDING, Run, fleet, play
from site_results import NotIdle, check_idle, modules_by_host, recap

# For BOUND_HOSTS hosts on two processors: seconds, seconds of CPU, and MiB of memory.
BOUND, BOUND_HOSTS = {"wall": 300.0, "cpu": 500.0, "memory": 1024.0}, 200
HEAD = [
    "hosts",
    "tasks",
    "modules on a host",
    "wall, s",
    "CPU of the control node, s",
    "memory, MiB",
    "CPU of a host, s",
]
RECORDED = "trtllm-bench-1"


def record() -> None:
    release = yaml.safe_load((REHEARSAL / "group_vars" / "all.yml").read_text())["rehearsal_release"]
    for command in (["docker"], ["images", "base", "host", f"backend-{release}"], ["model"], ["hub"]):
        script(*command)
    with tempfile.TemporaryDirectory() as temporary, new_hosts([RECORDED]):
        folder = Path(temporary)
        variables, lines = {"rehearsal_state": str(STATE), **tiny_mixtral()}, folder / "calls.jsonl"
        play_site(inventory(folder / "first", [RECORDED]), variables, folder / "first.jsonl")
        command = ["docker", "exec", "--interactive", RECORDED]
        recording = {"ansible_connection": "record", "record_file": str(lines), "record_command": command}
        # The image of the host has no sudo, and it is not needed.
        recording["ansible_user"] = "root"
        play_site(inventory(folder / "second", [RECORDED], **recording), variables, folder / "second.jsonl")
        calls = recorded(lines.read_text(encoding="utf-8"))
    content = {"host": RECORDED, "address": "", "variables": fleet_variables(release), "calls": calls}
    RECORDING.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def fleet_variables(release: str) -> dict[str, Any]:
    """Those of the rehearsal host, without places on this machine."""
    image = yaml.safe_load((STATE / f"backend-{release}.yml").read_text())
    variables = tiny_mixtral()
    config = Path(variables["trtllm_model"]["config"]).relative_to(PROJECT)
    return {
        **variables,
        "trtllm_model": {**variables["trtllm_model"], "config": f"{{{{ playbook_dir }}}}/../{config}"},
        "trtllm_release": release,
        "trtllm_gpus_required": False,
        "trtllm_image": {"source": "archive", "archive": "/srv/images/backend.tar", "digest": image["digest"]},
        "trtllm_weights": {"endpoint": "http://192.0.2.1:8095"},
        "trtllm_docker_source": "distribution",
        "trtllm_watchdog": {"interval": 15},
    }


def measure(folder: Path, size: int, forks: int) -> tuple[Run, list[object]]:
    results = folder / "results.jsonl"
    run = play(fleet(folder, size), results, forks)
    text = results.read_text(encoding="utf-8")
    if run.status:
        raise SystemExit(f"{run.output[-5000:]}\nthe site failed with status {run.status}")
    numbers = recap(run.output)
    check_idle(numbers, text)
    if len(numbers) != size:
        raise SystemExit(f"{len(numbers)} of {size} hosts are in the recap")
    tasks, modules = max(count["ok"] for count in numbers.values()), max(modules_by_host(text).values())
    print(f"{size} hosts: {run._replace(output='')}", file=sys.stderr, flush=True)
    costs = [f"{run.wall:.0f}", f"{run.cpu:.0f}", f"{run.memory:.0f}", f"{run.cpu / size:.2f}"]
    return run, [size, tasks, modules, *costs]


def exceeded(run: Run) -> list[str]:
    """The bounds for BOUND_HOSTS hosts that the run exceeded."""
    return [
        f"{name} {getattr(run, name):.0f}, at most {most:.0f}"
        for name, most in BOUND.items()
        if getattr(run, name) > most
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 200], help="numbers of hosts")
    parser.add_argument("--forks", type=int, default=5, help="processes of Ansible")
    parser.add_argument("--record", action="store_true", help="record a rehearsal host first")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.record:
        record()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            runs = [measure(Path(temporary), size, arguments.forks) for size in arguments.sizes]
        except NotIdle as exc:
            raise SystemExit(str(exc)) from exc
    bounded = [exceeded(run) for run, row in runs if row[0] == BOUND_HOSTS]
    verdict = f"Without {BOUND_HOSTS} hosts, no bounds apply."
    if bounded:
        verdict = f"The bounds are exceeded: {'; '.join(bounded[0])}." if bounded[0] else "The bounds are kept."
    measured = table(HEAD, [row for _run, row in runs])
    text = f"{measured}\n\n{verdict}\n\nOn {machine()}; one run each, {arguments.forks} forks."
    print(text)
    if arguments.write:
        write_section("scale", text)


if __name__ == "__main__":
    main()
