# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Series of a fleet under healthy load: those that record.py recorded, and those of healthy.yml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import exporters, read, series

HERE = Path(__file__).parent
RECORDED = HERE / "recorded.json"
MINUTES = 240
"""How long the series of tests are."""

HEALTHY = read(HERE / "healthy.yml")
TARGETS: dict[str, str] = HEALTHY["targets"]


def normal(name: str) -> str:
    """A series by its name, the name of its target and its sorted labels."""
    found = re.fullmatch(r"(\w+){@(\w+)(.*)}", name)
    assert found, name
    metric, target, rest = found.groups()
    labels = sorted(re.findall(r'\w+="[^"]*"', rest))
    return f"{metric}{{{','.join([f'@{target}', *labels])}}}"


def named(name: str, known: Iterable[str]) -> list[str]:
    """The series itself, or with `le<` those buckets of the known ones."""
    below = re.fullmatch(r'(\w+{@\w+),le<"(\d+)"}', name)
    if not below:
        return [normal(name)]
    buckets = [(one, re.search(r'le="([^"]+)"', one)) for one in known if one.startswith(below[1] + ",")]
    found = [one for one, bucket in buckets if bucket and float(bucket[1]) < float(below[2])]
    assert found, name
    return found


def labels_of(target: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', TARGETS[target]))


SYNTHETIC = {normal(name): values for name, values in HEALTHY["series"].items()}


@cache
def recorded_series() -> dict[str, str]:
    """The recording again and again: gauges start anew, and counters go on."""
    found = json.loads(RECORDED.read_text(encoding="utf-8"))["series"]
    return {name: _longer(values, name.partition("{")[0] in _cumulative()) for name, values in found.items()}


def healthy_series() -> dict[str, str]:
    return {**recorded_series(), **SYNTHETIC}


@cache
def _cumulative() -> frozenset[str]:
    kinds = {name: kind for known in exporters().values() for name, kind in known.items()}
    every = frozenset().union(*map(series, exporters()))
    return frozenset(name for name in every if kinds.get(name) == "counter" or re.search(r"_(bucket|sum|count)$", name))


def _longer(values: str, cumulative: bool) -> str:
    constant = re.fullmatch(r"(\S+)\+0x\d+", values)
    if constant:
        return f"{constant[1]}+0x{MINUTES}"
    numbers = [float(value) for value in values.split()]
    period = len(numbers) - 1
    rise = numbers[-1] - numbers[0] if cumulative else 0
    long = [numbers[minute % period] + minute // period * rise for minute in range(MINUTES + 1)]
    return " ".join(f"{number:.12g}" for number in long)
