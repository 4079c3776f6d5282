# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._progress import ProgressAction


class ActionModule(ProgressAction):
    """Displays the progress of a module. meta/runtime.yml lists the other modules that use it."""
