# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The communication between the ranks of one network; `ranks.py` has the group over MPI."""

from __future__ import annotations

from typing import Protocol

import numpy as np

Array = np.ndarray


class Group(Protocol):
    """A rank's position: `rank` of `size` ranks that share a stage's layers, in stage `stage` of `stages`."""

    rank: int
    size: int
    stage: int
    stages: int

    def all_reduce(self, partial: Array) -> Array:
        """The sum of `partial` over all ranks of this stage."""

    def all_gather(self, part: Array) -> Array:
        """The `part` of all ranks of this stage, concatenated along the last axis."""

    def send(self, array: Array, stage: int) -> None:
        """Send to the same rank of another stage."""

    def receive(self, shape: tuple[int, ...], stage: int) -> Array:
        """Receive from the same rank of another stage."""


class Alone:
    """A group of one."""

    rank = 0
    size = 1
    stage = 0
    stages = 1

    def all_reduce(self, partial: Array) -> Array:
        return partial

    def all_gather(self, part: Array) -> Array:
        return part

    def send(self, array: Array, stage: int) -> None:
        raise NotImplementedError("there is one stage only")

    def receive(self, shape: tuple[int, ...], stage: int) -> Array:
        raise NotImplementedError("there is one stage only")
