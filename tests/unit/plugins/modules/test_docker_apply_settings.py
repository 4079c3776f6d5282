# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine is restarted when its settings are newer than it, and not under a service that needs it."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import docker_apply_settings
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

UPTIME = 3600.0
STARTED_AGO = 100.0


class Host:
    """A host that is up for an hour, its systemctl that notes what it is told to do, and an engine that is younger."""

    def __init__(self, folder: Path) -> None:
        self.told = folder / "told"
        self.told.touch()
        self.settings = folder / "daemon.json"
        self.drop_ins = folder / "docker.service.d"
        self.systemctl = folder / "systemctl"
        self.write()

    def write(self, active: t.Collection[str] = ("docker.service",), failing: str = "none") -> None:
        states = "\n".join(f"*ActiveState*' {unit}') echo ActiveState=active ;;" for unit in active)
        started = int((UPTIME - STARTED_AGO) * 1e6)
        self.systemctl.write_text(
            f'#!/bin/sh\ncase "$*" in\n{states}\n*ActiveState*) echo ActiveState=inactive ;;\n'
            f"*ExecMainStart*) echo ExecMainStartTimestampMonotonic={started} ;;\n"
            f"'{failing}') echo 'Job failed' >&2; exit 1 ;;\n*) echo \"$*\" >>\"{self.told}\" ;;\nesac\n"
        )
        self.systemctl.chmod(0o755)

    def set(self, path: Path, seconds_ago: float) -> None:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        at = time.time() - seconds_ago
        os.utime(path, (at, at))
        if path.parent == self.drop_ins:
            os.utime(self.drop_ins, (at, at))

    def commands(self) -> list[str]:
        return self.told.read_text().splitlines()


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    clocks = SimpleNamespace(time=time.time, monotonic=lambda: UPTIME)
    monkeypatch.setattr(docker_apply_settings, "time", clocks)
    return Host(tmp_path)


@pytest.fixture(name="options")
def fixture_options(host: Host) -> dict[str, t.Any]:
    return {"files": [str(host.settings), str(host.drop_ins)], "drained_units": ["trtllm.service", "other.service"]}


Options = t.Dict[str, t.Any]
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, options: Options, **more: t.Any) -> Result:
    result = run_module(docker_apply_settings, capsys, **options, **more)
    assert not result.get("failed"), result
    return result


def test_older_settings_are_in_force(host: Host, options: Options, capsys: Capture) -> None:
    host.set(host.settings, STARTED_AGO + 50)
    assert not run(capsys, options)["changed"]
    assert host.commands() == []


def test_no_settings_are_in_force(host: Host, options: Options, capsys: Capture) -> None:
    assert not run(capsys, options)["changed"]


@pytest.mark.parametrize("name", ["daemon.json", "docker.service.d/proxy.conf"])
def test_newer_settings_restart_the_engine(host: Host, options: Options, capsys: Capture, name: str) -> None:
    path = host.settings.parent / name
    host.set(path, STARTED_AGO - 50)
    result = run(capsys, options)
    assert result["changed"] and str(path) in result["newer"]
    assert host.commands() == ["daemon-reload", "reset-failed docker.service", "restart docker.service"]


def test_a_setting_that_was_taken_away_restarts_the_engine(host: Host, options: Options, capsys: Capture) -> None:
    host.set(host.drop_ins / "proxy.conf", STARTED_AGO + 50)
    (host.drop_ins / "proxy.conf").unlink()
    assert run(capsys, options)["newer"] == [str(host.drop_ins)]


def test_a_time_in_the_future_does_not_restart_the_engine_again_and_again(
    host: Host, options: Options, capsys: Capture
) -> None:
    host.set(host.settings, -3600)
    assert not run(capsys, options)["changed"]


def test_running_services_are_drained_and_come_back(host: Host, options: Options, capsys: Capture) -> None:
    host.write(active=["docker.service", "trtllm.service"])
    host.set(host.settings, 1)
    assert run(capsys, options)["drained"] == ["trtllm.service"]
    assert host.commands() == [
        "daemon-reload",
        "stop trtllm.service",
        "reset-failed docker.service",
        "restart docker.service",
        "start trtllm.service",
    ]


def test_services_come_back_when_the_engine_does_not(host: Host, options: Options, capsys: Capture) -> None:
    host.write(active=["docker.service", "trtllm.service", "other.service"], failing="restart docker.service")
    host.set(host.settings, 1)
    said = failure(docker_apply_settings, capsys, **options)
    assert "Job failed" in said and "journalctl -u docker.service" in said
    assert host.commands()[-2:] == ["start other.service", "start trtllm.service"]


def test_an_engine_that_does_not_run_is_left_alone(host: Host, options: Options, capsys: Capture) -> None:
    host.write(active=[])
    host.set(host.settings, 1)
    assert not run(capsys, options, pending=True, check=True)["changed"]
    assert host.commands() == []


def test_check_mode_predicts_and_restarts_nothing(host: Host, options: Options, capsys: Capture) -> None:
    host.write(active=["docker.service", "trtllm.service"])
    predicted = run(capsys, options, pending=True, check=True)
    assert (predicted["changed"], predicted["drained"]) == (True, ["trtllm.service"])
    assert not run(capsys, options, check=True)["changed"]
    assert host.commands() == []


def test_pending_alone_restarts_nothing(host: Host, options: Options, capsys: Capture) -> None:
    """A fresh engine has been started with what was set before."""
    assert not run(capsys, options, pending=True)["changed"]
