# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""daemon.json: merged, validated by dockerd, written in one step."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._daemon_config import HIDDEN, merge
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._flags import conflicts, read_flags
from ansible_collections.tritonops.trtllm.plugins.modules import docker_daemon_config
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

RUNTIME = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}

CANARY = "canary-of-another-program"
ACCEPTS = "exit 0"
TOO_OLD = 'echo "Status: unknown flag: --validate" >&2; exit 125'
REFUSES = 'echo "unable to configure the Docker daemon with file $3: unknown keys: typo" >&2; exit 1'

Run = t.Callable[..., Result]


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "daemon.json"


@pytest.fixture(name="existing")
def fixture_existing(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text('{"data-root": "/data", "log-opts": {"max-size": "1g"}, "dns": ["10.0.0.1"]}')
    return path


@pytest.fixture(name="arguments")
def fixture_arguments(tmp_path: Path, path: Path) -> t.Callable[[str], dict[str, t.Any]]:
    def arguments(engine: str) -> dict[str, t.Any]:
        dockerd = tmp_path / "dockerd"
        dockerd.write_text(f"#!/bin/sh\n{engine}\n")
        dockerd.chmod(0o755)
        return {"path": str(path), "dockerd": str(dockerd)}

    return arguments


@pytest.fixture(name="run")
def fixture_run(arguments: t.Callable[[str], dict[str, t.Any]], capsys: pytest.CaptureFixture[str]) -> Run:
    def run(config: dict[str, t.Any], engine: str = ACCEPTS, **more: t.Any) -> Result:
        result = run_module(docker_daemon_config, capsys, config=config, **arguments(engine), **more)
        assert not result.get("failed"), result
        return result

    return run


@pytest.mark.parametrize(
    ("current", "wanted", "merged"),
    [
        ({}, RUNTIME, RUNTIME),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": {"b": None}}, {}),
        ({}, {"a": {}}, {"a": {}}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_values_are_merged(current: dict[str, t.Any], wanted: dict[str, t.Any], merged: dict[str, t.Any]) -> None:
    assert merge(current, wanted) == merged
    assert merge(merged, wanted) == merged


def test_new_file(run: Run, path: Path, strict_umask: None) -> None:
    result = run(RUNTIME)
    assert (result["changed"], result["validated"]) == (True, True)
    assert json.loads(path.read_text()) == RUNTIME
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o644)
    assert not run(RUNTIME)["changed"]


def test_settings_of_others_are_kept(run: Run, existing: Path) -> None:
    existing.chmod(0o600)
    result = run({"log-opts": {"max-file": "3"}, "dns": ["10.0.0.2"]}, backup=True)
    expected = {"data-root": "/data", "log-opts": {"max-size": "1g", "max-file": "3"}, "dns": ["10.0.0.2"]}
    assert json.loads(existing.read_text()) == expected
    assert "10.0.0.1" in Path(result["backup_file"]).read_text()
    assert existing.stat().st_mode & 0o777 == 0o600


def test_other_formatting_is_not_a_change(run: Run, existing: Path) -> None:
    before = existing.read_bytes()
    result = run({"data-root": "/data"}, backup=True)
    assert not result["changed"] and "backup_file" not in result
    assert existing.read_bytes() == before


def test_check_mode_predicts_what_a_run_does(run: Run, existing: Path) -> None:
    before = existing.read_bytes()
    predicted = run(RUNTIME, check=True)
    assert existing.read_bytes() == before
    real = run(RUNTIME)
    assert predicted == real
    assert json.loads(predicted["diff"]["before"]) == {}
    assert json.loads(predicted["diff"]["after"]) == RUNTIME


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("wanted", "before", "after"),
    [
        (RUNTIME, {}, RUNTIME),
        ({"log-opts": {"max-size": "2g"}}, {"log-opts": {"max-size": HIDDEN}}, {"log-opts": {"max-size": "2g"}}),
        ({"log-opts": {"splunk-token": None}}, {"log-opts": {"splunk-token": HIDDEN}}, {"log-opts": {}}),
        ({"proxies": None}, {"proxies": HIDDEN}, {}),
        ({"proxies": "none"}, {"proxies": HIDDEN}, {"proxies": "none"}),
        ({"log-opts": {"max-size": "1g"}}, {}, {}),
    ],
)
def test_nothing_that_others_have_set_is_shown(
    wanted: dict[str, t.Any], before: dict[str, t.Any], after: dict[str, t.Any], check: bool, run: Run, existing: Path
) -> None:
    proxies = {"http-proxy": f"http://ops:{CANARY}@proxy.example.com:3128"}
    existing.write_text(json.dumps({"proxies": proxies, "log-opts": {"max-size": "1g", "splunk-token": CANARY}}))
    result = run(wanted, check=check)
    assert CANARY not in json.dumps(result)
    assert json.loads(result["diff"]["before"]) == before
    assert json.loads(result["diff"]["after"]) == after
    assert result["changed"] == (before != after)


def test_check_mode_creates_no_folder(run: Run, path: Path) -> None:
    assert run(RUNTIME, check=True)["changed"]
    assert not path.parent.exists()


def test_link_is_followed(run: Run, existing: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    existing.rename(target)
    existing.symlink_to(target)
    run(RUNTIME)
    assert existing.is_symlink()
    assert "runtimes" in json.loads(target.read_text())


def test_dockerd_without_validation_is_accepted(run: Run, path: Path) -> None:
    assert run(RUNTIME, engine=TOO_OLD)["validated"] is False
    assert path.exists()


@pytest.mark.parametrize("check", [True, False])
def test_settings_that_dockerd_rejects_are_refused(
    check: bool,
    existing: Path,
    arguments: t.Callable[[str], dict[str, t.Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = existing.read_bytes()
    message = failure(docker_daemon_config, capsys, check=check, config={"typo": 1}, **arguments(REFUSES))
    assert f"file {existing}: unknown keys: typo" in message
    assert existing.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  "data-root": "/data",\n}', "line 3, column 1"),
        ("[1]", "a JSON list"),
        ("{'a': 1}", "line 1, column 2"),
    ],
)
def test_unreadable_file_is_left_alone(
    text: str,
    words: str,
    existing: Path,
    arguments: t.Callable[[str], dict[str, t.Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    existing.write_text(text)
    message = failure(docker_daemon_config, capsys, config=RUNTIME, **arguments(ACCEPTS))
    assert str(existing) in message and words in message
    assert existing.read_text() == text


def test_empty_file_means_an_empty_configuration(run: Run, existing: Path) -> None:
    existing.write_text("\n")
    run(RUNTIME)
    assert json.loads(existing.read_text()) == RUNTIME


# --- flags of the unit ---

UNIT = """\
# /lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine
[Service]
EnvironmentFile=-{environment}
ExecStart=/usr/bin/dockerd -H fd:// \\
    --containerd=/run/containerd/containerd.sock $DOCKER_OPTS

# {drop_in}
[Service]
{lines}
"""
RESET = "ExecStart=\nExecStart=/usr/bin/dockerd -H fd:// "
# As dockerd 28: it compares its flags with the keys of the file, and accepts runtimes in both.
COMPARES = """
for file; do :; done
case "$* $(cat "$file")" in *"--data-root "*'"data-root"'*)
    echo "the following directives are specified both as a flag and in the configuration file: data-root" >&2; exit 1 ;;
esac"""


@pytest.fixture(name="unit")
def fixture_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., str]:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    drop_in = "/etc/systemd/system/docker.service.d/override.conf"

    def unit(lines: str, options: str = "") -> str:
        environment = tmp_path / "docker.env"
        environment.write_text(f'# DOCKER_OPTS="--dns 1.1.1.1"\nDOCKER_OPTS="{options}"\n')
        (tmp_path / "cat").write_text(UNIT.format(environment=environment, drop_in=drop_in, lines=lines))
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(f'#!/bin/sh\n[ "$*" = "cat docker.service" ] && exec /bin/cat {tmp_path}/cat\nexit 1\n')
        systemctl.chmod(0o755)
        return str(environment) if options else drop_in

    return unit


@pytest.mark.parametrize("dockerd", [COMPARES, TOO_OLD])
@pytest.mark.parametrize(
    ("lines", "options"), [(RESET + "--data-root /data/docker", ""), ("", "--dns 1.1.1.1 --data-root /data/docker")]
)
def test_a_setting_that_is_also_a_flag_is_refused(
    lines: str,
    options: str,
    dockerd: str,
    unit: t.Callable[..., str],
    path: Path,
    arguments: t.Callable[[str], dict[str, t.Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = unit(lines, options)
    config = {"data-root": "/mnt/docker", "debug": True}
    message = failure(docker_daemon_config, capsys, config=config, **arguments(dockerd))
    assert f"data-root is also set by the flag --data-root in {file}: remove the flag there" in message
    assert not path.parent.exists()


def test_runtimes_may_be_flags_if_docker_merges_them(
    run: Run,
    unit: t.Callable[..., str],
    arguments: t.Callable[[str], dict[str, t.Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = unit(RESET + "--add-runtime=nvidia=/usr/bin/nvidia-container-runtime")
    message = failure(docker_daemon_config, capsys, config=RUNTIME, **arguments(TOO_OLD))
    assert f"runtimes is also set by the flag --add-runtime in {file}" in message
    assert run(RUNTIME, engine=COMPARES)["validated"]


def test_a_flag_that_is_newer_than_the_file_is_found(
    existing: Path,
    unit: t.Callable[..., str],
    arguments: t.Callable[[str], dict[str, t.Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    unit(RESET + "--data-root /data")
    message = failure(docker_daemon_config, capsys, config={"data-root": "/data"}, **arguments(COMPARES))
    assert "data-root is also set by the flag --data-root" in message


@pytest.mark.parametrize(
    ("config", "flags", "found"),
    [
        ({"hosts": ["tcp://0.0.0.0"]}, "-H fd://", ["hosts"]),
        ({"hosts": ["tcp://0.0.0.0"]}, "--host=fd://", ["hosts"]),
        (
            {"labels": ["a=b"], "log-opts": {"max-size": "1g"}},
            "--label a=b --log-opt max-file=3",
            ["labels", "log-opts"],
        ),
        ({"insecure-registries": ["a"]}, "--insecure-registry=b", ["insecure-registries"]),
        ({"proxies": {"http-proxy": "http://a"}}, "--http-proxy http://b", ["http-proxy"]),
        ({"log-opts": {"mtu": "1"}, "runtimes": {"nvidia": {}}}, "--mtu 1500 --icc=false", []),
        ({"debug": True}, "-D", ["debug"]),
        ({"dns": ["1.1.1.1"]}, "--dns-search example.com", []),
    ],
)
def test_settings_and_flags_are_compared_as_docker_does(config: dict[str, t.Any], flags: str, found: list[str]) -> None:
    text = f"# /lib/systemd/system/docker.service\n[Service]\nExecStart=/usr/bin/dockerd {flags}\n"
    assert [conflict.key for conflict in conflicts(config, read_flags(text, lambda _path: ""))] == found


@pytest.mark.parametrize("command", ["/bin/sh -c 'exec dockerd --debug'", "", "/usr/bin/dockerd --dns '"])
def test_an_unusual_command_has_no_known_flags(command: str) -> None:
    text = f"# /a\n[Service]\nExecStart=/usr/bin/dockerd --debug\nExecStart={command}\n"
    assert conflicts({"debug": True}, read_flags(text, lambda _path: "")) == []


def test_a_missing_file_has_an_empty_backup(run: Run, path: Path) -> None:
    backup = Path(run(RUNTIME, backup=True)["backup_file"])
    assert backup.read_bytes() == b"" and backup.name.startswith("daemon.json.") and backup.name.endswith("~")
