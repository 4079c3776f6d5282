# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the plan on the controller; its documentation is in the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._bundled import bundle_contents, bundled_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._inputs import (
    also_refused,
    plan_of,
    request_of,
    with_config,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import refusal_line
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._variables import checked_values, variable_refusals

HOST_INFO = "tritonops.trtllm.trtllm_host_info"


class ActionModule(ActionBase):
    """Gathers what the planner needs, calls it, and turns its refusals into one failure that names them all."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "request": {"type": "dict", "default": {}},
                "host_facts": {"type": "dict"},
                "token_file": {"type": "path"},
                "storage": {"type": "list", "elements": "dict", "default": []},
                "bundle": {"type": "dict"},
            },
        )
        task_vars, host_facts = task_vars or {}, arguments["host_facts"]
        variables = checked_values(task_vars, self._templar.template)
        request = {**request_of(variables), **arguments["request"]}
        if host_facts is None:
            about = {"root": request.get("root") or "/opt/trtllm", "storage": arguments["storage"]}
            host_facts = self._asked(about, task_vars)

        def plan_for(asked: Mapping[str, Any]) -> dict[str, Any]:
            return plan_of(asked, host_facts, arguments["token_file"], load_catalogue())

        bundle = arguments["bundle"]
        plan = bundled_plan(request, bundle, plan_for) if bundle else plan_for(request)
        plan = also_refused(plan, variable_refusals(task_vars, variables))
        result.update(changed=False, plan=plan, host_facts=host_facts)
        if plan["refusals"]:
            result.update(failed=True, msg=refusal_message(plan["refusals"]))
            return result
        if not bundle:
            # The hub has been asked by now, where it had to be.
            result["bundle"] = bundle_contents(plan, with_config(request, arguments["token_file"]))
        if plan["warnings"]:
            result["warnings"] = plan["warnings"]
        return result

    def _asked(self, arguments: dict[str, Any], variables: dict[str, Any]) -> Any:
        found = self._execute_module(HOST_INFO, module_args=arguments, task_vars=variables)
        if found.get("failed") or found.get("unreachable"):
            raise AnsibleActionFail(f"cannot look at the host: {found.get('msg')}", result=found)
        return found["host_facts"]


def refusal_message(refusals: list[dict[str, Any]]) -> str:
    """All reasons in one message, a line each."""
    count = "one reason" if len(refusals) == 1 else f"{len(refusals)} reasons"
    return "\n".join([f"This cannot work, for {count}. Nothing was changed.", *map(refusal_line, refusals)])
