# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts as text that reviewers can compare: each value once, below the cases that have it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Dict, Tuple

from ansible_collections.tritonops.trtllm.tests.unit.golden.plan_facts import Facts

Case = Tuple[str, ...]
# The values that belong together, for each dimension of a case.
Box = Tuple[Sequence[str], ...]
Cases = Dict[Case, Facts]

NONE = ["none"]
EVERY = ("*",)
SECTION = re.compile(r"^\[(.+)\]\n", re.MULTILINE)
VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
MOST_SECTIONS, MOST_LINES = 3, 16


def every_fact(heading: str, cases: Cases, topic: str) -> Iterator[str]:
    """A section for each fact of the topic. The only fact of a refused plan is its refusal."""
    planned = {case: facts for case, facts in cases.items() if topic == "refusals" or "refusals" not in facts}
    for name in sorted({name for facts in planned.values() for name in facts if name.split(".")[0] == topic}):
        values = {case: facts.get(name, NONE) for case, facts in planned.items()}
        yield "".join([f"[{heading}: {name}]\n", *_groups(values, planned)])


def changed_facts(heading: str, cases: Cases, plain: Cases) -> str:
    """A section with the facts that differ from those of the plain request."""
    changed: dict[str, dict[Case, list[str]]] = {}
    for case, facts in cases.items():
        names = ["refusals"] if "refusals" in facts else [*facts, *plain[case]]
        for name in names:
            if facts.get(name) != plain[case].get(name):
                changed.setdefault(name, {})[case] = facts.get(name, NONE)
    # Keys are derived from other facts.
    names = sorted(changed, key=lambda name: (name.startswith("key."), name))
    groups = [group for name in names for group in _groups(changed[name], cases, f"{name} / ")]
    return "".join([f"[{heading}]\n", *(groups or ["nothing differs\n"])])


def _groups(values: Mapping[Case, list[str]], universe: Collection[Case], label: str = "") -> Iterator[str]:
    """Each value once, below the cases that have it; `*` means all cases of the universe."""
    by_value: dict[tuple[str, ...], list[Case]] = {}
    for case, lines in values.items():
        by_value.setdefault(tuple(lines), []).append(case)
    every = _values_after(universe)
    for lines, cases in by_value.items():
        names = "\n".join(label + _named(box, every[()]) for box in _boxes(cases, every))
        yield f"{names}: {lines[0]}\n" if len(lines) == 1 else "\n    ".join([f"{names}:", *lines]) + "\n"


def _values_after(universe: Collection[Case]) -> dict[Case, list[str]]:
    """The values that may follow, by the beginning of a case."""
    found: dict[Case, dict[str, None]] = {}
    for case in universe:
        for place, value in enumerate(case):
            found.setdefault(case[:place], {})[value] = None
    return {beginning: list(values) for beginning, values in found.items()}


def _boxes(cases: Sequence[Case], every: Mapping[Case, list[str]]) -> list[Box]:
    """The cases in few boxes: those that differ in one dimension only are merged, starting with the last dimension."""
    boxes: list[Box] = [tuple((value,) for value in case) for case in cases]
    for place in reversed(range(len(boxes[0]))):
        merged: dict[tuple[Box, Box], list[str]] = {}
        for box in boxes:
            merged.setdefault((box[:place], box[place + 1 :]), []).extend(box[place])
        boxes = [
            (*before, EVERY if values == every[tuple(value for (value,) in before)] else tuple(values), *after)
            for (before, after), values in merged.items()
        ]
    return boxes


def _named(box: Box, order: Sequence[str]) -> str:
    return " / ".join(_ranges(values, order) if VERSION.match(values[0]) else ", ".join(values) for values in box)


def _ranges(versions: Sequence[str], order: Sequence[str]) -> str:
    """Consecutive versions as 0.9.0..0.12.0."""
    runs: list[list[str]] = []
    for version in versions:
        if runs and order.index(version) == order.index(runs[-1][-1]) + 1:
            runs[-1].append(version)
        else:
            runs.append([version])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def first_differences(recorded: str, made: str) -> str:
    """The changes in the first few sections that differ, and the number of others; empty without differences."""
    old, new = _sections(recorded), _sections(made)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    shown = []
    for name in names[:MOST_SECTIONS]:
        lines = list(_changes(*(text.get(name, "").splitlines() for text in (old, new))))
        more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
        shown += [f"[{name}]", *lines[:MOST_LINES], *more]
    rest = len(names) - MOST_SECTIONS
    return "\n".join([*shown, *([f"and {rest} more sections"] if rest > 0 else [])])


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """Each changed line, before and after, below the last unchanged one."""
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if tag != "equal":
            yield from (f" {line}" for line in old[max(0, start - 1) : start])
            for pair in zip_longest(old[start:end], new[new_start:new_end]):
                yield from (f"{sign}{line}" for sign, line in zip("-+", pair) if line is not None)


def _sections(text: str) -> dict[str, str]:
    head, *parts = SECTION.split(text)
    return {"head": head, **dict(zip(parts[::2], parts[1::2]))}
