# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of the rehearsal's fleet: the example, and the one that sends a load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, wait_for
from jinja2 import Template

REHEARSAL = Path(__file__).parents[3] / "rehearsal/fleet"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, token_seconds=0)
    example = Template((REHEARSAL / "ask.py.j2").read_text())
    variables = {"rehearsal_port": fleet.port, "rehearsal_key": fleet.KEY, "rehearsal_ca": str(fleet.ca)}
    (tmp_path / "ask.py").write_text(example.render(variables))
    yield fleet
    fleet.close()


def printed(fleet: Fleet, *command: str | Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(fleet.folder)}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def test_the_example_prints_an_answer(fleet: Fleet) -> None:
    assert printed(fleet, fleet.folder / "ask.py").strip()


@pytest.mark.long
def test_the_load_counts_answers_and_failures(fleet: Fleet) -> None:
    healthy = json.loads(printed(fleet, REHEARSAL / "load.py", "2"))
    assert healthy["answers"] == healthy["sent"] >= 2 and healthy["failed"] == {}
    assert healthy["first_part_seconds"] > 0 and healthy["longest_gap_seconds"] >= 0.5
    for server in fleet.models.values():
        server.ends_answers = False
    short = json.loads(printed(fleet, REHEARSAL / "load.py", "1"))
    assert short["answers"] == 0 and short["failed"]["Incomplete"] == short["sent"] >= 2
    for server in fleet.models.values():
        server.shutdown()
    wait_for(lambda: all(server.status == "DOWN" for server in fleet.gateway.runtime.servers()))
    broken = json.loads(printed(fleet, REHEARSAL / "load.py", "2"))
    assert broken["answers"] == 0 and broken["first_part_seconds"] is None and broken["failed"]["503"] >= 2


@pytest.mark.long
def test_the_load_ends_early_with_its_requests(fleet: Fleet) -> None:
    fleet.models["gpu1", "chat"].token_seconds = fleet.models["gpu2", "chat"].token_seconds = 0.1
    environment = {**os.environ, "PYTHONPATH": str(fleet.folder)}
    command = [sys.executable, str(REHEARSAL / "load.py"), "600", "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as load:
        try:
            wait_for(lambda: [server for server in fleet.models.values() if server.requests])
        finally:
            load.terminate()
        figures = json.loads(load.communicate()[0])
    assert (figures["sent"], figures["answers"], figures["failed"]) == (1, 1, {})
    assert figures["longest_gap_seconds"] < 30
