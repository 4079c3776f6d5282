# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs a module as usual and shows, while it runs, the progress that it writes on the host."""

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
# Lines come thick at first and thin out: an hour's step must not fill a log.
LONGEST_SILENCE = 30.0
# A poll that hangs must not hold the task up.
JOIN_TIMEOUT = 5.0

display = Display()


class Reading(t.NamedTuple):
    """The progress and the host's clock when it was read."""

    progress: dict[str, t.Any]
    now: float


def parse_reading(output: str) -> Reading | None:
    """The last two lines of `cat progress.json; echo; date +%s`; None when there is no progress (yet)."""
    lines = [line for line in output.splitlines() if line.strip()]
    try:
        progress = json.loads(lines[-2])
        # The host's clock is what the progress was written by; ours may differ.
        return Reading({**progress, "started": float(progress["started"])}, float(lines[-1]))
    except (IndexError, KeyError, TypeError, ValueError):
        return None


class Narrator:
    """Decides which readings become a line."""

    def __init__(self, say: t.Callable[[str], None]) -> None:
        self._say = say
        self._since: float | None = None
        self._shown: Reading | None = None
        self._line = ""

    def hear(self, reading: Reading) -> None:
        if self._since is None:
            self._since = reading.now - 2 * POLL_INTERVAL
        if reading.progress["updated"] < self._since:
            # What a killed run has left, until ours clears it away.
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
    """Base of the actions of modules with a `dest` whose .partial holds a progress.json."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> t.Any:
        dest = self._task.args.get("dest")
        if not isinstance(dest, str) or self._task.check_mode or self._task.async_val or self._task.no_log:
            return super().run(tmp, task_vars)
        stop = threading.Event()
        host = str((task_vars or {}).get("inventory_hostname", ""))
        # The copied context: parts of ansible-core ask it which task they work for.
        watch = (self._probe()._watch, host, dest, stop)
        thread = threading.Thread(target=copy_context().run, args=watch, name="progress", daemon=True)
        thread.start()
        try:
            return super().run(tmp, task_vars)
        finally:
            stop.set()
            thread.join(JOIN_TIMEOUT)

    def _probe(self) -> ProgressAction:
        """A copy of this action that can run commands meanwhile.

        Connection and become plugin keep the state of the command they run (prompt, success marker) on
        themselves: the module's and the poll's must not be the same objects.
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
                # The display is a courtesy: whatever happens to it, the task goes on.
                display.vvv(f"{host} | progress cannot be read: {exc}")
