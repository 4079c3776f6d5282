# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-flight batching: each step runs the next tokens of all active sequences through the network together."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .network import Array, Chunk, Shape
from .sampling import Sampler, Sampling, ends_with_any, most_likely

# A long prompt is processed in parts of this size, so that other sequences do not wait for all of it.
PREFILL_TOKENS = 512


@dataclass(frozen=True)
class Limits:
    """The engine's build limits."""

    max_seq_len: int
    max_num_tokens: int
    max_batch_size: int
    max_prompt_len: int | None = None

    @classmethod
    def of(cls, build: Mapping[str, Any]) -> Limits:
        """From an engine's `build_config`. With max_output_len it reserves space for a prompt and for an answer."""
        sizes = build["max_num_tokens"], build["max_batch_size"]
        if "max_output_len" in build:
            return cls(build["max_input_len"] + build["max_output_len"], *sizes, build["max_input_len"])
        return cls(build["max_seq_len"], *sizes)

    @property
    def max_input_len(self) -> int:
        return min(self.max_prompt_len or self.max_seq_len - 1, self.max_num_tokens)


@dataclass
class Update:
    """The result of a step for one sequence."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    most_likely: list[dict[int, float]] = field(default_factory=list)
    queue_seconds: float = field(default=0.0, compare=False)
    finished: bool = False
    error: str | None = None


class Guide(Protocol):
    """What a sequence may contain."""

    def allow(self, logits: np.ndarray) -> np.ndarray:
        """The logits, with minus infinity for tokens that may not come next."""

    def accept(self, token: int) -> None:
        """The token was chosen."""


@dataclass
class Step:
    """Counts of one pass through the network."""

    seconds: float
    waiting: int
    contexts: int
    context_tokens: int
    generating: int
    cached_tokens: int


@dataclass
class Request:
    """One sequence to complete. `on_update` is called in the generating thread and must not block for long."""

    prompt: list[int]
    max_new_tokens: int
    sampling: Sampling
    on_update: Callable[[Update], None]
    is_cancelled: Callable[[], bool] = lambda: False
    on_context_logits: Callable[[np.ndarray], None] | None = None
    guide: Guide | None = None
    # how many of the most likely tokens to report; None for no report
    most_likely: int | None = None


class RequestError(ValueError):
    """The request cannot be served by this engine."""


class Network(Protocol):
    """A network on one rank, or the leading one of several ranks."""

    @property
    def shape(self) -> Shape: ...

    def step(self, chunks: Sequence[Chunk], forgotten: Sequence[int] = ()) -> list[Array]: ...


class Running:
    """A request in the batch."""

    def __init__(self, request: Request, sequence: int, max_new_tokens: int):
        self.request = request
        self.sequence = sequence
        self.computed = 0
        self.max_new_tokens = max_new_tokens
        self.tokens = list(request.prompt)
        self.sampler = Sampler(request.sampling)
        self.arrived = time.monotonic()
        self.queue_seconds = 0.0

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt)

    @property
    def pending(self) -> int:
        """Tokens that have not gone through the network yet."""
        return len(self.tokens) - self.computed

    def next_chunk(self, budget: int) -> Chunk:
        tokens = self.tokens[self.computed : self.computed + budget]
        if self.generated == 0 and self.request.on_context_logits:
            return Chunk(self.sequence, tokens, wanted=len(tokens))
        return Chunk(self.sequence, tokens, wanted=int(len(tokens) == self.pending))

    def accept(self, logits: np.ndarray) -> Update:
        """Choose the next token; the end token itself is not part of the answer."""
        sampling, guide = self.request.sampling, self.request.guide
        if guide is not None:
            logits = guide.allow(logits)
        token, log_prob = self.sampler.choose(logits, self.tokens, self.generated)
        if token == sampling.end_id:
            return Update(finished=True, queue_seconds=self.queue_seconds)
        if guide is not None:
            guide.accept(token)
        self.tokens.append(token)
        count = self.request.most_likely
        likely = [] if count is None else [most_likely(logits, count, token)]
        done = self.generated >= self.max_new_tokens
        stopped = self.generated >= sampling.min_length and ends_with_any(
            self.tokens[len(self.request.prompt) :], sampling.stop_words
        )
        return Update([token], [log_prob], [logits], likely, self.queue_seconds, finished=done or stopped)


class Generator:
    """The queue of requests and the current batch."""

    def __init__(self, network: Network, limits: Limits, on_step: Callable[[Step], None] | None = None):
        self._network = network
        self._limits = limits
        self._on_step = on_step
        self._sequences = itertools.count()
        self._forgotten: list[int] = []
        self._waiting: deque[Running] = deque()
        self._running: list[Running] = []
        self._wake = threading.Condition()
        self._closed = False

    def submit(self, request: Request) -> None:
        running = self._admit(request)
        with self._wake:
            self._waiting.append(running)
            self._wake.notify()

    def _admit(self, request: Request) -> Running:
        length, limits = len(request.prompt), self._limits
        if length > limits.max_input_len:
            raise RequestError(
                f"Prompt length ({length}) exceeds maximum input length ({limits.max_input_len}). Set log level to "
                "info and check TRTGptModel logs for how maximum input length is set"
            )
        if length == 0:
            raise RequestError("Prompt length (0) must be at least 1")
        if request.max_new_tokens < 1:
            raise RequestError(f"maxNewTokens ({request.max_new_tokens}) must be greater than 0")
        vocab = self._network.shape.vocab
        if not all(0 <= token < vocab for token in request.prompt):
            raise RequestError(f"input_ids must be in the range [0, {vocab})")
        allowed = min(request.max_new_tokens, limits.max_seq_len - length)
        return Running(request, next(self._sequences), allowed)

    def serve(self) -> None:
        """Run steps while there is work, otherwise wait; return after `close`."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._waiting or self._running or self._forgotten)
                if self._closed:
                    return
            try:
                self.step()
            except Exception as error:  # after a failed step, later requests must still be answered
                self._fail_running(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        with self._wake:
            self._closed = True
            self._wake.notify()

    def step(self) -> None:
        """One pass through the network for the whole batch."""
        self._drop_cancelled()
        self._fill_batch()
        planned = self._plan()
        forgotten, self._forgotten = self._forgotten, []
        if not planned and not forgotten:
            return
        started = time.monotonic()
        logits = self._network.step([chunk for _running, chunk in planned], forgotten)
        if self._on_step is not None and planned:
            self._on_step(self._count(planned, time.monotonic() - started))
        for (running, chunk), rows in zip(planned, logits):
            running.computed += len(chunk.tokens)
            if running.generated == 0 and running.request.on_context_logits:
                running.request.on_context_logits(rows)
            if running.pending == 0:
                self._advance(running, rows[-1])

    def _count(self, planned: Sequence[tuple[Running, Chunk]], seconds: float) -> Step:
        contexts = [chunk for running, chunk in planned if running.generated == 0]
        return Step(
            seconds=seconds,
            waiting=len(self._waiting),
            contexts=len(contexts),
            context_tokens=sum(len(chunk.tokens) for chunk in contexts),
            generating=len(planned) - len(contexts),
            cached_tokens=sum(running.computed + len(chunk.tokens) for running, chunk in planned),
        )

    def _fail_running(self, reason: str) -> None:
        for running in list(self._running):
            self._drop(running)
            running.request.on_update(Update(finished=True, error=reason))

    def _drop(self, running: Running) -> None:
        self._running.remove(running)
        self._forgotten.append(running.sequence)

    def _advance(self, running: Running, logits: np.ndarray) -> None:
        update = running.accept(logits)
        if update.finished:
            self._drop(running)
        running.request.on_update(update)

    def _drop_cancelled(self) -> None:
        for running in [run for run in self._running if run.request.is_cancelled()]:
            self._drop(running)
            running.request.on_update(Update(finished=True, error="Request was cancelled"))

    def _fill_batch(self) -> None:
        with self._wake:
            while self._waiting and len(self._running) < self._limits.max_batch_size:
                running = self._waiting.popleft()
                running.queue_seconds = time.monotonic() - running.arrived
                self._running.append(running)

    def _plan(self) -> list[tuple[Running, Chunk]]:
        """Generating sequences come first, with one token each; prompts share the rest of the step."""
        budget = min(self._limits.max_num_tokens, max(PREFILL_TOKENS, len(self._running)))
        planned = []
        for running in sorted(self._running, key=lambda run: run.pending):
            if budget == 0:
                break
            chunk = running.next_chunk(budget)
            planned.append((running, chunk))
            budget -= len(chunk.tokens)
        return planned
