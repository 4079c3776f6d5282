# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: stage_times
type: aggregate
short_description: Show the duration of each stage of a run
version_added: 0.1.0
description:
  - At the end of a run, prints the duration of each stage that took 30 seconds or more, of all others together, and the
    total.
  - A stage is a role. Tasks of a play that are not in a role are a stage with the name of the play.
requirements:
  - Add V(tritonops.trtllm.stage_times) to C(callbacks_enabled) in the section C([defaults]) of C(ansible.cfg).
author:
  - tritonops.trtllm contributors (@tritonops)
"""

import time
from typing import Any

from ansible.plugins.callback import CallbackBase

# Seconds. A run that has nothing to do must not end with a page of short stages.
LONG = 30.0


class CallbackModule(CallbackBase):
    """Adds the time since the last event to the stage that was running."""

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
    """A heading, a line for each long stage, one for the others and one for the total; empty if nothing ran."""
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
