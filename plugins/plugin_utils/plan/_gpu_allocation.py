# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Which deployment of a host gets which of its GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import on_gpus, ranges
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted

# How many GPUs, or their indexes; None for those that the other deployments leave.
GpuRequest = Any


@dataclass(frozen=True)
class Allocation:
    """Indexes of GPUs by deployment, and the reason by deployment if its GPUs cannot be allocated."""

    gpus: Mapping[str, tuple[int, ...]]
    refused: Mapping[str, str]


def allocate(requests: Mapping[str, GpuRequest], found: Sequence[int]) -> Allocation:
    """`found`: the indexes of the host's GPUs. Requests for indexes go first, then numbers, then the rest."""
    assigned = _Assigned(list(found), dict.fromkeys(requests, ()))
    for kind in (tuple, int, type(None)) if found else ():
        names = [name for name, request in requests.items() if isinstance(request, kind)]
        for name in names:
            assigned.give(name, requests[name], alone=len(names) == 1)
    return Allocation(assigned.gpus, assigned.refused)


@dataclass
class _Assigned:
    found: list[int]
    gpus: dict[str, tuple[int, ...]]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def free(self) -> list[int]:
        return [index for index in self.found if not any(index in indexes for indexes in self.gpus.values())]

    def give(self, name: str, request: GpuRequest, alone: bool) -> None:
        """`alone`: whether it is the only deployment without a request, and therefore gets the rest."""
        if isinstance(request, tuple):
            indexes, problem = request, self._problem_of(request)
        elif isinstance(request, int):
            indexes = tuple(self.free[:request])
            problem = "" if len(indexes) == request else f"{counted(request, 'GPU')} requested, {self._free_text()}"
        else:
            indexes = tuple(self.free)
            problem = "" if alone and indexes else f"must be a number of GPUs or their indexes: {self._free_text()}"
        if problem:
            self.refused[name] = problem
        else:
            self.gpus[name] = indexes

    def _problem_of(self, indexes: Sequence[int]) -> str:
        missing = [index for index in indexes if index not in self.found]
        if missing:
            return f"the host has no {on_gpus(missing)}; it has {on_gpus(self.found)}"
        taken = {index: name for name, others in self.gpus.items() for index in others if index in indexes}
        users = ", ".join(sorted(set(taken.values())))
        return f"{on_gpus(taken)} {'is' if len(taken) == 1 else 'are'} used by {users}" if taken else ""

    def _free_text(self) -> str:
        has = ", ".join(f"{name} has {ranges(indexes)}" for name, indexes in self.gpus.items() if indexes)
        free = len(self.free)
        return f"{free} of {len(self.found)} {'is' if free == 1 else 'are'} free" + (f" ({has})" if has else "")
