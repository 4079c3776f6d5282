# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on the total time of a call."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import ending_within, within


def test_a_result_in_time_is_returned() -> None:
    assert within(60, lambda: 7) == 7


def test_an_error_in_time_is_raised() -> None:
    with pytest.raises(KeyError, match="absent"):
        within(60, lambda: {}["absent"])


def test_a_late_call_is_not_waited_for() -> None:
    late = threading.Event()
    with pytest.raises(TimeoutError, match=r"no complete response within 0\.1 s"):
        within(0.1, late.wait)
    late.set()


def test_a_process_ends_although_its_threads_do_not() -> None:
    script = f"""
import threading
from {ending_within.__module__} import ending_within
threading.Thread(target=threading.Event().wait).start()
with ending_within(0.2, lambda: print("late")):
    threading.Event().wait()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "late\n")


def test_a_process_that_is_in_time_goes_on() -> None:
    late = threading.Event()
    with ending_within(0.1, late.set):
        pass
    assert not late.wait(0.3)
