# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact import _progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import (
    Progress,
    bytes_in,
    human_bytes,
    human_seconds,
    progress_line,
    sampled,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.clock import Clock

MB = 10**6


@pytest.fixture
def clock():
    return Clock(now=100.0)


@pytest.fixture
def progress(tmp_path, clock):
    return Progress(str(tmp_path / "progress.json"), clock.monotonic)


def read(tmp_path):
    return json.loads((tmp_path / "progress.json").read_text())


def test_it_is_written_at_most_once_a_second(tmp_path, clock, progress):
    progress.start("download", total=10)
    progress.update(3)
    assert read(tmp_path)["done"] == 0
    clock.now += 1
    progress.advance(1)
    assert read(tmp_path) == {
        "phase": "download",
        "done": 4,
        "initial": 0,
        "total": 10,
        "unit": "bytes",
        "started": 100.0,
        "updated": 101.0,
    }
    progress.start("hash")
    assert (read(tmp_path)["phase"], read(tmp_path)["total"]) == ("hash", None)


def test_a_note_is_shown_until_there_is_progress(tmp_path, clock, progress):
    progress.start("download", total=10)
    progress.note("waiting 30 s for the hub")
    clock.now += 5
    progress.update(0)
    assert read(tmp_path)["note"] == "waiting 30 s for the hub"
    clock.now += 5
    progress.update(1)
    assert "note" not in read(tmp_path)


def test_sampler_measures_while_the_work_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(_progress, "WRITE_INTERVAL", 0.01)
    progress = Progress(str(tmp_path / "progress.json"))
    progress.start("build", total=1000)
    seen = []

    def measure():
        seen.append(len(seen))
        return 700

    with sampled(progress, measure):
        while len(seen) < 2:
            pass
    assert read(tmp_path)["done"] == 700


def test_bytes_in(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"12345")
    (tmp_path / "dangling").symlink_to("x" * 7)
    assert bytes_in(str(tmp_path)) == 5 + 7


def state(phase="convert", done=0, total=269 * MB, started=0.0, updated=0.0, **more):
    return {
        "phase": phase,
        "done": done,
        "total": total,
        "unit": "bytes",
        "started": started,
        "updated": updated,
        **more,
    }


@pytest.mark.parametrize(
    "now, current, previous, line",
    [
        (5, state(done=167 * MB, updated=5.4), None, "convert: 62 % of 269 MB, 30.9 MB/s, 3 s left"),
        # Bytes of an earlier run do not count for the speed.
        (
            2,
            state(done=167 * MB, updated=2, initial=165 * MB),
            None,
            "convert: 62 % of 269 MB, 1 MB/s, 1 min 42 s left",
        ),
        (
            12,
            state(done=200 * MB, updated=12),
            state(done=180 * MB, updated=10),
            "convert: 74 % of 269 MB, 10 MB/s, 7 s left",
        ),
        # A new phase has its own rate.
        (
            12,
            state("hash", 100 * MB, 200 * MB, 10, 12),
            state(done=269 * MB),
            "hash: 50 % of 200 MB, 50 MB/s, 2 s left",
        ),
        (40, state(total=None, done=5 * MB, updated=40), None, "convert: 5 MB, 125 kB/s, 40 s so far"),
        (40, state("publish", total=None), None, "publish: 40 s so far"),
        (
            40,
            state(done=269 * MB, updated=40),
            state(done=269 * MB, updated=38),
            "convert: 100 % of 269 MB, 40 s so far",
        ),
        # Stalled: no forecast of weeks.
        (9, state(done=1, updated=9), None, "convert: 0 % of 269 MB, 0 B/s, 9 s so far"),
        # More bytes than expected are shown as 100 %.
        (
            40,
            state(done=300 * MB, updated=40),
            state(done=300 * MB, updated=38),
            "convert: 100 % of 269 MB, 40 s so far",
        ),
        (
            9,
            state(note="waiting 30 s for the hub"),
            None,
            "convert: 0 % of 269 MB, 9 s so far, waiting 30 s for the hub",
        ),
        (
            4,
            {**state(done=3, total=12, updated=4), "unit": "files"},
            None,
            "convert: 25 % of 12 files, 0.75 files/s, 12 s left",
        ),
    ],
)
def test_progress_line(now, current, previous, line):
    assert progress_line(current, now, previous) == line


@pytest.mark.parametrize(
    "count, text",
    [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (1.25e6, "1.25 MB"), (93.4e9, "93.4 GB"), (2e12, "2 TB")],
)
def test_human_bytes(count, text):
    assert human_bytes(count) == text


@pytest.mark.parametrize("seconds, text", [(0.4, "0 s"), (89, "89 s"), (90, "1 min 30 s"), (7260, "2 h 01 min")])
def test_human_seconds(seconds, text):
    assert human_seconds(seconds) == text
