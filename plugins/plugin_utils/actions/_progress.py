# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs a module normally and displays the progress that it writes on the host meanwhile."""

from __future__ import annotations

import copy
import json
import shlex
import threading
import typing as t
from contextvars import copy_context

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.utils.display import Display
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import progress_line

POLL_INTERVAL = 2.0
# Lines become less frequent, so that a step of an hour does not fill a log.
LONGEST_SILENCE = 30.0
# A poll that hangs must not delay the task.
JOIN_TIMEOUT = 5.0

display = Display()


class Reading(t.NamedTuple):
    """The progress, and the host's time when it was read."""

    progress: dict[str, t.Any]
    now: float


def parse_reading(output: str) -> Reading | None:
    """The last two lines of `cat progress.json; echo; date +%s`; None if there is no progress (yet)."""
    lines = [line for line in output.splitlines() if line.strip()]
    try:
        progress = json.loads(lines[-2])
        # The times in the progress are those of the host, whose clock may differ from ours.
        return Reading({**progress, "started": float(progress["started"])}, float(lines[-1]))
    except (IndexError, KeyError, TypeError, ValueError):
        return None


class Narrator:
    """Decides which readings are displayed."""

    def __init__(self, say: t.Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._shown: Reading | None = None
        self._line = ""

    def hear(self, reading: Reading) -> None:
        if self._since is None:
            self._since = reading.now - 2 * POLL_INTERVAL
        if reading.progress["updated"] < self._since:
            # The progress of a killed run, until the module removes it.
            return
        line = progress_line(reading.progress, reading.now, self._shown.progress if self._shown else None)
        if line != self._line and self._due(reading):
            self._say(line)
            self._shown, self._line = reading, line

    def _due(self, reading: Reading) -> bool:
        if self._shown is None or self._shown.progress["phase"] != reading.progress["phase"]:
            return True
        elapsed = reading.now - reading.progress["started"]
        return reading.now - self._shown.now >= min(LONGEST_SILENCE, elapsed / 10)


class ProgressAction(NormalAction):
    """Base of the actions of modules with a `dest` whose .partial folder contains a progress.json."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Any:
        dest = self._task.args.get("dest")
        if not isinstance(dest, str) or self._task.check_mode or self._task.async_val or self._task.no_log:
            return super().run(tmp, task_vars)
        stop = threading.Event()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        # Parts of ansible-core look up the current task in the context.
        watch = (self._probe()._watch, host, dest, stop)
        thread = threading.Thread(target=copy_context().run, args=watch, name="progress", daemon=True)
        thread.start()
        try:
            return super().run(tmp, task_vars)
        finally:
            stop.set()
            thread.join(JOIN_TIMEOUT)

    def _probe(self) -> ProgressAction:
        """A copy of this action that can run commands at the same time.

        Connection and become plugins store the state of their command (prompt, success marker), so the module and the
        poll must not use the same objects.
        """
        probe = copy.copy(self)
        probe._connection = copy.copy(self._connection)
        if probe._connection.become is not None:
            probe._connection.become = copy.copy(probe._connection.become)
        return probe

    def _watch(self, host: str, dest: str, stop: threading.Event) -> None:
        narrator = Narrator(lambda line: display.display(f"{host} | {line}"))
        command = f"cat {shlex.quote(dest.rstrip('/') + '.partial/progress.json')} && echo && date +%s"
        while not stop.wait(POLL_INTERVAL):
            try:
                reading = parse_reading(self._low_level_execute_command(command)["stdout"])
                if reading and not stop.is_set():
                    narrator.hear(reading)
            except Exception as exc:
                # A failure to display progress must not fail the task.
                display.vvv(f"{host} | progress cannot be read: {exc}")
