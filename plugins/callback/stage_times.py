# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: stage_times
type: aggregate
short_description: Shows how long each stage of a run took
version_added: 0.1.0
description:
  - At the end of a run, prints the time of each stage that took 30 seconds or more, the time of all others together,
    and the sum.
  - A stage is a role; the tasks of a play that belong to no role are a stage named for the play.
requirements:
  - V(tritonops.trtllm.stage_times) in the setting C(callbacks_enabled) of C([defaults]).
author:
  - tritonops.trtllm contributors (@tritonops)
"""

import time
from typing import Any

from ansible.plugins.callback import CallbackBase

# Seconds. A run that has nothing to do must not end with a page of short stages.
LONG = 30.0


class CallbackModule(CallbackBase):
    """Charges the time since the last event to the stage that was running."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "tritonops.trtllm.stage_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, float] = {}
        self._play = self._stage = ""
        self._since = time.monotonic()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name().strip()
        self._enter(self._play)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._enter(task._role.get_name() if task._role else self._play)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._enter("")
        for line in table(self._seconds):
            self._display.display(line)

    def _enter(self, stage: str) -> None:
        now = time.monotonic()
        if self._stage:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def table(seconds: dict[str, float]) -> list[str]:
    """One line for each long stage, one for the others, and one for the sum; nothing when nothing ran."""
    if not seconds:
        return []
    total = sum(seconds.values())
    rows = [(name, spent) for name, spent in seconds.items() if spent >= LONG]
    if not rows:
        return [f"TOTAL TIME {total:.1f} s"]
    if len(rows) < len(seconds):
        rows.append(("other stages", total - sum(spent for _name, spent in rows)))
    rows.append(("total", total))
    width = max(len(name) for name, _spent in rows)
    return ["TIME OF EACH STAGE", *(f"{name:<{width}}  {spent:7.1f} s" for name, spent in rows)]
