# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease of a host, as Ansible sees it, and what other modules do without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.modules import host_lease, root_folder
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

ALICE = {"run": "run-7", "user": "alice", "node": "control-1", "pid": 7, "place": "here"}
BOB = {"run": "run-8", "user": "bob", "node": "control-2", "pid": 8, "place": "there"}
NOTHING = {"acquired": False, "environment": {}, "taken_over": ""}


class Host:
    """Runs the module for a run of Ansible."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = folder / "lease.json", capsys

    def run(self, owner: dict[str, Any], **arguments: Any) -> Result:
        return run_module(host_lease, self._capsys, path=str(self.path), owner=owner, **arguments)

    def holder(self) -> str | None:
        found = _lease.read(str(self.path))
        return found and found.owner.user

    def age(self, seconds: float) -> None:
        """Let time pass."""
        lease = json.loads(self.path.read_text())
        lease.update(acquired=lease["acquired"] - seconds, renewed=lease["renewed"] - seconds)
        self.path.write_text(json.dumps(lease))


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Host:
    return Host(tmp_path, capsys)


def told(result: Result) -> dict[str, Any]:
    assert not result.get("failed") and result["changed"] is False, result
    return {name: result[name] for name in NOTHING}


def test_a_run_acquires_and_releases(host: Host) -> None:
    environment = {_lease.VARIABLE: f"run-7:{host.path}"}
    assert told(host.run(ALICE)) == {"acquired": True, "environment": environment, "taken_over": ""}
    # An inner block of the same run must not release it.
    assert told(host.run(ALICE)) == {"acquired": False, "environment": environment, "taken_over": ""}
    assert told(host.run(ALICE, state="released")) == NOTHING
    assert host.holder() is None
    assert told(host.run(BOB))["acquired"]


def test_another_run_is_refused_and_told_who(host: Host) -> None:
    host.run(ALICE)
    host.age(780)
    result = host.run(BOB)
    assert result["failed"] and result["held_by"] == ALICE
    assert result["msg"] == (
        "alice on control-1 (process 7) is changing this host: that run of Ansible acquired the lease of the host"
        " 13 min 00 s ago. Run the playbook again when it has ended, or wait for it with -e trtllm_lease_wait=SECONDS."
        " If that run does not exist any more, the lease expires in 17 min 00 s; to continue at once, remove"
        f" {host.path} on the host."
    )
    host.run(BOB, state="released")
    assert host.holder() == "alice"


@pytest.mark.parametrize(
    ("age", "ended", "why"),
    [(1860, [], "it was not renewed for 31 min 00 s"), (0, ["run-7"], "that run has ended")],
)
def test_a_stale_lease_is_taken_over_with_a_message(host: Host, age: float, ended: list[str], why: str) -> None:
    host.run(ALICE)
    host.age(age)
    result = host.run(BOB, ended=ended)
    words = f"The lease of alice on control-1 (process 7) on this host was taken over: {why}."
    assert told(result)["acquired"] and result["taken_over"] == words and words in str(result["warnings"])
    assert host.holder() == "bob"


def test_check_mode_reads_only(host: Host) -> None:
    assert told(host.run(BOB, check=True)) == NOTHING
    assert list(host.path.parent.iterdir()) == []
    host.run(ALICE)
    before = host.path.read_text()
    result = host.run(BOB, check=True)
    assert told(result) == NOTHING and "alice on control-1 (process 7) is changing this host" in str(result["warnings"])
    assert "warnings" not in host.run(BOB, check=True, ended=["run-7"])
    host.run(ALICE, check=True, state="released")
    assert host.path.read_text() == before


def test_a_host_without_its_folder_is_reported(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing" / "lease.json")
    message = failure(host_lease, capsys, path=missing, owner=ALICE)
    assert message.startswith("cannot acquire or release the lease: ") and message.endswith("Run this task as root.")


def test_an_unreadable_lease_is_reported(host: Host) -> None:
    host.path.write_text("{}")
    assert "cannot be read" in host.run(ALICE)["msg"]


@pytest.mark.parametrize("loss", ["taken over", "removed", "unreadable"])
def test_other_modules_change_nothing_without_the_lease(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    for name, value in host.run(ALICE)["environment"].items():
        monkeypatch.setenv(name, value)
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    assert run_module(root_folder, capsys, path=str(kept))["changed"]
    assert (kept / ".trtllm").exists()
    if loss == "taken over":
        host.run(BOB, ended=["run-7"])
    elif loss == "removed":
        host.path.unlink()
    else:
        host.path.write_text("{")
    assert "the lease of this host" in failure(root_folder, capsys, path=str(lost)).lower()
    assert not lost.exists()
