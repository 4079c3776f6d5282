# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs the program of the watchdog and renders its units on the control node, for the module of the same name."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._once import looked_up_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._templates import rendered
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.watchdog._program import NotSelfContained, pack

ENTRY = "watchdog._program"


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            # Files would need a connection each. The program is the same for all hosts.
            program = looked_up_once(ENTRY, packed)
        except (NotSelfContained, OSError) as exc:
            raise AnsibleActionFail(f"cannot pack the watchdog: {exc}") from exc
        units = {
            name: rendered(self, self._task.args[name], task_vars or {})
            for name in ("service", "timer")
            if name in self._task.args
        }
        asked = {**self._task.args, **units, "program": program}
        return {**result, **self._execute_module(module_args=asked, task_vars=task_vars)}


def packed() -> str:
    return base64.b64encode(zlib.compress(pack(ENTRY))).decode("ascii")
