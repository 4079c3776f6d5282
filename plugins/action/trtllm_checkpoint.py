# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.plugin_utils._log_patterns_action import LogPatternsAction
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(LogPatternsAction, ProgressAction):
    """Passes the log patterns to the module of the same name, and shows its progress."""
