# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passes the module of the same name what it needs from the catalogue, which is on the control node only."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._once import looked_up_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import hint


def described(release: str) -> str:
    """As JSON, what the catalogue says about the release, or why it says nothing."""
    releases = load_catalogue().releases
    if release not in releases:
        one_of = ", ".join(releases)
        message = f"release: {release!r} is not known{hint(release, releases)}; use one of: {one_of}"
        return json.dumps({"unknown": message})
    groups = releases[release]["placeholders"]
    required = {model: names["required_for_sense"] for model, names in groups.items()}
    return json.dumps({"tokenizers": releases[release]["tokenizers"], "required": required})


class ActionModule(NormalAction):
    """Adds the placeholders that the server needs, and the version of tokenizers that its image has."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        arguments = self._task.args
        release = str(arguments.get("release") or "").removeprefix("v")
        if release:
            # Each host has a process of its own, which would read the catalogue again.
            key = f"triton_model_repository {release}"
            known = json.loads(looked_up_once(key, lambda: described(release)))
            # The LLM API's templates have no placeholders, and an explicit list takes precedence.
            wanted = not arguments.get("required") and not arguments.get("llm_args")
            if wanted and "unknown" in known:
                return {"failed": True, "msg": known["unknown"]}
            if "tokenizers" in known:
                arguments = {"tokenizers": known["tokenizers"], **arguments}
            if wanted:
                arguments["required"] = known["required"]
            self._task.args = arguments
        return super().run(tmp, task_vars)
