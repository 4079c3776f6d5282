# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends requests to the gateway of the rehearsal's fleet for some seconds, and prints what became of them, as JSON.

python load.py SECONDS [TOKENS ...]      (with the folder of ask.py in PYTHONPATH)

Each number of tokens is a client that streams answers of this length, one after the other. SIGTERM ends the load
early. The requests under way are finished in any case.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter

import ask
import openai

TOKENS = (8, 8)
PAUSE = 1.0
"""Seconds between two requests of a client, so that the server can also be asked by others."""


class Incomplete(Exception):
    """The stream ended before the answer did."""


class Load:
    """`first` are the seconds until the first part of each answer, `failed` the causes of the other requests.

    `gap` is the longest time in which no client received anything, in seconds.
    """

    def __init__(self) -> None:
        # A request that is sent again would count as one.
        self.client = ask.client.with_options(max_retries=0, timeout=120)
        self.ended = threading.Event()
        self.sent = 0
        self.first: list[float] = []
        self.failed: Counter[str] = Counter()
        self.gap = 0.0
        self._received = time.monotonic()
        self._lock = threading.Lock()

    def run(self, seconds: float, answers: list[int]) -> None:
        clients = [threading.Thread(target=self._work, args=(tokens,)) for tokens in answers]
        for client in clients:
            client.start()
        self.ended.wait(seconds)
        self.ended.set()
        for client in clients:
            client.join()

    def _work(self, tokens: int) -> None:
        while not self.ended.is_set():
            cause = ""
            try:
                first = self._ask(tokens)
            except openai.APIStatusError as exc:
                cause = str(exc.status_code)
            # A stream that is broken off is an exception of the HTTP library.
            except Exception as exc:
                cause = type(exc).__name__
            with self._lock:
                self.sent += 1
                if cause:
                    self.failed[cause] += 1
                else:
                    self.first.append(first)
            self.ended.wait(PAUSE)

    def _ask(self, tokens: int) -> float:
        """The seconds until the first part. The rest is read, too: a request that is broken off is not a success."""
        began, first, ended = time.monotonic(), 0.0, False
        # Also for models without a chat template.
        stream = self.client.completions.create(
            model="chat",
            prompt=ask.messages[0]["content"],
            max_tokens=tokens,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        for part in stream:
            received = self._receive()
            first = first or received - began
            ended = ended or any(choice.finish_reason for choice in part.choices)
        if not ended:
            raise Incomplete
        return first

    def _receive(self) -> float:
        """The time."""
        with self._lock:
            now = time.monotonic()
            self.gap = max(self.gap, now - self._received)
            self._received = now
            return now


if __name__ == "__main__":
    load = Load()
    signal.signal(signal.SIGTERM, lambda *_arguments: load.ended.set())
    load.run(float(sys.argv[1]), [int(tokens) for tokens in sys.argv[2:]] or list(TOKENS))
    figures = {
        "sent": load.sent,
        "answers": len(load.first),
        "first_part_seconds": round(sum(load.first) / len(load.first), 2) if load.first else None,
        "longest_gap_seconds": round(load.gap, 2),
        "failed": load.failed,
    }
    print(json.dumps(figures))
