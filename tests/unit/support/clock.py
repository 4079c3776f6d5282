# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In the place of the module time, so that no test depends on how fast a machine is."""

from __future__ import annotations

import typing as t


class Clock:
    """It goes on while somebody sleeps, and by a tick after every look at it."""

    def __init__(self, tick: float = 0.0, now: float = 0.0) -> None:
        self.now = now
        self._tick = tick
        # What happens meanwhile.
        self.while_asleep: t.Callable[[], t.Any] = lambda: None

    def monotonic(self) -> float:
        now = self.now
        self.now += self._tick
        return now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.while_asleep()
