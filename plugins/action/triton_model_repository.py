# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Passes the module of the same name what it needs from the catalogue, which is on the control node only."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import hint


class ActionModule(NormalAction):
    """Adds the placeholders that the server needs, and the version of tokenizers that its image has."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        arguments = self._task.args
        release = str(arguments.get("release") or "").removeprefix("v")
        # The LLM API's templates have no placeholders, and an explicit list takes precedence.
        wanted = release and not arguments.get("required") and not arguments.get("llm_args")
        releases = load_catalogue().releases if release else {}
        if wanted and release not in releases:
            known = ", ".join(releases)
            message = f"release: {release!r} is not known{hint(release, releases)}; use one of: {known}"
            return {"failed": True, "msg": message}
        if release in releases:
            arguments = {"tokenizers": releases[release]["tokenizers"], **arguments}
        if wanted:
            groups = releases[release]["placeholders"]
            arguments["required"] = {model: names["required_for_sense"] for model, names in groups.items()}
        self._task.args = arguments
        return super().run(tmp, task_vars)
