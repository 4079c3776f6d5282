# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes all hosts of a play use the same image for a tag, even if the tag is moved during the play."""

from __future__ import annotations

from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._once import looked_up_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._progress import ProgressAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._tags import (
    TagMoved,
    agreed,
    has_tag,
    recorded_digests,
)


class ActionModule(ProgressAction):
    """Displays the progress of the module, and passes it the digest that the first host has looked up for a tag."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        arguments = self._task.args
        if has_tag(arguments) and not arguments.get("resolved") and not self._task.check_mode:
            try:
                self._task.args = {**arguments, "resolved": self._resolved(task_vars or {})}
            except TagMoved as exc:
                return {"failed": True, "msg": str(exc)}
        return super().run(tmp, task_vars)

    def _resolved(self, task_vars: dict[str, Any]) -> str:
        """The digest of the tag; empty if the module has to find out itself."""
        reference, host = self._task.args["reference"], task_vars.get("inventory_hostname")
        recorded = recorded_digests(task_vars, str(self._task.args.get("dest")))
        known = agreed(reference, recorded)
        if known and self._task.args.get("tag_moved") == "keep":
            return known
        # Once for each play.
        key = f"{self._task.get_play()._uuid} {reference}"
        found = looked_up_once(key, lambda: self._look_up(task_vars))
        if found and host not in recorded:
            # A host with a record has a message of its own.
            agreed(reference, {**recorded, "the registry": found})
        return found or known

    def _look_up(self, task_vars: dict[str, Any]) -> str:
        """The digest; empty if the registry does not answer, which the module itself reports."""
        arguments = {**self._task.args, "look_up": True}
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        return str(result.get("digest") or "")
