# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Passes the catalogue's log patterns to a module, because the catalogue is only on the control node."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._once import looked_up_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_log_patterns

# The fields of an entry that modules need.
FIELDS = ("name", "patterns", "cause", "remedy", "follow_up")


def log_patterns_option() -> str:
    """The value of the modules' option log_patterns."""
    return json.dumps([{name: entry[name] for name in FIELDS if name in entry} for entry in load_log_patterns()])


class LogPatternsAction(NormalAction):
    """Base of the actions of modules that explain a log."""

    def run(self, tmp: Any = None, task_vars: Any = None) -> Any:
        # Each host has a process of its own, which would read the catalogue again.
        patterns = looked_up_once("log_patterns", log_patterns_option)
        self._task.args = {"log_patterns": patterns, **self._task.args}
        return super().run(tmp, task_vars)
