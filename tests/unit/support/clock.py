# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces the module time, so that tests do not depend on the speed of a machine."""

from __future__ import annotations

import typing as t


class Clock:
    """Advances when somebody sleeps, and by a tick after every reading."""

    def __init__(self, tick: float = 0.0, now: float = 0.0) -> None:
        self.now = now
        self._tick = tick
        # Called during a sleep.
        self.while_asleep: t.Callable[[], t.Any] = lambda: None

    def monotonic(self) -> float:
        now = self.now
        self.now += self._tick
        return now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.while_asleep()
