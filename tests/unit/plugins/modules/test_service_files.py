# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import SCOPES
from ansible_collections.tritonops.trtllm.plugins.modules import service_files
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

RUN = "#!/bin/sh\nexec docker run --user @UID@:@GID@ image\n"
# A stand-in for programs that the test must not run on this machine. It writes how it was called.
RECORDER = '#!/bin/sh\necho "$(basename "$0") $*" >> {folder}/calls\n'


class Host:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.unit, self.script = folder / "units/trtllm@.service", folder / "one/run"
        (folder / "units").mkdir()
        (folder / "one").mkdir()

    def arguments(
        self, user: str = "nobody", unit: str = "[Service]\n", script: str = RUN, predict: bool = False
    ) -> dict[str, t.Any]:
        return {
            "part": "triton_service",
            "user": user,
            "unit": {"path": str(self.unit), "content": unit},
            "scripts": [{"path": str(self.script), "content": script, "predict": predict}],
        }

    def run(self, check: bool = False, **changes: t.Any) -> Result:
        result = run_module(service_files, self._capsys, check, **self.arguments(**changes))
        assert not result.get("failed"), result
        return result

    def failure(self, **changes: str) -> str:
        return failure(service_files, self._capsys, **self.arguments(**changes))

    def record(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(service_files, "RECORD", str(tmp_path / "record.json"))
    return Host(tmp_path, capsys)


def test_a_script_can_be_predicted_while_the_unit_is_written(host: Host) -> None:
    host.run()
    result = host.run(unit="[Unit]\n", script=RUN + "# new\n", predict=True)
    assert result["changed"] and result["files"] == [str(host.unit), str(host.script)]
    assert host.unit.read_text() == "[Unit]\n" and "new" not in host.script.read_text()
    host.script.chmod(0o700)
    assert host.run(unit="[Unit]\n", predict=True)["changed"] and host.script.stat().st_mode & 0o777 == 0o700


def test_the_files_are_written_once(host: Host) -> None:
    first = host.run()
    assert first["changed"] and first["files"] == [str(host.unit), str(host.script)]
    assert [entry["after_header"] for entry in first["diff"]] == first["files"]
    nobody = pwd.getpwnam("nobody")
    assert host.script.read_text() == f"#!/bin/sh\nexec docker run --user {nobody.pw_uid}:{nobody.pw_gid} image\n"
    assert [path.stat().st_mode & 0o777 for path in (host.unit, host.script)] == [0o644, 0o755]
    second = host.run()
    assert (second["changed"], second["files"], second["diff"]) == (False, [], [])


def test_what_was_changed_is_written_again(host: Host) -> None:
    host.run()
    host.script.chmod(0o700)
    host.unit.write_text("[Unit]\n")
    foreseen = host.run(check=True)
    assert foreseen["files"] == [str(host.unit), str(host.script)] and host.unit.read_text() == "[Unit]\n"
    assert host.run()["diff"] == foreseen["diff"]
    assert host.script.stat().st_mode & 0o777 == 0o755 and host.unit.read_text() == "[Service]\n"


def test_the_unit_and_the_user_are_recorded(host: Host) -> None:
    host.unit.write_text("of others\n")
    host.run()
    record = host.record()
    assert list(record["files"]) == [str(host.unit)] and record["files"][str(host.unit)]["before"]["kind"] == "file"
    assert list(record["users"]) == ["nobody"] and not record["open"]
    host.run()
    assert host.record() == record


def test_changes_of_others_between_two_runs_are_kept(host: Host) -> None:
    """The unit that teardown restores is the one that somebody wrote after the last run."""
    host.run()
    host.unit.write_text("of others\n")
    host.run()
    entry = host.record()["files"][str(host.unit)]
    assert entry["changed_by_others"] and entry["before"]["content"] == "b2Ygb3RoZXJzCg=="
    assert host.unit.read_text() == "[Service]\n"


def test_a_part_that_a_killed_run_left_open_is_closed(host: Host) -> None:
    host.run()
    record = host.record()
    record["open"] = {"triton_service": {**{scope: [] for scope in SCOPES}, "files": [str(host.unit)]}}
    del record["files"][str(host.unit)]["ours"]
    (host.folder / "record.json").write_text(json.dumps(record))
    host.unit.write_text("half\n")
    host.run()
    entry = host.record()["files"][str(host.unit)]
    assert not host.record()["open"] and entry["before"] is None and "changed_by_others" not in entry


def test_a_user_is_created_with_its_group(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("useradd", "groupadd"):
        (host.folder / program).write_text(RECORDER.format(folder=host.folder))
        (host.folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{host.folder}:/usr/bin:/bin")
    foreseen = host.run(check=True, user="no-such-user")
    assert foreseen["changed"] and not (host.folder / "calls").exists() and not host.script.exists()
    assert host.run(user="no-such-user")["changed"]
    assert (host.folder / "calls").read_text().splitlines() == [
        "groupadd --system no-such-user",
        "useradd --system --gid no-such-user --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
        " no-such-user",
    ]
    assert host.record()["users"]["no-such-user"]["before"] is None


def test_a_script_with_an_error_is_not_written(host: Host) -> None:
    host.run()
    message = host.failure(script="#!/bin/sh\nif true; then\n")
    assert message.startswith(f"{host.script} was not written, because sh -n refuses it: ")
    assert "docker run" in host.script.read_text()


def test_a_release_without_a_folder_is_refused(host: Host) -> None:
    (host.folder / "one").rmdir()
    assert host.run(check=True)["files"] == [str(host.unit), str(host.script)]
    assert host.failure() == (
        f"{host.script} cannot be written, because its folder does not exist: create the release first"
    )
    assert not host.unit.exists()
