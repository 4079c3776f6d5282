# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: run_report
type: notification
short_description: Write a report of a run
version_added: 0.1.0
description:
  - With the extra variable C(trtllm_report), such as C(-e trtllm_report=report.html), writes a page with what the run
    planned, did and proved on each host, with times, versions, digests and warnings. It needs no network.
  - The same is written beside it as JSON, with the suffix C(.json) instead of C(.html).
  - Secrets are not in it, unless the message of a failed task shows one.
requirements:
  - Add V(tritonops.trtllm.run_report) to C(callbacks_enabled) in the section C([defaults]) of C(ansible.cfg).
author:
  - tritonops.trtllm contributors (@tritonops)
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.release import __version__ as ansible_version
from ansible_collections.tritonops.trtllm.plugins.callback.compact import is_rescued
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._run_report import (
    COLLECTION,
    IGNORED,
    RESCUED,
    RunReport,
    Task,
    page,
)

VARIABLE = "trtllm_report"


class CallbackModule(CallbackBase):
    """Collects the results of all tasks, and writes the report when the run ends."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "tritonops.trtllm.run_report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._begin = time.monotonic()
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        self._report = RunReport("", now, {"Ansible": f"ansible-core {ansible_version}"})
        self._path: str | None = None
        self._play = ""
        # When a task began on a host.
        self._began: dict[tuple[str, str], float] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._report.playbook = Path(playbook._file_name).name

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name().strip()
        self._report.check_mode = bool(play.check_mode)
        self._path = play.get_variable_manager().extra_vars.get(VARIABLE) or None

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._began[host.get_name(), task._uuid] = self._now()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._add(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._add(result, failed=True, kept=IGNORED if ignore_errors else RESCUED if is_rescued(result._task) else "")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._add(result, failed=True, kept=IGNORED if result._task.ignore_unreachable else "")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._path:
            failed = sorted({*stats.failures, *stats.dark})
            report = self._report.finish(self._now(), failed)
            try:
                write(Path(self._path).expanduser(), report)
            except (OSError, ValueError) as exc:
                self._display.warning(f"cannot write the report of this run: {exc}: correct {VARIABLE}")
            else:
                self._display.display(f"The report of this run is in {self._path}.")

    def _add(self, result: Any, failed: bool = False, kept: str = "") -> None:
        host, task, now = result._host.get_name(), result._task, self._now()
        stage = task._role.get_name().removeprefix(COLLECTION) if task._role else self._play
        began = self._began.pop((host, task._uuid), now)
        ended = Task(task.get_name().strip(), stage, task.resolved_action or task.action, began, now, kept)
        self._report.add(host, ended, result._result, failed)

    def _now(self) -> float:
        return time.monotonic() - self._begin


def write(path: Path, report: Mapping[str, Any]) -> None:
    """The page, and the same as JSON beside it."""
    _replace(path, page(report))
    _replace(path.with_suffix(".json"), json.dumps(report, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
