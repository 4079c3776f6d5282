# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The completions of several prompts by one server, and how fast they are, one at a time and several at once.

Nothing here depends on the API of the server.
"""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# Not one of the prompts that are measured: a server can reuse the KV cache of a text that it has seen.
WARM_UP = "Once upon a time"


@dataclass(frozen=True)
class Completed:
    prompt: str
    parts: list[str]  # the new text of each event
    tokens: int
    counted_by: str
    latency_seconds: float
    first_token_seconds: float | None  # None without a stream


@dataclass(frozen=True)
class Load:
    """All prompts again, up to `at_once` of them at the same time."""

    at_once: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float | None:
        return round(self.tokens / self.seconds, 2) if self.seconds else None


Ask = t.Callable[[str], Completed]


def ask_one_by_one(ask: Ask, prompts: t.Sequence[str]) -> list[Completed]:
    # The first request to a server can take longer, for example because kernels are compiled.
    ask(WARM_UP)
    return [ask(prompt) for prompt in prompts]


def ask_at_once(ask: Ask, prompts: t.Sequence[str], at_once: int) -> Load:
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        completed = list(pool.map(ask, prompts))
    seconds = time.monotonic() - started
    return Load(at_once, sum(one.tokens for one in completed), round(seconds, 3))
