# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import threading
from functools import partialmethod
from types import SimpleNamespace

import pytest
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.tritonops.trtllm.plugins.action.hf_snapshot import ActionModule
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions import _progress
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._progress import Narrator, Reading, parse_reading

MB = 10**6


def state(done=0, phase="download", started=1000.0, updated=None):
    updated = started + 60 if updated is None else updated
    return {"phase": phase, "done": done, "total": 100 * MB, "unit": "bytes", "started": started, "updated": updated}


def output(progress, now):
    return f"{json.dumps(progress)}\n{now}\n"


def test_parse_reading():
    assert parse_reading(output(state(), 1002)) == Reading(state(), 1002.0)


@pytest.mark.parametrize(
    "text", ["", "1002\n", "not json\n1002\n", '{"phase": "x"}\n1002\n', output(state(), 1002)[:40], "[1]\n1\n"]
)
def test_invalid_readings_are_ignored(text):
    assert parse_reading(text) is None


@pytest.fixture
def told():
    return []


@pytest.fixture
def narrator(told):
    return Narrator(told.append)


def test_lines_become_less_frequent(narrator, told):
    for now in range(1000, 1900, 2):
        narrator.hear(Reading(state(done=(now - 1000) * 100_000, updated=now), now))
    assert told[0] == "download: 0 % of 100 MB, 0 s so far"
    assert told[1] == "download: 0 % of 100 MB, 100 kB/s, 16 min 38 s left"
    # A line every two seconds would be 450 lines.
    assert 40 < len(told) < 80


def test_a_new_phase_is_shown_at_once(narrator, told):
    narrator.hear(Reading(state(done=MB, updated=1600), 1600))
    narrator.hear(Reading(state(phase="hash", started=1601, updated=1601), 1602))
    assert [line.split(":")[0] for line in told] == ["download", "hash"]


def test_the_same_line_is_not_repeated(narrator, told):
    reading = Reading({**state(updated=1000), "total": None}, 1000)
    narrator.hear(reading)
    narrator.hear(reading)
    assert len(told) == 1


def test_progress_of_a_killed_run_is_not_shown(narrator, told):
    narrator.hear(Reading(state(done=50 * MB, updated=1300), 2000))
    assert told == []
    narrator.hear(Reading(state(started=2001, updated=2003), 2004))
    assert told == ["download: 0 % of 100 MB, 3 s so far"]


@pytest.fixture
def shown(monkeypatch):
    lines = []
    monkeypatch.setattr(_progress, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(_progress.display, "display", lines.append)
    return lines


class Polls:
    """Answers the polls, and lets the module continue after enough of them."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.commands = []
        self.actions = []
        self.done = threading.Event()

    def __call__(self, action, command):
        self.commands.append(command)
        self.actions.append(action)
        if not self.answers:
            self.done.set()
            return {"stdout": ""}
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"stdout": answer}


def make_action(monkeypatch, polls, **task):
    action = ActionModule.__new__(ActionModule)
    defaults = {"args": {"dest": "/opt/w's/key/"}, "check_mode": False, "async_val": 0, "no_log": False}
    action._task = SimpleNamespace(**{**defaults, **task})
    action._connection = SimpleNamespace(become=SimpleNamespace(success=""))
    monkeypatch.setattr(ActionModule, "_low_level_execute_command", partialmethod(polls))
    return action


def test_progress_is_shown_while_the_module_runs(monkeypatch, shown):
    polls = Polls("", ConnectionError("gone for a moment"), output(state(done=MB, updated=1060), 1060))
    action = make_action(monkeypatch, polls)
    monkeypatch.setattr(NormalAction, "run", lambda self, tmp, task_vars: {"waited": polls.done.wait(60)})
    assert action.run(None, {"inventory_hostname": "gpu1"}) == {"waited": True}
    assert shown == ["gpu1 | download: 1 % of 100 MB, 17 kB/s, 1 h 39 min left"]
    command = polls.commands[0]
    assert command == """cat '/opt/w'"'"'s/key.partial/progress.json' && echo && date +%s"""


def test_the_polls_have_their_own_connection_and_become(monkeypatch, shown):
    polls = Polls()
    action = make_action(monkeypatch, polls)
    monkeypatch.setattr(NormalAction, "run", lambda self, tmp, task_vars: {"waited": polls.done.wait(60)})
    action.run(None, {})
    probe = polls.actions[0]
    assert probe._connection is not action._connection
    assert probe._connection.become is not action._connection.become


def test_a_failing_module_is_not_hidden(monkeypatch, shown):
    action = make_action(monkeypatch, Polls())

    def fail(self, tmp, task_vars):
        raise RuntimeError("module")

    monkeypatch.setattr(NormalAction, "run", fail)
    with pytest.raises(RuntimeError, match="module"):
        action.run(None, {})
    assert not any(thread.name == "progress" for thread in threading.enumerate())


@pytest.mark.parametrize("task", [{"check_mode": True}, {"no_log": True}, {"async_val": 10}, {"args": {}}])
def test_cases_without_polling(monkeypatch, shown, task):
    polls = Polls()
    action = make_action(monkeypatch, polls, **task)
    monkeypatch.setattr(NormalAction, "run", lambda self, tmp, task_vars: {"waited": polls.done.wait(0.1)})
    assert action.run(None, {}) == {"waited": False}
    assert polls.commands == []
