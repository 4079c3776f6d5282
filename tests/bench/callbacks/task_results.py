# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the results of all tasks on all hosts, except skipped ones, as lines of JSON to $BENCH_TASK_RESULTS."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: task_results
type: notification
short_description: Writes which action each task ran on which host
description:
  - For the benchmark of the site; it is not part of the collection.
"""


class CallbackModule(CallbackBase):
    """A task with a loop has one result for all items."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_results"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        with open(os.environ["BENCH_TASK_RESULTS"], "w", encoding="utf-8"):
            pass

    def v2_runner_on_ok(self, result: Any) -> None:
        task = result.task
        line = {
            "host": result.host.get_name(),
            "task": task.get_name(),
            "action": task.action,
            "delegated": bool(task.delegate_to),
            "changed": bool(result.result.get("changed")),
        }
        with open(os.environ["BENCH_TASK_RESULTS"], "a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self.v2_runner_on_ok(result)
