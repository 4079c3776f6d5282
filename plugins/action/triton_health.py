# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import LogPatternsAction


class ActionModule(LogPatternsAction):
    """Passes the log patterns to a module. meta/runtime.yml lists the other modules that use it."""
