# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a run of the site on the control node of a large fleet: if nothing changes, and if all hosts are rolled.

The hosts do not exist: a connection plugin returns at once what each module said on one host, with the names and
addresses of the others, and fails for calls that were not recorded. `--write` writes the table to docs/benchmarks.md.
`--record` creates a rehearsal host, serves a small model on it, and records another run of the site and one with a new
release to tests/bench/recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from bench_site import PROJECT, REHEARSAL, STATE, inventory, new_hosts, play_site, script, tiny_mixtral
from calls import recorded
from report import machine, table, write_section
from scale_fleet import RECORDING, ROLL, Run, fleet, play
from site_results import NotMeasured, check_idle, check_rolled, modules_by_host, recap

# For BOUND_HOSTS hosts on two processors: seconds, seconds of CPU, and MiB of memory.
BOUND, BOUND_HOSTS = {"wall": 300.0, "cpu": 500.0, "memory": 1024.0}, 200
HEAD = [
    "run",
    "hosts",
    "tasks",
    "modules on a host",
    "wall, s",
    "CPU of the control node, s",
    "memory, MiB",
    "CPU of a host, s",
]
RECORDED = "trtllm-bench-1"
# It needs a new release, but no other artifact.
CHANGE = {"trtllm_repository_parameters": {"tensorrt_llm": {"max_queue_size": "16"}}}
BATCH = "10%"


class Kind(NamedTuple):
    """A run: what was recorded of it, and what raises NotMeasured unless the counters and results are those of one."""

    name: str
    recording: Path
    check: Callable[[dict[str, dict[str, int]], str], None]


IDLE = Kind("nothing to do", RECORDING, check_idle)
ROLLED = Kind(f"roll, {BATCH} at a time", ROLL, lambda numbers, _results: check_rolled(numbers))


def record() -> None:
    release = yaml.safe_load((REHEARSAL / "group_vars" / "all.yml").read_text())["rehearsal_release"]
    for command in (["docker"], ["images", "base", "host", f"backend-{release}"], ["model"], ["hub"]):
        script(*command)
    with tempfile.TemporaryDirectory() as temporary, new_hosts([RECORDED]):
        folder = Path(temporary)
        variables = {"rehearsal_state": str(STATE), **tiny_mixtral()}
        play_site(inventory(folder / "first", [RECORDED]), variables, folder / "first.jsonl")
        for file, change in ((RECORDING, {}), (ROLL, CHANGE)):
            calls = record_site(folder / file.stem, {**variables, **change})
            content = {
                "host": RECORDED,
                "address": "",
                "variables": {**fleet_variables(release), **change},
                "calls": calls,
            }
            file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def record_site(folder: Path, variables: dict[str, Any]) -> list[dict[str, Any]]:
    # The image of the host has no sudo, and it is not needed.
    recording: dict[str, Any] = {"ansible_connection": "record", "ansible_user": "root"}
    lines = folder.with_suffix(".jsonl")
    recording |= {"record_file": str(lines), "record_command": ["docker", "exec", "--interactive", RECORDED]}
    play_site(inventory(folder, [RECORDED], **recording), variables, folder.with_suffix(".results"))
    return recorded(lines.read_text(encoding="utf-8"))


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
        "trtllm_roll": {"batch": BATCH},
    }


def measure(folder: Path, size: int, forks: int, kind: Kind) -> tuple[Run, list[object]]:
    results = folder / "results.jsonl"
    run = play(fleet(folder, size, kind.recording), results, forks)
    text = results.read_text(encoding="utf-8")
    if run.status:
        raise SystemExit(f"{run.output[-5000:]}\nthe site failed with status {run.status}")
    numbers = recap(run.output)
    kind.check(numbers, text)
    if len(numbers) != size:
        raise SystemExit(f"{len(numbers)} of {size} hosts are in the recap")
    tasks, modules = max(count["ok"] for count in numbers.values()), max(modules_by_host(text).values())
    print(f"{kind.name}: {size} hosts: {run._replace(output='')}", file=sys.stderr, flush=True)
    costs = [f"{run.wall:.0f}", f"{run.cpu:.0f}", f"{run.memory:.0f}", f"{run.cpu / size:.2f}"]
    return run, [kind.name, size, tasks, modules, *costs]


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
    parser.add_argument("--roll", type=int, nargs="*", default=[200], help="numbers of hosts that are rolled")
    parser.add_argument("--forks", type=int, default=5, help="processes of Ansible")
    parser.add_argument("--record", action="store_true", help="record a rehearsal host first")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.record:
        record()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            folder, forks = Path(temporary), arguments.forks
            idle = [measure(folder, size, forks, IDLE) for size in arguments.sizes]
            rolls = [measure(folder, size, forks, ROLLED) for size in arguments.roll]
        except NotMeasured as exc:
            raise SystemExit(str(exc)) from exc
    bounded = [exceeded(run) for run, row in idle if row[1] == BOUND_HOSTS]
    verdict = f"Without {BOUND_HOSTS} hosts, no bounds apply."
    if bounded:
        verdict = f"The bounds are exceeded: {'; '.join(bounded[0])}." if bounded[0] else "The bounds are kept."
    measured = table(HEAD, [row for _run, row in idle + rolls])
    text = f"{measured}\n\n{verdict}\n\nOn {machine()}; one run each, {arguments.forks} forks."
    print(text)
    if arguments.write:
        write_section("scale", text)


if __name__ == "__main__":
    main()
