# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of a run of the site, from Ansible's output and the results that the callback task_results wrote."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Actions of ansible.builtin that only run on the control node, in addition to those that include or import something.
CONTROL_ONLY = {
    *("add_host", "assert", "debug", "fail", "group_by", "meta", "pause", "set_fact", "set_stats"),
    "validate_argument_spec",
}
# Actions of this collection that only run on the control node.
OWN_CONTROL_ONLY = {"tritonops.trtllm.show", "tritonops.trtllm.trtllm_plan"}
_RECAP = re.compile(r"^(\S+)\s+: ((?:\w+=\d+\s*)+)$", re.MULTILINE)


class NotMeasured(Exception):
    """The run changed something or failed, or changed nothing although it should, so it cannot be measured."""


@dataclass(frozen=True)
class Measured:
    """A run. `tasks` and `modules` are those of the host with the most, because some tasks run on one host only."""

    hosts: int
    wall: float
    cpu: float
    tasks: int
    modules: int


# For one host, on a machine with two processors.
BOUNDS = Measured(hosts=1, wall=30, cpu=15, tasks=45, modules=25)


def recap(output: str) -> dict[str, dict[str, int]]:
    """The counters after PLAY RECAP, by host."""
    _before, found, lines = output.rpartition("PLAY RECAP")
    if not found:
        raise NotMeasured(f"ansible-playbook did not finish:\n{output[-2000:]}")
    return {
        host: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", numbers)}
        for host, numbers in _RECAP.findall(lines)
    }


def check_idle(numbers: dict[str, dict[str, int]], results: str) -> None:
    """Raise NotMeasured, with the tasks that changed something, unless all hosts were idle and reachable."""
    busy = [
        f"{host}: {name}={count[name]}"
        for host, count in numbers.items()
        for name in ("changed", "failed", "unreachable")
        if count[name]
    ]
    if busy or not numbers:
        changed = [f"{line['host']}: {line['task']}" for line in _lines(results) if line["changed"]]
        raise NotMeasured("\n".join(["the run should not change anything:", *busy, *changed]))


def check_rolled(numbers: dict[str, dict[str, int]]) -> None:
    """Raise NotMeasured unless something was changed on every host, and none failed."""
    wrong = [host for host, count in numbers.items() if count["failed"] or count["unreachable"] or not count["changed"]]
    if wrong or not numbers:
        raise NotMeasured(f"hosts that were not rolled: {', '.join(wrong) or 'all'}")


def is_on_host(action: str, delegated: bool) -> bool:
    """Whether a module ran on the host itself."""
    name = action.rpartition("ansible.builtin.")[2]
    alone = name in CONTROL_ONLY or name.startswith(("include_", "import_")) or action in OWN_CONTROL_ONLY
    return not (alone or delegated)


def modules_by_host(results: str) -> Counter[str]:
    """The number of tasks that ran a module on each host. `results` is the output of the callback task_results."""
    return Counter(line["host"] for line in _lines(results) if is_on_host(line["action"], line["delegated"]))


def measured(output: str, results: str, wall: float, cpu: float) -> Measured:
    numbers = recap(output)
    check_idle(numbers, results)
    return Measured(
        hosts=len(numbers),
        wall=wall,
        cpu=cpu,
        tasks=max(count["ok"] for count in numbers.values()),
        modules=max(modules_by_host(results).values(), default=0),
    )


def exceeded(found: Measured) -> list[str]:
    """The bounds for one host that the run exceeded."""
    if found.hosts != BOUNDS.hosts:
        return []
    pairs = [(name, getattr(found, name), getattr(BOUNDS, name)) for name in ("tasks", "modules", "wall", "cpu")]
    return [f"{name} {have:g}, at most {most:g}" for name, have, most in pairs if have > most]


def rows(runs: Iterable[Measured]) -> list[Sequence[object]]:
    return [(run.hosts, run.tasks, run.modules, f"{run.wall:.1f}", f"{run.cpu:.1f}") for run in runs]


def _lines(results: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in results.splitlines()]
