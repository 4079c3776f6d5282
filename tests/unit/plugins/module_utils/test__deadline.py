# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit on the total time of a call."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within


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
