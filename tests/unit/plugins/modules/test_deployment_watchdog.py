# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's files and timer, with a systemctl that only remembers."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import deployment_watchdog
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

SYSTEMCTL = """#!/bin/sh
cd {folder}
case $1 in
show)
    echo "ActiveState=$(cat active)"; echo "UnitFileState=$(cat enabled)"; echo "NeedDaemonReload=$(cat outdated)"
    exit ;;
daemon-reload) echo no > outdated ;;
enable) echo enabled > enabled ;;
restart) [ ! -e broken ] || {{ echo "Unit is masked." >&2; exit 1; }}; echo active > active ;;
disable) echo disabled > enabled; echo inactive > active ;;
esac
echo "$*" >> calls
"""
STARTED = ["daemon-reload", "enable trtllm-watchdog@chat.timer", "restart trtllm-watchdog@chat.timer"]
POLICY = {"failures": 3, "patience": 60, "start_deadline": 1800, "restarts": 3, "window": 7200, "backoff": 60}


class Host:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        (folder / "systemctl").write_text(SYSTEMCTL.format(folder=folder), encoding="utf-8")
        (folder / "systemctl").chmod(0o755)
        for name, state in (("active", "inactive"), ("enabled", ""), ("outdated", "no")):
            (folder / name).write_text(state, encoding="utf-8")

    def run(self, program: bytes = b"program", **changes: t.Any) -> Result:
        settings = {
            "deployment": "chat",
            "folder": "/opt/trtllm/deployments/chat",
            "prompt": {"text": "What?", "max_tokens": 64},
            "policy": POLICY,
            "metrics_file": str(self.folder / "chat.prom"),
            "rotation_map": str(self.folder / "rotation.map"),
            "rotation_socket": str(self.folder / "socket"),
        }
        known: dict[str, t.Any] = {
            "path": str(self.folder / "watchdog"),
            "settings": {**settings, **changes.pop("settings", {})},
            "service": "[Service]\n",
            "timer": "[Timer]\n",
            "program": base64.b64encode(zlib.compress(program)).decode("ascii"),
        }
        result = run_module(deployment_watchdog, self._capsys, **{**known, **changes})
        assert not result.get("failed"), result
        return result

    def calls(self) -> list[str]:
        """What systemctl was told since the last time."""
        path = self.folder / "calls"
        told = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return told

    def record(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    (tmp_path / "units").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(deployment_watchdog, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(deployment_watchdog, "RECORD", str(tmp_path / "record.json"))
    return Host(tmp_path, capsys)


def test_the_watchdog_is_installed_once(host: Host) -> None:
    first = host.run()
    folder = host.folder
    units = [f"{folder}/units/trtllm-watchdog@.{kind}" for kind in ("service", "timer")]
    assert first["changed"] and first["files"] == [
        f"{folder}/watchdog/watchdog.pyz",
        f"{folder}/watchdog/chat.json",
        *units,
    ]
    assert (folder / "watchdog/watchdog.pyz").read_bytes() == b"program"
    assert (folder / "watchdog").stat().st_mode & 0o777 == 0o755
    written = json.loads((folder / "watchdog/chat.json").read_text(encoding="utf-8"))
    assert written["policy"]["patience"] == 60 and "timeout" not in written
    assert host.calls() == STARTED
    assert sorted(host.record()["files"]) == units and not host.record()["open"]
    assert [entry["after_header"] for entry in first["diff"]] == first["files"][1:]
    second = host.run()
    assert (second["changed"], second["files"], second["diff"]) == (False, [], [])
    assert host.calls() == []


def test_only_a_changed_unit_restarts_the_timer(host: Host) -> None:
    host.run()
    host.calls()
    assert host.run(settings={"timeout": 9})["files"] == [f"{host.folder}/watchdog/chat.json"]
    newer = {"settings": {"timeout": 9}, "program": b"newer"}
    assert host.run(**newer)["files"] == [f"{host.folder}/watchdog/watchdog.pyz"]
    assert host.calls() == []
    changed = host.run(**newer, timer="[Timer]\nOnActiveSec=1\n")
    assert changed["files"][-1].endswith(".timer")
    assert host.calls() == STARTED


@pytest.mark.parametrize(("name", "state"), [("active", "inactive"), ("enabled", "disabled"), ("outdated", "yes")])
def test_a_timer_that_somebody_changed_is_started(host: Host, name: str, state: str) -> None:
    host.run()
    host.calls()
    (host.folder / name).write_text(state, encoding="utf-8")
    result = host.run(check=True)
    assert result["changed"] and host.calls() == []
    assert host.run()["changed"] and host.calls() == STARTED


def test_check_mode_changes_nothing(host: Host) -> None:
    result = host.run(check=True)
    assert result["changed"] and len(result["files"]) == 4
    assert not (host.folder / "watchdog").exists() and not (host.folder / "record.json").exists()
    host.run()
    assert not host.run(check=True)["changed"]
    assert host.run(check=True, state="absent")["changed"] and (host.folder / "watchdog/chat.json").exists()


def test_the_watchdog_of_one_deployment_is_removed(host: Host) -> None:
    host.run()
    host.calls()
    metrics, rotation = host.folder / "chat.prom", host.folder / "rotation.map"
    metrics.write_text("trtllm_watchdog_failures 1\n", encoding="utf-8")
    rotation.write_text("chat watchdog\nother watchdog\nthird drain\n", encoding="utf-8")
    result = host.run(state="absent")
    assert result["changed"] and result["files"] == [f"{host.folder}/watchdog/chat.json", str(metrics)]
    assert host.calls() == ["disable --now trtllm-watchdog@chat.timer", "stop trtllm-watchdog@chat.service"]
    # Others are still watched.
    assert rotation.read_text(encoding="utf-8") == "other watchdog\nthird drain\n"
    assert (host.folder / "units/trtllm-watchdog@.timer").exists()
    again = host.run(state="absent")
    assert not again["changed"] and host.calls() == []


def test_a_drain_of_somebody_else_is_kept(host: Host) -> None:
    (host.folder / "rotation.map").write_text("chat drain\n", encoding="utf-8")
    assert not host.run(state="absent")["changed"]
    assert (host.folder / "rotation.map").read_text(encoding="utf-8") == "chat drain\n"


def test_an_error_of_systemctl_is_reported(host: Host) -> None:
    (host.folder / "broken").touch()
    with pytest.raises(AssertionError, match=r"restart trtllm-watchdog@chat\.timer failed: Unit is masked"):
        host.run()
