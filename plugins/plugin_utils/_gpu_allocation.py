# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Which deployment of a host gets which of its GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import ranges

# How many, or which; None for what the others leave.
Wanted = Any


@dataclass(frozen=True)
class Allocation:
    """Indexes of GPUs by deployment, and by deployment why it gets none of those that it asks for."""

    gpus: Mapping[str, tuple[int, ...]]
    refused: Mapping[str, str]


def allocate(wanted: Mapping[str, Wanted], found: Sequence[int]) -> Allocation:
    """`found`: the indexes of the host's GPUs. GPUs that are named go first, then numbers of GPUs, then the rest."""
    assigned = _Assigned(list(found), dict.fromkeys(wanted, ()))
    for kind in (tuple, int, type(None)) if found else ():
        names = [name for name, wish in wanted.items() if isinstance(wish, kind)]
        for name in names:
            assigned.give(name, wanted[name], alone=len(names) == 1)
    return Allocation(assigned.gpus, assigned.refused)


@dataclass
class _Assigned:
    found: list[int]
    gpus: dict[str, tuple[int, ...]]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def free(self) -> list[int]:
        return [index for index in self.found if not any(index in indexes for indexes in self.gpus.values())]

    def give(self, name: str, wish: Wanted, alone: bool) -> None:
        """`alone`: whether it is the only deployment that does not say what it wants, and so gets the rest."""
        if isinstance(wish, tuple):
            indexes, problem = wish, self._problem_of(wish)
        elif isinstance(wish, int):
            indexes = tuple(self.free[:wish])
            problem = "" if len(indexes) == wish else f"{wish} GPUs are asked for, {self._said()}"
        else:
            indexes = tuple(self.free)
            problem = "" if alone and indexes else f"must say which GPUs, or how many: {self._said()}"
        if problem:
            self.refused[name] = problem
        else:
            self.gpus[name] = indexes

    def _problem_of(self, indexes: Sequence[int]) -> str:
        missing = [index for index in indexes if index not in self.found]
        if missing:
            return f"the host has no GPU {ranges(missing)}, but {ranges(self.found)}"
        taken = {index: name for name, others in self.gpus.items() for index in others if index in indexes}
        return f"GPU {ranges(taken)} is used by {', '.join(sorted(set(taken.values())))}" if taken else ""

    def _said(self) -> str:
        has = ", ".join(f"{name} has {ranges(indexes)}" for name, indexes in self.gpus.items() if indexes)
        free = len(self.free)
        return f"{free} of {len(self.found)} {'is' if free == 1 else 'are'} free" + (f" ({has})" if has else "")
