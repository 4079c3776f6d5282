# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranks of a network over MPI: rank 0 leads, and the others follow it step by step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from . import log
from .group import Array
from .network import Chunk, Llama, Shape

if TYPE_CHECKING:
    from mpi4py.MPI import Comm

# MPI waits in a busy loop, but there may be more ranks than processors, and nothing to do for days. So a waiting rank
# polls, first without pauses, and then sleeps between polls for a fiftieth of the time waited, up to a limit.
EAGER_SECONDS = 50e-6
LONGEST_PAUSE = 5e-3


def wait_until(is_done: Callable[[], bool]) -> None:
    started = time.monotonic()
    while not is_done():
        waited = time.monotonic() - started
        if waited > EAGER_SECONDS:
            time.sleep(min(waited / 50, LONGEST_PAUSE))


@dataclass(frozen=True)
class World:
    """The environment variables that mpirun sets for this process."""

    size: int
    local_size: int
    rank: int

    @classmethod
    def of_environment(cls) -> World:
        size = int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1"))
        return cls(
            size,
            int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", size)),
            int(os.environ.get("OMPI_COMM_WORLD_RANK", "0")),
        )


def communicator() -> Comm:
    """Initialises MPI, which waits until all ranks have done so."""
    import mpi4py

    # When a server is stopped, its processes may be killed at any time, so none waits for the others when it ends.
    mpi4py.rc.finalize = False
    from mpi4py import MPI

    return MPI.COMM_WORLD


class MpiGroup:
    """Tensor parallel ranks are neighbours; stages follow each other."""

    def __init__(self, world: Comm, tp_size: int):
        self.size = tp_size
        self.stages = world.Get_size() // tp_size
        self.stage, self.rank = divmod(world.Get_rank(), tp_size)
        self._within_stage = world.Split(self.stage, self.rank)
        self._across_stages = world.Split(self.rank, self.stage)

    def all_reduce(self, partial: Array) -> Array:
        total = np.empty(partial.shape, partial.dtype)
        wait_until(self._within_stage.Iallreduce(np.ascontiguousarray(partial), total).Test)
        return total

    def all_gather(self, part: Array) -> Array:
        parts = np.empty((self.size, *part.shape), part.dtype)
        wait_until(self._within_stage.Iallgather(np.ascontiguousarray(part), parts).Test)
        return np.concatenate(list(parts), axis=-1)

    def send(self, array: Array, stage: int) -> None:
        wait_until(self._across_stages.Isend(np.ascontiguousarray(array), dest=stage).Test)

    def receive(self, shape: tuple[int, ...], stage: int) -> Array:
        array = np.empty(shape, np.float32)
        wait_until(self._across_stages.Irecv(array, source=stage).Test)
        return array


class Leader:
    """Rank 0's network: all ranks take every step."""

    def __init__(self, network: Llama, world: Comm):
        self._network = network
        self._world = world

    @property
    def shape(self) -> Shape:
        return self._network.shape

    def step(self, chunks: Sequence[Chunk], forgotten: Sequence[int] = ()) -> list[Array]:
        try:
            self._tell((chunks, forgotten))
            return self._network.step(chunks, forgotten)
        except Exception as error:
            abort(self._world, error)

    def close(self) -> None:
        self._tell(None)

    def _tell(self, what: tuple[Sequence[Chunk], Sequence[int]] | None) -> None:
        for rank in range(1, self._world.Get_size()):
            self._world.send(what, dest=rank)


def follow(network: Llama, world: Comm) -> None:
    """Run a worker until the leader closes."""
    try:
        while (told := _next(world)) is not None:
            network.step(*told)
    except Exception as error:
        abort(world, error)


def _next(world: Comm) -> tuple[Sequence[Chunk], Sequence[int]] | None:
    """The next message of the leader."""
    wait_until(lambda: world.Iprobe(source=0))
    told: tuple[Sequence[Chunk], Sequence[int]] | None = world.recv(source=0)
    return told


def abort(world: Comm, error: Exception) -> NoReturn:
    """End all ranks, because the others would wait for this one forever in the middle of a step."""
    reason = f"{type(error).__name__}: {error}"
    log.runtime("ERROR", f"Encountered an error in forwardAsync function: {reason} (rank {world.Get_rank()})")
    world.Abort(1)
    raise error
