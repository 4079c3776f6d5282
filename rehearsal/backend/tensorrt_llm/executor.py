# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where LLM() computes: in this process, or in worker processes that it starts over MPI, as upstream does.

The workers form an MPI world of their own. Rank 0 in it generates; this process only talks to rank 0.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from trtllm_cpu import log, ranks
from trtllm_cpu.checkpoint import read_rank
from trtllm_cpu.generation import Generator, Limits, Network, Request, RequestError, Step, Update
from trtllm_cpu.guiding import Grammar, Guides
from trtllm_cpu.network import Llama
from trtllm_cpu.sampling import Sampling

OnUpdate = Callable[[Update], None]
OnStep = Callable[[Step], None]


@dataclass(frozen=True)
class Job:
    """What the workers serve."""

    folder: str
    dtype: str
    cut: Cut
    limits: Limits
    tokenizer_file: str
    end_ids: Sequence[int]


@dataclass(frozen=True)
class Task:
    """One sequence to complete, in a form that can be sent to another process."""

    prompt: list[int]
    max_new_tokens: int
    sampling: Sampling
    most_likely: int | None = None
    grammar: Grammar | None = None


class Executor(Protocol):
    def submit(self, task: Task, on_update: OnUpdate) -> Callable[[], None]:
        """Start a task; returns the function that cancels it."""

    def is_alive(self) -> bool:
        """Whether it can generate, as far as this process has noticed."""

    def close(self) -> None:
        """End the tasks and the processes."""


class InProcess:
    """Generates in a thread of this process."""

    def __init__(self, job: Job, network: Network, on_step: OnStep | None = None):
        self._generator = Generator(network, job.limits, on_step)
        self._guides = Guides(job.tokenizer_file, job.end_ids)
        self._thread = threading.Thread(target=self._generator.serve, name="generator", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, job: Job, on_step: OnStep | None = None) -> InProcess:
        return cls(job, Llama(*read_rank(Path(job.folder), job.dtype, job.cut, 0)), on_step)

    def submit(self, task: Task, on_update: OnUpdate) -> Callable[[], None]:
        cancelled = threading.Event()
        guide = None if task.grammar is None else self._guides.make(task.grammar)
        self._generator.submit(
            Request(
                task.prompt,
                task.max_new_tokens,
                task.sampling,
                on_update,
                cancelled.is_set,
                guide=guide,
                most_likely=task.most_likely,
            )
        )
        return cancelled.set

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self._generator.close()
        self._thread.join()


class WorkersError(Exception):
    """The workers did not start."""


class MpiWorkers:
    """Starts the workers with mpi4py's pool, which spawns them over MPI, and sends the tasks to rank 0."""

    def __init__(self, job: Job, on_step: OnStep):
        from mpi4py.futures import MPIPoolExecutor

        count = job.cut.world_size
        log.info("rank 0 using MpiPoolSession to spawn MPI processes")
        log.info(f"start MpiSession with {count} workers")
        self._on_step = on_step
        self._on_update: dict[int, OnUpdate] = {}
        self._numbers = itertools.count()
        key = os.urandom(32)
        self._folder = tempfile.TemporaryDirectory(prefix="trtllm-", ignore_cleanup_errors=True)
        listener = Listener(f"{self._folder.name}/worker", "AF_UNIX", authkey=key)
        # the workers need not import this program's main module
        self._pool = MPIPoolExecutor(max_workers=count, path=sys.path, main=False)
        for _rank in range(count):
            done = self._pool.submit(work, job, listener.address, key)
            done.add_done_callback(partial(_report_failure, listener.address, key))
        self._channel = listener.accept()
        listener.close()
        reason = self._channel.recv()
        if reason is not None:
            raise WorkersError(reason)
        log.info("get signal from executor worker")
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._receive, name="updates", daemon=True)
        self._thread.start()

    def submit(self, task: Task, on_update: OnUpdate) -> Callable[[], None]:
        number = next(self._numbers)
        self._on_update[number] = on_update
        self._send((number, task))
        return partial(self._send, (number, None))

    def _send(self, message: Any) -> None:
        with self._sending:
            try:
                self._channel.send(message)
            except OSError:
                # rank 0 is gone: like upstream, a request then waits for an answer that does not come
                log.warning("the executor's workers cannot be reached")

    def _receive(self) -> None:
        try:
            while (message := self._channel.recv()) is not None:
                self._dispatch(*message)
        except (EOFError, OSError):
            log.warning("the connection to the executor's workers is closed")

    def _dispatch(self, number: int | None, what: Any) -> None:
        if number is None:
            self._on_step(what)
            return
        on_update = self._on_update.pop(number) if what.finished else self._on_update[number]
        on_update(what)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        alive = self.is_alive()
        self._send(None)
        self._thread.join()
        self._pool.shutdown(wait=alive)
        self._folder.cleanup()


def _report_failure(address: str, key: bytes, done: Any) -> None:
    """Tells the process that waits for rank 0 why it will not come."""
    if done.exception() is not None:
        with Client(address, "AF_UNIX", authkey=key) as channel:
            channel.send(f"Executor worker returned error: {done.exception()}")


def work(job: Job, address: str, key: bytes) -> None:
    """A worker's whole life."""
    world = ranks.communicator()
    rank = world.Get_rank()
    parts = read_rank(Path(job.folder), job.dtype, job.cut, rank)
    if job.cut.world_size == 1:
        serve(job, Llama(*parts), address, key)
        return
    network = Llama(*parts, ranks.MpiGroup(world, job.cut.tp_size))
    world.Barrier()
    if rank:
        ranks.follow(network, world)
        return
    leader = ranks.Leader(network, world)
    serve(job, leader, address, key)
    leader.close()


def serve(job: Job, network: Network, address: str, key: bytes) -> None:
    """Rank 0: generate what the parent process asks for until it closes or ends."""
    with Client(address, "AF_UNIX", authkey=key) as channel:
        sending = threading.Lock()

        def send(number: int | None, what: Any) -> None:
            with sending:
                channel.send((number, what))

        executor = InProcess(job, network, partial(send, None))
        cancels: dict[int, Callable[[], None]] = {}
        channel.send(None)
        while (message := _next(channel)) is not None:
            number, task = message
            if task is None:
                cancels.pop(number, lambda: None)()
            else:
                _start(executor, number, task, send, cancels)
        executor.close()
        channel.send(None)


def _next(channel: Connection) -> Any:
    try:
        return channel.recv()
    except EOFError:
        return None


def _start(
    executor: InProcess,
    number: int,
    task: Task,
    send: Callable[[int | None, Any], None],
    cancels: dict[int, Callable[[], None]],
) -> None:
    def on_update(update: Update) -> None:
        if update.finished:
            cancels.pop(number, None)
        # a row of logits is as large as the vocabulary, and only Triton's backend returns it
        send(number, replace(update, logits=[]))

    try:
        cancels[number] = executor.submit(task, on_update)
    except RequestError as error:
        send(number, Update(finished=True, error=str(error)))
