# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders the role's templates, for the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._templates import rendered


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        asked, known = dict(self._task.args), task_vars or {}

        def with_content(file: dict[str, Any]) -> dict[str, Any]:
            return {**file, "content": rendered(self, file.get("content"), known)}

        asked["unit"] = with_content(asked["unit"])
        asked["scripts"] = [with_content(file) for file in asked["scripts"]]
        return {**result, **self._execute_module(module_args=asked, task_vars=task_vars)}
