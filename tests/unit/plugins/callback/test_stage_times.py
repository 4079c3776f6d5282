# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages are roles and plays, in the order in which they began; short ones are added up, and no second is lost."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.callback import stage_times
from ansible_collections.tritonops.trtllm.tests.unit.support.clock import Clock


def task(role: str = "") -> SimpleNamespace:
    return SimpleNamespace(_role=SimpleNamespace(get_name=lambda: f"tritonops.trtllm.{role}") if role else None)


def play(name: str) -> SimpleNamespace:
    return SimpleNamespace(get_name=lambda: name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stage_times, "time", clock)
    return clock


def test_time_is_charged_to_the_running_stage(clock: Clock) -> None:
    shown: list[str] = []
    callback = stage_times.CallbackModule()
    callback._display = SimpleNamespace(display=shown.append)
    callback.v2_playbook_on_play_start(play("Serve"))
    for role, seconds in [("docker", 1.0), ("", 40.0), ("docker", 300.0), ("model_repo", 0.5)]:
        callback.v2_playbook_on_task_start(task(role), False)
        clock.now += seconds
    callback.v2_playbook_on_handler_task_start(task("docker"))
    clock.now += 4000.0
    callback.v2_playbook_on_stats(None)
    assert [line.split() for line in shown if line] == [
        ["TIME", "OF", "EACH", "STAGE"],
        ["Serve", "40.0", "s"],
        ["tritonops.trtllm.docker", "4301.0", "s"],
        ["other", "stages", "0.5", "s"],
        ["total", "4341.5", "s"],
    ]


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        ({"a": 29.9, "b": 1.0}, ["TOTAL TIME 30.9 s"]),
        ({"a": 30.0}, ["TIME OF EACH STAGE", "a         30.0 s", "total     30.0 s"]),
    ],
)
def test_stages_are_listed_if_they_are_long(seconds: dict[str, float], rows: list[str]) -> None:
    assert stage_times.table(seconds) == rows


def test_nothing_is_shown_when_nothing_ran(clock: Clock) -> None:
    shown: list[str] = []
    callback = stage_times.CallbackModule()
    callback._display = SimpleNamespace(display=shown.append)
    callback.v2_playbook_on_stats(None)
    assert shown == []
