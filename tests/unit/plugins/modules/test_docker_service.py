# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker service is enabled, started, and restarted for newer settings after dependent services have stopped."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _service
from ansible_collections.tritonops.trtllm.plugins.modules import docker_service
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

UPTIME = 3600.0
STARTED_AGO = 100.0
DOCKER = "docker.service"
INFO = {"ServerVersion": "28.5.1", "Runtimes": {"runc": {}, "nvidia": {}}}
# It lists units like the real one: with shell patterns, and only units in one of the given states.
SYSTEMCTL = """#!/bin/sh
cd "{folder}" || exit
state() {{ cat "units/$1" 2>/dev/null || echo inactive; }}
case "$*" in
show*)
    echo LoadState={load}
    echo "ActiveState=$(state {docker})"
    echo UnitFileState={enabled}
    echo NeedDaemonReload={reload}
    echo "DropInPaths={loaded}"
    echo ExecMainStartTimestampMonotonic={started} ;;
list-units*)
    case "$*" in *" --plain --no-legend --state=active,activating,reloading "*) ;; *) exit 64 ;; esac
    for pattern; do :; done
    for file in units/*; do
        unit=${{file#units/}}
        case "$(state "$unit")" in active|activating|reloading) ;; *) continue ;; esac
        case "$unit" in $pattern) echo "$unit loaded $(state "$unit") running A description" ;; esac
    done ;;
'{failing}') echo 'Job failed' >&2; exit 1 ;;
*) echo "$*" >>told
    case "$*" in *start*{docker}) [ -e dockerd ] && {{ ./dockerd || {{ echo 'Job failed' >&2; exit 1; }} }} ;; esac ;;
esac
exit 0
"""


class Host:
    """A host that booted an hour ago, with Docker started later, and a systemctl that records its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "daemon.json"
        self.drop_ins = folder / "docker.service.d"
        (folder / "told").touch()
        (folder / "units").mkdir()
        self.unit(DOCKER, "active")
        self.write()
        self.answer(INFO)

    def write(self, load: str = "loaded", enabled: str = "enabled", failing: str = "none", **more: t.Any) -> None:
        started = int((UPTIME - more.pop("started_ago", STARTED_AGO)) * 1e6)
        states = {
            "docker": DOCKER,
            "load": load,
            "enabled": enabled,
            "failing": failing,
            "reload": "no",
            "loaded": self.drop_ins / "proxy.conf",
            **more,
        }
        text = SYSTEMCTL.format(folder=self.folder, started=started, **states)
        self.program("systemctl", text)

    def unit(self, name: str, state: str) -> None:
        (self.folder / "units" / name).write_text(state)

    def program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def answer(self, info: dict[str, t.Any], before: str = "") -> None:
        self.program("docker", f"#!/bin/sh\n{before}\necho '{json.dumps(info)}'\n")

    def set(self, path: Path, seconds_ago: float) -> None:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        at = time.time() - seconds_ago
        os.utime(path, (at, at))
        if path.parent == self.drop_ins:
            os.utime(self.drop_ins, (at, at))

    def commands(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    seconds = iter(range(1000))
    clocks = SimpleNamespace(time=time.time, monotonic=lambda: UPTIME + next(seconds), sleep=lambda _seconds: None)
    monkeypatch.setattr(_service, "time", clocks)
    return Host(tmp_path)


@pytest.fixture(name="options")
def fixture_options(host: Host) -> dict[str, t.Any]:
    return {"files": [str(host.settings), str(host.drop_ins)], "drained_units": ["trtllm@*.service", "other.service"]}


Options = t.Dict[str, t.Any]
Capture = pytest.CaptureFixture[str]
RESTART = [f"reset-failed {DOCKER}", f"restart {DOCKER}"]


def run(capsys: Capture, options: Options, **more: t.Any) -> Result:
    result = run_module(docker_service, capsys, **{**options, **more})
    assert not result.get("failed"), result
    return result


def test_a_service_newer_than_its_settings_is_left_alone(host: Host, options: Options, capsys: Capture) -> None:
    host.set(host.settings, STARTED_AGO + 50)
    result = run(capsys, options)
    assert not result["changed"] and result["diff"] == {"before": "", "after": ""}
    assert (result["version"], result["runtimes"]) == ("28.5.1", ["nvidia", "runc"])
    assert host.commands() == []


@pytest.mark.parametrize("enabled", ["static", "enabled-runtime", "generated"])
def test_a_service_that_another_unit_starts_counts_as_enabled(
    host: Host, options: Options, capsys: Capture, enabled: str
) -> None:
    host.write(enabled=enabled)
    assert not run(capsys, options)["changed"]


def test_a_disabled_service_is_enabled(host: Host, options: Options, capsys: Capture) -> None:
    host.write(enabled="disabled")
    predicted = run(capsys, options, check=True)
    assert predicted["changed"] and host.commands() == []
    assert run(capsys, options) == predicted
    assert predicted["diff"] == {"before": "not enabled\n", "after": "enabled\n"}
    assert host.commands() == [f"enable {DOCKER}"]


def test_a_stopped_service_is_started_with_current_settings(host: Host, options: Options, capsys: Capture) -> None:
    host.unit(DOCKER, "inactive")
    host.set(host.settings, 1)
    predicted = run(capsys, options, pending=True, check=True)
    assert host.commands() == []
    assert predicted["diff"] == {"before": "not running\n", "after": "running\n"}
    assert (predicted["changed"], predicted["version"], predicted["runtimes"]) == (True, "", [])
    real = run(capsys, options, pending=True)
    assert real == {**predicted, "version": "28.5.1", "runtimes": ["nvidia", "runc"]}
    assert host.commands() == [f"start {DOCKER}"]


def test_a_host_without_docker(host: Host, options: Options, capsys: Capture) -> None:
    host.write(load="not-found", enabled="")
    host.unit(DOCKER, "inactive")
    assert "There is no docker.service on this host: install Docker" in failure(docker_service, capsys, **options)
    assert run(capsys, options, check=True)["changed"], "the role that installs it has not run yet"
    assert host.commands() == []


@pytest.mark.parametrize("name", ["daemon.json", "docker.service.d/proxy.conf"])
def test_newer_settings_restart_the_service(host: Host, options: Options, capsys: Capture, name: str) -> None:
    path = host.settings.parent / name
    host.set(path, STARTED_AGO - 50)
    result = run(capsys, options)
    assert result["changed"] and str(path) in result["newer"]
    assert result["diff"]["before"] == "not up to date with its settings\n"
    assert host.commands() == RESTART


def test_newer_settings_can_wait_for_the_next_role(host: Host, options: Options, capsys: Capture) -> None:
    host.set(host.settings, 1)
    result = run(capsys, options, apply_settings=False)
    assert (result["changed"], result["newer"], result["drained"]) == (False, [str(host.settings)], [])
    assert not run(capsys, options, apply_settings=False, pending=True, check=True)["changed"]
    assert host.commands() == []


def test_a_removed_setting_restarts_the_service(host: Host, options: Options, capsys: Capture) -> None:
    host.set(host.drop_ins / "proxy.conf", STARTED_AGO + 50)
    (host.drop_ins / "proxy.conf").unlink()
    assert run(capsys, options)["newer"] == [str(host.drop_ins)]


@pytest.mark.parametrize("name", ["daemon.json", "docker.service.d/proxy.conf"])
def test_settings_from_the_future_are_applied_once(host: Host, options: Options, capsys: Capture, name: str) -> None:
    """A clock that was ahead wrote them."""
    host.set(host.settings.parent / name, -3600)
    assert run(capsys, options, check=True, apply_settings=False)["newer"]
    assert run(capsys, options)["changed"] and host.commands() == RESTART
    host.write(started_ago=-60)
    assert not run(capsys, options)["changed"]


@pytest.mark.parametrize(("state", "expected"), [("active", RESTART), ("inactive", [f"start {DOCKER}"])])
@pytest.mark.parametrize("reload", ["yes", "no"])
def test_systemd_is_only_reloaded_for_a_changed_unit(
    host: Host, options: Options, capsys: Capture, state: str, expected: list[str], reload: str
) -> None:
    host.unit(DOCKER, state)
    host.write(reload=reload)
    host.set(host.settings, 1)
    run(capsys, options)
    assert host.commands() == ["daemon-reload"] * (reload == "yes") + expected


@pytest.mark.parametrize("loaded", [True, False])
def test_systemd_is_reloaded_for_a_drop_in_that_it_has_not_read(
    host: Host, options: Options, capsys: Capture, loaded: bool
) -> None:
    drop_in = host.drop_ins / "proxy.conf"
    host.set(drop_in, 1)
    host.set(host.drop_ins / "proxy.env", 1)
    host.write(loaded=f"/etc/other.conf {drop_in if loaded else ''}")
    run(capsys, options)
    assert host.commands() == [*([] if loaded else ["daemon-reload"]), *RESTART]


def test_a_service_that_is_left_alone_needs_no_reload(host: Host, options: Options, capsys: Capture) -> None:
    host.write(reload="yes")
    run(capsys, options)
    assert host.commands() == []


def test_running_services_are_stopped_first_and_started_again(host: Host, options: Options, capsys: Capture) -> None:
    for unit, state in [
        ("other.service", "activating"),
        ("trtllm@chat.service", "active"),
        ("trtllm@code.service", "reloading"),
        ("trtllm@old.service", "failed"),
        ("trtllm.service", "active"),
    ]:
        host.unit(unit, state)
    host.set(host.settings, 1)
    expected = ["trtllm@chat.service", "trtllm@code.service", "other.service"]
    assert run(capsys, options, check=True)["drained"] == expected
    assert run(capsys, options)["drained"] == expected
    assert host.commands() == [
        *(f"stop {unit}" for unit in expected),
        *RESTART,
        *(f"start {unit}" for unit in reversed(expected)),
    ]


def test_a_service_that_matches_two_patterns_is_stopped_once(host: Host, options: Options, capsys: Capture) -> None:
    host.unit("trtllm@chat.service", "active")
    host.set(host.settings, 1)
    patterns = ["trtllm@chat.service", "trtllm@*.service"]
    assert run(capsys, options, drained_units=patterns)["drained"] == ["trtllm@chat.service"]


def test_services_are_started_again_even_if_docker_fails(host: Host, options: Options, capsys: Capture) -> None:
    host.unit("trtllm@chat.service", "active")
    host.unit("other.service", "active")
    host.write(failing=f"restart {DOCKER}")
    host.set(host.settings, 1)
    said = failure(docker_service, capsys, **options)
    assert "Job failed" in said and "journalctl -u docker.service" in said
    assert host.commands()[-2:] == ["start other.service", "start trtllm@chat.service"]


# --- settings that Docker does not start with ---

# As dockerd with a conflicting setting.
DOCKERD = """#!/bin/sh
! grep -qs conflict {settings}
"""
JOURNALCTL = """#!/bin/sh
case "$*" in *" _SYSTEMD_UNIT=docker.service") echo "directives are specified both as a flag: runtimes" ;; esac
"""


def break_settings(host: Host, earlier: str | None) -> None:
    """The role's second change since Docker started makes the settings wrong."""
    host.program("dockerd", DOCKERD.format(settings=host.settings))
    host.program("journalctl", JOURNALCTL)
    host.settings.write_text('{"conflict": 1}')
    first = host.folder / "daemon.json.9.2026-11-28@12:00:00~"
    first.write_text(earlier or "")
    second = host.folder / "daemon.json.8.2026-11-28@12:00:01~"
    second.write_text('{"second": 1}')
    later = first.stat().st_mtime + 1
    os.utime(second, (later, later))


@pytest.mark.parametrize("state", ["active", "inactive"])
@pytest.mark.parametrize("earlier", ['{"debug": true}', None])
def test_settings_that_docker_does_not_start_with_are_taken_back(
    host: Host, options: Options, capsys: Capture, state: str, earlier: str | None
) -> None:
    host.unit(DOCKER, state)
    host.unit("trtllm@chat.service", "active")
    break_settings(host, earlier)
    said = failure(docker_service, capsys, **options)
    assert "Job failed" in said and "last lines: directives are specified both as a flag: runtimes" in said
    assert f"{host.settings} was restored; the new one is {host.settings}.refused~" in said
    assert "Docker runs again" in said
    assert (host.settings.read_text() if host.settings.exists() else None) == earlier
    assert "conflict" in Path(f"{host.settings}.refused~").read_text()
    drained = ["start trtllm@chat.service"] if state == "active" else []
    assert host.commands()[-2 - len(drained) :] == [*RESTART, *drained]


def test_settings_with_which_docker_does_not_answer_are_taken_back(
    host: Host, options: Options, capsys: Capture
) -> None:
    break_settings(host, "{}")
    (host.folder / "dockerd").unlink()
    host.answer(INFO, before=f"grep -q conflict {host.settings} && exec echo no answer")
    said = failure(docker_service, capsys, **options)
    assert "did not answer within 30 s: no answer" in said and "Docker runs again" in said


def test_copies_from_before_the_start_are_no_earlier_settings(host: Host, options: Options, capsys: Capture) -> None:
    break_settings(host, "{}")
    host.unit("trtllm@chat.service", "active")
    host.write(started_ago=-1)
    host.set(host.drop_ins / "override.conf", -10)
    said = failure(docker_service, capsys, **options)
    assert "was restored" not in said and "Docker still does not run" in said
    assert host.settings.read_text() == '{"conflict": 1}'
    assert host.commands()[-1] == "start trtllm@chat.service"


def test_restored_settings_keep_their_mode(host: Host, options: Options, capsys: Capture) -> None:
    """They may have passwords."""
    break_settings(host, "{}")
    host.settings.chmod(0o600)
    failure(docker_service, capsys, **options)
    assert [path.stat().st_mode & 0o777 for path in (host.settings, Path(f"{host.settings}.refused~"))] == [0o600] * 2


def test_settings_that_were_removed_by_hand_stay_removed(host: Host, options: Options, capsys: Capture) -> None:
    break_settings(host, "{}")
    host.set(host.drop_ins / "override.conf", 1)
    host.settings.unlink()
    host.write(failing=f"restart {DOCKER}")
    said = failure(docker_service, capsys, **options)
    assert "Job failed" in said and "Docker still does not run" in said
    assert not host.settings.exists()


def test_the_first_cause_is_kept_if_a_service_does_not_start_either(
    host: Host, options: Options, capsys: Capture
) -> None:
    break_settings(host, "{}")
    host.unit("trtllm@chat.service", "active")
    host.unit("other.service", "active")
    host.write(failing="start other.service")
    said = failure(docker_service, capsys, **options)
    assert "both as a flag: runtimes" in said and "systemctl start other.service failed" in said
    assert host.commands()[-1] == "start trtllm@chat.service"


def test_check_mode_predicts_and_restarts_nothing(host: Host, options: Options, capsys: Capture) -> None:
    host.unit("trtllm@chat.service", "active")
    predicted = run(capsys, options, pending=True, check=True)
    assert (predicted["changed"], predicted["drained"]) == (True, ["trtllm@chat.service"])
    not_pending = run(capsys, options, check=True)
    assert (not_pending["changed"], not_pending["drained"]) == (False, [])
    assert host.commands() == []


def test_pending_alone_restarts_nothing(host: Host, options: Options, capsys: Capture) -> None:
    """A new service was started with the earlier settings."""
    assert not run(capsys, options, pending=True)["changed"]


def test_the_module_waits_for_docker(host: Host, options: Options, capsys: Capture) -> None:
    starting = '[ -e asked ] || { touch asked; echo "Is the docker daemon running?" >&2; exit 1; }'
    host.answer(INFO, before=f"cd {host.folder}; {starting}")
    assert run(capsys, options)["version"] == "28.5.1"


@pytest.mark.parametrize(
    ("info", "before"),
    [
        ({}, 'echo "no answer" >&2; exit 1'),
        ({"ServerErrors": ["no answer"]}, ""),
        ({"ServerVersion": ""}, "exec echo no answer"),
    ],
)
def test_docker_without_an_answer_is_an_error(
    host: Host, options: Options, capsys: Capture, info: dict[str, t.Any], before: str
) -> None:
    host.answer(info, before)
    said = failure(docker_service, capsys, **options)
    assert "docker.service runs, but Docker did not answer within 30 s: no answer. See `journalctl" in said


@pytest.mark.parametrize("minimum", ["28.5.1", "20.10", "28"])
def test_docker_of_the_minimum_version_is_accepted(host: Host, options: Options, capsys: Capture, minimum: str) -> None:
    assert run_module(docker_service, capsys, **options, minimum_version=minimum)["version"] == "28.5.1"


@pytest.mark.parametrize("minimum", ["28.5.2", "28.10", "29"])
def test_an_older_docker_is_refused(host: Host, options: Options, capsys: Capture, minimum: str) -> None:
    said = failure(docker_service, capsys, **options, minimum_version=minimum)
    assert f"Docker is 28.5.1, but {minimum} or later is needed: install a later one" in said


def test_check_mode_accepts_a_docker_that_does_not_run(host: Host, options: Options, capsys: Capture) -> None:
    host.unit(DOCKER, "inactive")
    assert run_module(docker_service, capsys, check=True, **options, minimum_version="29")["version"] == ""
