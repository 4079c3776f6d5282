# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The progress of a long step: written by the module on the host, shown by the action plugin on the controller."""

from __future__ import annotations

import json
import os
import threading
import time
import typing as t
from contextlib import contextmanager

WRITE_INTERVAL = 1.0
# A longer forecast means that the step is stalled, so none is shown.
LONGEST_FORECAST = 100 * 3600.0
BYTES = "bytes"


class Progress:
    """Keeps progress.json up to date, rewritten atomically and at most once a second. Thread-safe."""

    def __init__(self, path: str, clock: t.Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._mutex = threading.Lock()
        self._written = 0.0
        self._state: dict[str, t.Any] = {}

    def start(self, phase: str, total: int | None = None, unit: str = BYTES, done: int = 0) -> None:
        """Begin a phase. `done` is what an earlier run already did; it does not count towards the rate."""
        with self._mutex:
            now = self._clock()
            self._state = {
                "phase": phase,
                "done": done,
                "initial": done,
                "total": total,
                "unit": unit,
                "started": now,
                "updated": now,
            }
            self._write(now)

    def advance(self, amount: int) -> None:
        with self._mutex:
            self._set(self._state["done"] + amount, self._state["total"])

    def update(self, done: int, total: int | None = None) -> None:
        with self._mutex:
            self._set(done, self._state["total"] if total is None else total)

    def note(self, text: str) -> None:
        """Say why there is no progress at the moment; the next update removes the note."""
        with self._mutex:
            self._state["note"] = text
            self._write(self._clock())

    def _set(self, done: int, total: int | None) -> None:
        now = self._clock()
        if done != self._state["done"]:
            self._state.pop("note", None)
        self._state.update(done=done, total=total, updated=now)
        if now - self._written >= WRITE_INTERVAL:
            self._write(now)

    def _write(self, now: float) -> None:
        temporary = f"{self._path}.new"
        with open(temporary, "w", encoding="ascii") as stream:
            json.dump(self._state, stream)
        os.replace(temporary, self._path)
        self._written = now


def bytes_in(root: str) -> int:
    """The size of all files below root in bytes; files may appear and disappear while it is measured."""
    total = 0
    for folder, _dirs, names in os.walk(root):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


@contextmanager
def sampled(progress: Progress, measure: t.Callable[[], int]) -> t.Iterator[None]:
    """Update the progress with measure() once a second, for work that does not report progress itself."""
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(WRITE_INTERVAL):
            progress.update(measure())

    thread = threading.Thread(target=sample, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def human_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 100 else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def human_seconds(seconds: float) -> str:
    whole = int(seconds + 0.5)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def progress_line(progress: t.Mapping[str, t.Any], now: float, previous: t.Mapping[str, t.Any] | None = None) -> str:
    """One line such as `convert: 62 % of 269 MB, 31 MB/s, 4 s left`.

    `now` is on the clock of the host that writes the progress. `previous` is an earlier reading, for the current rate.
    """
    done, total = progress["done"], progress.get("total")
    rate = _rate(progress, previous)
    parts = [_amount(done, total, progress["unit"])]
    if rate:
        parts.append(f"{_count(rate, progress['unit'])}/s")
    left = (total - done) / rate if rate and total else 0.0
    if 0 < left < LONGEST_FORECAST:
        parts.append(f"{human_seconds(left)} left")
    else:
        parts.append(f"{human_seconds(max(0.0, now - progress['started']))} so far")
    parts.append(progress.get("note", ""))
    return f"{progress['phase']}: {', '.join(part for part in parts if part)}"


def _rate(progress: t.Mapping[str, t.Any], previous: t.Mapping[str, t.Any] | None) -> float:
    same_phase = previous is not None and previous["phase"] == progress["phase"]
    since, base = (
        (previous["updated"], previous["done"])
        if previous is not None and same_phase
        else (progress["started"], progress.get("initial", 0))
    )
    elapsed = progress["updated"] - since
    return max(0.0, (progress["done"] - base) / elapsed) if elapsed > 0 else 0.0


def _amount(done: float, total: float | None, unit: str) -> str:
    if not total:
        return _count(done, unit) if done else ""
    share = f"{min(100, int(100 * done / total))} %"
    return f"{share} of {_count(total, unit)}"


def _count(count: float, unit: str) -> str:
    return human_bytes(count) if unit == BYTES else f"{count:.3g} {unit}"
