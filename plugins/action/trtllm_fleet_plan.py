# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans many hosts in one task, for Ansible takes longer to run a task on a host than planning takes.

Its documentation is in the module of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._converter import conversions
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._inputs import (
    InputError,
    also_refused,
    plan_of,
    read_facts,
    request_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._plan_table import plan_table
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._variables import variable_refusals

Plans = dict[str, dict[str, Any]]


class ActionModule(ActionBase):
    """Plans, prints the table, and writes what it is asked to write."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "hosts": {"type": "list", "elements": "str", "required": True},
                "host_facts": {"type": "dict"},
                "host_facts_file": {"type": "path"},
                "host_shape": {"type": "str"},
                "plan_file": {"type": "path"},
                "record_file": {"type": "path"},
            },
            mutually_exclusive=[("host_facts", "host_facts_file", "host_shape")],
            required_one_of=[("host_facts", "host_facts_file", "host_shape")],
        )
        try:
            facts = read_facts(arguments, load_catalogue())
        except InputError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        hostvars = (task_vars or {})["hostvars"]
        plans = self._plans(arguments["hosts"], facts, hostvars)
        table = plan_table(plans)
        Display().display(f"{table}\n")
        written = [
            self._write(arguments["plan_file"], _alone_or_by_host(plans)),
            self._write(arguments["record_file"], {"hosts": facts}),
        ]
        refused = [host for host, plan in plans.items() if plan["refusals"]]
        result.update(changed=any(written), table=table.splitlines(), refused=refused)
        result["conversions"] = [
            {**entry, "token_file": hostvars[entry["hosts"][0]].get("trtllm_token_file") or ""}
            for entry in conversions(plans)
        ]
        return result

    def _plans(self, hosts: list[str], facts: Mapping[str, Any], hostvars: Mapping[str, Any]) -> Plans:
        catalogue, plans = load_catalogue(), {}
        for host in hosts:
            variables = hostvars[host]
            token_file = variables.get("trtllm_token_file")
            plan = plan_of(request_of(variables), facts[host], token_file, catalogue)
            plans[host] = also_refused(plan, variable_refusals(variables, variables))
        return plans

    def _write(self, path: str | None, content: Any) -> bool:
        """Whether the file was, or in check mode would be, changed."""
        if not path:
            return False
        file, text = Path(path), json.dumps(content, indent=2, sort_keys=True) + "\n"
        try:
            if file.is_file() and file.read_text(encoding="utf-8") == text:
                return False
            if not self._task.check_mode:
                file.write_text(text, encoding="utf-8")
        except OSError as exc:
            raise AnsibleActionFail(f"the plan, or the facts, cannot be written to {path}: {exc}") from exc
        return True


def _alone_or_by_host(plans: Plans) -> Any:
    return plans if len(plans) > 1 else next(iter(plans.values()))
