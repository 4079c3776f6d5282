# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fork_memory
type: aggregate
short_description: Let Ansible's processes share more of their memory
version_added: 0.1.0
description:
  - Ansible forks a process for each task on each host. Python's garbage collector writes to the objects that such a
    process has from its parent, so that the kernel has to copy them. The more hosts there are, the more objects.
  - At the start of each task, this callback excludes the objects that exist from garbage collection, with Python's
    C(gc.freeze()). It prints nothing.
requirements:
  - Add V(tritonops.trtllm.fork_memory) to C(callbacks_enabled) in the section C([defaults]) of C(ansible.cfg).
author:
  - tritonops.trtllm contributors (@tritonops)
"""

import gc
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "tritonops.trtllm.fork_memory"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        # Only what is new since the last task is searched, so this is quick. What was garbage would otherwise stay.
        gc.collect()
        gc.freeze()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)
