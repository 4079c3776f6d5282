# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Limits on the total time of a request, and of a module. The timeout of a socket starts again with every byte."""

from __future__ import annotations

import os
import sys
import threading
import typing as t
from concurrent.futures import Future
from contextlib import contextmanager

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

Result = t.TypeVar("Result")


def within(seconds: float, call: t.Callable[[], Result]) -> Result:
    """The result of the call; TimeoutError if there is none in time. The call itself cannot be stopped."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:
            future.set_exception(exc)

    # Not a ThreadPoolExecutor, whose threads must end before the process can.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not future.done():
        raise TimeoutError(f"no complete response within {seconds:g} s")
    return future.result()


def check_timeout(seconds: int) -> None:
    if seconds < 1:
        raise ModuleFailure(f"timeout: {seconds} is not a positive number of seconds")


@contextmanager
def ending_within(seconds: float, fail: t.Callable[[], t.Any]) -> t.Iterator[None]:
    """End the process with `fail`, which prints the error, if the body does not end in time.

    Nothing is waited for: a thread that reads from a dead file server only ends with its process.
    """

    def end() -> None:
        try:
            fail()
        finally:
            sys.stdout.flush()
            os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
