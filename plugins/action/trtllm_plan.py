# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the plan on the controller; its documentation is in the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._planner import make_plan


class ActionModule(ActionBase):
    """Calls the planner and turns its refusals into one failure that names them all."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "request": {"type": "dict", "required": True},
                "host_facts": {"type": "dict", "default": {}},
            }
        )
        plan = make_plan(arguments["request"], arguments["host_facts"], load_catalogue())
        result.update(changed=False, plan=plan)
        if plan["refusals"]:
            result.update(failed=True, msg=refusal_message(plan["refusals"]))
        elif plan["warnings"]:
            result["warnings"] = plan["warnings"]
        return result


def refusal_message(refusals: list[dict[str, Any]]) -> str:
    """All reasons in one message, a line each."""
    lines = [f"- {refusal['variable']} = {refusal['value']!r}: {refusal['message']}" for refusal in refusals]
    count = "one reason" if len(lines) == 1 else f"{len(lines)} reasons"
    return "\n".join([f"This cannot work, for {count}. Nothing was changed.", *lines])
