# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A limit on the total time of a request. The timeout of a socket starts again with every byte that arrives."""

from __future__ import annotations

import threading
import typing as t
from concurrent.futures import Future

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
