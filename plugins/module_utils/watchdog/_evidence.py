# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What is kept of a server before it is restarted: its log, and where its processes are."""

from __future__ import annotations

import os
import shutil
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import output_or_none

KEPT = 5
LOG_LINES = 2000
TIMEOUT = 10
# The restart does not wait longer than this.
LONGEST = 60
MAX_PROCESSES, MAX_THREADS = 64, 64
# Never `cmdline` or `environ`: the command line has the key of closed APIs.
_FILES = ("status", "wchan", "stack")


def collect(folder: str, unit: str, container: str, commands: t.Any, proc: str = "/proc") -> None:
    """Write everything that can be found out into the new folder. Nothing of it is needed for the restart."""
    end = time.monotonic() + LONGEST
    os.makedirs(folder, mode=0o700)
    log = output_or_none(
        commands, TIMEOUT, "journalctl", "--no-pager", "--quiet", "-o", "short-iso", "-n", str(LOG_LINES), "-u", unit
    )
    _write(f"{folder}/journal.txt", log or "")
    pids = processes(output_or_none(commands, TIMEOUT, "docker", "top", container, "-eo", "pid,comm") or "")
    for pid in pids:
        _write(f"{folder}/{pid}.txt", describe(pid, proc))
    for pid in pids:
        if time.monotonic() > end:
            return
        stacks = output_or_none(commands, TIMEOUT, "py-spy", "dump", "--nonblocking", "--pid", str(pid))
        if stacks:
            _write(f"{folder}/{pid}.py-spy.txt", stacks)


def processes(table: str) -> list[int]:
    """The processes in the output of `docker top`, whose first line has the names of the columns."""
    first_words = [line.split(None, 1)[0] for line in table.splitlines()[1:] if line.strip()]
    return [int(word) for word in first_words if word.isdigit()][:MAX_PROCESSES]


def describe(pid: int, proc: str) -> str:
    """Where each thread of a process is."""
    parts = []
    for thread in sorted(_list(f"{proc}/{pid}/task"), key=lambda name: (len(name), name))[:MAX_THREADS]:
        parts += [f"--- thread {thread}: {name}\n{_read(f'{proc}/{pid}/task/{thread}/{name}')}" for name in _FILES]
    return "\n".join(parts) + "\n"


def prune(folder: str) -> None:
    """Remove all but the newest folders; their names are times."""
    for name in sorted(_list(folder))[:-KEPT]:
        shutil.rmtree(f"{folder}/{name}", ignore_errors=True)


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(1 << 16).strip("\0\n")
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
