# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Space on disks and in memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _room
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk, Shm
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import (
    Memory,
    Place,
    Places,
    disk_space,
    memory,
    place_of,
    shm,
    spaces_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_total
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only

ENOUGH, FREE, TOO_MUCH = 1000, 10**9, 10**15
GIB = 1 << 30


@pytest.fixture(autouse=True)
def _free_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """The free space of this machine varies and may be very large."""
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=FREE))


def places(*wanted: Disk, storage: dict[str, int] | None = None) -> Places:
    coming = [{"mount": mount, "free_bytes": free} for mount, free in (storage or {}).items()]
    return Places({disk.path: place_of(disk.path, coming) for disk in wanted})


def test_needs_on_one_file_system_are_added_up(tmp_path: Path) -> None:
    wanted = [Disk(str(tmp_path / "a/b/c"), ENOUGH), Disk(str(tmp_path / "d"), ENOUGH, "engine")]
    (space,) = spaces_of(wanted, places(*wanted))
    assert (space.needed, space.free, os.path.ismount(space.mount)) == (2 * ENOUGH, FREE, True)
    assert list(disk_space(wanted, places(*wanted))) == []


def test_the_message_has_needed_and_free_space() -> None:
    wanted = [Disk("/data/weights", 90_000_000_000, "weights")]
    found = disk_space(wanted, Places({"/data/weights": Place(1, "/data", 21_500_000_000, 0)}))
    assert only(found) == (
        "error",
        "the file system /data has 21.5 GB free, but 90 GB is needed: weights 90 GB in /data/weights",
        "free 68.5 GB there, or choose another folder in O(disk)",
    )


def test_a_finished_artifact_needs_no_space(tmp_path: Path) -> None:
    wanted = Disk(str(tmp_path / "weights"), TOO_MUCH)
    (tmp_path / "weights").mkdir()
    assert only(disk_space([wanted], places(wanted)))[0] == "error"
    (tmp_path / "weights/artifact.json").write_text('{"inputs": {}}')
    assert list(disk_space([wanted], places(wanted))) == []


def test_a_partial_artifact_needs_the_rest(tmp_path: Path) -> None:
    partial = tmp_path / "weights.partial" / "payload"
    partial.mkdir(parents=True)
    (partial / "shard").write_bytes(b"x" * 400)
    wanted = Disk(str(tmp_path / "weights"), 1000)
    assert [space.needed for space in spaces_of([wanted], places(wanted))] == [600]


def test_an_unknown_file_system_is_not_checked() -> None:
    known, unknown = Disk("/data/weights", TOO_MUCH), Disk("/var/lib/docker", TOO_MUCH)
    found = Places({known.path: Place(1, "/data", 2 * TOO_MUCH, 0)})
    assert list(disk_space([known, unknown], found)) == []


def test_a_planned_file_system_counts_instead_of_the_current_one(tmp_path: Path) -> None:
    wanted = [Disk(str(tmp_path / "root/weights"), TOO_MUCH), Disk(str(tmp_path / "other"), ENOUGH)]
    storage = {str(tmp_path / "root"): 2 * TOO_MUCH, str(tmp_path / "ro"): 1, "/srv": 1}
    found = places(*wanted, storage=storage)
    coming, here = spaces_of(wanted, found)
    assert (coming.mount, coming.free, coming.needed) == (str(tmp_path / "root"), 2 * TOO_MUCH, TOO_MUCH)
    assert (here.needed, here.free) == (ENOUGH, FREE)
    assert list(disk_space(wanted, found)) == []


def test_a_growing_root_file_system_does_not_change_those_mounted_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "weights")
    coming = [{"mount": "/", "free_bytes": TOO_MUCH}]
    monkeypatch.setattr(_room, "mount_of", lambda _path: "/")
    assert place_of(path, coming).free == TOO_MUCH
    monkeypatch.setattr(_room, "mount_of", lambda _path: str(tmp_path))
    assert place_of(path, coming).mount == str(tmp_path)


def test_memory() -> None:
    total = memory_total()
    assert total > 10**8
    assert list(memory(total, Memory(total))) == []
    _severity, message, remedy = only(memory(64_000_000_000, Memory(16_000_000_000)))
    assert message == "the host has 16 GB of memory, but 64 GB is needed"
    assert "O(memory_bytes)" in remedy


def test_shm() -> None:
    assert list(shm(Shm("2g", 8), Memory(64 * GIB))) == []
    assert list(shm(Shm("64m"), Memory(64 * GIB))) == []
    severity, message, remedy = only(shm(Shm("64g", 8), Memory(8 * GIB)))
    assert severity == "error" and "/dev/shm needs 68.7 GB" in message and "O(shm)" in remedy
    severity, message, remedy = only(shm(Shm("64m", 8), Memory(64 * GIB)))
    assert severity == "warning" and "too small for 8 ranks" in message and "increase O(shm)" in remedy


def test_shared_memory_in_dockers_syntax() -> None:
    for size in ("900tb", "900T"):
        assert only(shm(Shm(size), Memory(64 * GIB)))[0] == "error"
    assert list(shm(Shm("1g", 8), Memory(64 * GIB))) == list(shm(Shm("1073741824", 8), Memory(64 * GIB))) == []
