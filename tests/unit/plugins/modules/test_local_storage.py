# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module predicts steps, runs them in order, and checks the result."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage import _change, _storage
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._drives import filesystem_uuid
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import Device, Host, Mount
from ansible_collections.tritonops.trtllm.plugins.modules import local_storage
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

GIB = 1 << 30
EMPTY = Device("nvme0n1", "disk", 100 * GIB, serial="S1", links=("/dev/disk/by-id/nvme-S1",), transport="nvme")
UUID = filesystem_uuid([EMPTY])
PLACE = "/no/such/place"
WISHES: dict[str, t.Any] = {"drives": ["S1"], "mount": PLACE}
PROGRAMS = ("mkfs.xfs", "mkdir", "systemctl", "mount")


class Machine:
    """A host with one drive, whose programs only record their calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fstab = folder / "fstab"
        self.calls = folder / "calls"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.fstab.write_text("# theirs\n/dev/sda1 / ext4 defaults 0 1")
        for name in PROGRAMS:
            self.have(name)

    def have(self, name: str, ending: str = "exit 0") -> None:
        program = self.programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{ending}\n')
        program.chmod(0o755)

    def is_the_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_storage, "FSTAB", str(self.fstab))
        monkeypatch.setattr(_change, "read_host", self.look)
        monkeypatch.setattr(_change, "SBIN", [])
        monkeypatch.setenv("PATH", f"{self.programs}:/usr/bin:/bin")

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def look(self, *_args: t.Any) -> Host:
        """The state after the calls."""
        words = " ".join(self.called())
        drive, mounts = EMPTY, [Mount("/", "/dev/sda1", "ext4", 5)]
        if "mkfs.xfs" in words:
            drive = drive._replace(signature="xfs", uuid=UUID)
        if f"mount {PLACE}" in words:
            drive = drive._replace(mounts=(PLACE,))
            mounts.append(Mount(PLACE, drive.path, "xfs", 7))
        return Host((drive,), tuple(mounts), fstab=self.fstab.read_text())


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    machine.is_the_host(monkeypatch)
    return machine


@pytest.fixture(name="run")
def fixture_run(machine: Machine, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    def run(**more: t.Any) -> Result:
        result = run_module(local_storage, capsys, **{**WISHES, **more})
        assert not result.get("failed"), result
        return result

    return run


def test_check_mode_predicts_what_a_run_does(machine: Machine, run: t.Callable[..., Result]) -> None:
    before = machine.fstab.read_text()
    predicted = run(check=True)
    assert machine.called() == [] and machine.fstab.read_text() == before
    done = run()
    assert predicted["changed"] and done["changed"]
    assert predicted["steps"] == done["steps"]
    assert predicted["diff"] == done["diff"]
    again = run()
    assert not again["changed"] and again["steps"] == []
    assert again["diff"]["before"] == again["diff"]["after"]


def test_a_host_is_not_read_if_nothing_is_requested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_args: t.Any) -> t.NoReturn:
        raise AssertionError("the host is read")

    monkeypatch.setattr(_change, "read_host", read)
    for check in (True, False):
        result = run_module(local_storage, capsys, check=check)
        assert (result["changed"], result["steps"], result["predicted"]) == (False, [], [])


def test_steps_are_run_in_order(machine: Machine, run: t.Callable[..., Result]) -> None:
    run()
    programs = [call.split()[0] for call in machine.called()]
    assert programs == list(PROGRAMS)
    theirs, root, ours = machine.fstab.read_text().splitlines()
    assert (theirs, root) == ("# theirs", "/dev/sda1 / ext4 defaults 0 1")
    assert ours.startswith(f"UUID={UUID} {PLACE} xfs ")


def test_other_users_can_enter_the_folders_above_a_mount(
    machine: Machine, run: t.Callable[..., Result], strict_umask: None
) -> None:
    machine.have("mkdir", f"umask >'{machine.folder}/umask'")
    run()
    assert (machine.folder / "umask").read_text() == "0022\n"


def test_free_space_is_predicted_before_and_measured_after(run: t.Callable[..., Result]) -> None:
    (predicted,) = run(check=True)["predicted"]
    assert predicted["mount"] == PLACE and predicted["free_bytes"] > 90 * GIB
    assert run()["predicted"] == [{"mount": PLACE, "free_bytes": 7}]


def test_missing_programs_are_reported_in_check_mode_and_an_error_in_a_run(
    machine: Machine, run: t.Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.programs / "mkfs.xfs").unlink()
    assert run(check=True)["missing_programs"] == ["mkfs.xfs"]
    assert "nothing was touched: mkfs.xfs must be installed first" in failure(local_storage, capsys, **WISHES)
    assert machine.called() == []


def test_a_refusal_changes_nothing(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    message = failure(local_storage, capsys, **{**WISHES, "drives": ["S1", "S9"]})
    assert "nothing was touched" in message and "S9, but this host only has" in message
    assert machine.called() == []


def test_a_failed_step_is_explained_and_the_next_run_continues(
    machine: Machine, run: t.Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.have("systemctl", "echo 'Failed to connect to bus' >&2; exit 1")
    message = failure(local_storage, capsys, **WISHES)
    assert "systemctl daemon-reload' failed (1): Failed to connect to bus" in message and "run again" in message
    machine.have("systemctl")
    assert [step["argv"][0] for step in run()["steps"]] == ["mkdir", "mount"]


def test_a_step_without_effect_is_detected(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    # A mount that reports success without mounting.
    (machine.programs / "mount").write_text("#!/bin/sh\n")
    message = failure(local_storage, capsys, **WISHES)
    message = message.replace(f"create the mount point {PLACE} (mkdir --parents {PLACE}); ", "")
    assert f"there is still something to do: mount the file system at {PLACE}" in message


class Booted(Machine):
    """A host whose root partition does not use the whole disk, with Oracle's program for growing it."""

    def look(self, *_args: t.Any) -> Host:
        words = " ".join(self.called())
        size, covered = (20 * GIB if program in words else 4 * GIB for program in ("growpart", "resize2fs"))
        disk = Device("vda", "disk", 20 * GIB, table="gpt", transport="virtio")
        part = Device("vda1", "part", size, parents=("vda",), mounts=("/",), signature="ext4", number=1, start=1 << 20)
        mount = Mount("/", "/dev/vda1", "ext4", GIB)
        return Host((disk, part), (mount,), root_covers=covered, oci_growfs=str(self.programs / "oci-growfs"))


def test_steps_that_oci_growfs_omits_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Booted(tmp_path)
    machine.is_the_host(monkeypatch)
    for name in ("oci-growfs", "growpart", "resize2fs"):
        machine.have(name)
    result = run_module(local_storage, capsys, grow_root=True)
    assert not result.get("failed"), result
    assert machine.called() == ["oci-growfs -y", "growpart /dev/vda 1", "resize2fs /dev/vda1"]
    assert [step["argv"][0].rsplit("/", 1)[-1] for step in result["steps"]] == ["oci-growfs", "growpart", "resize2fs"]
