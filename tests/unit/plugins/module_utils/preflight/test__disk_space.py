# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on file systems, those that are there and those that are coming."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight import _disk_space
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._disk_space import (
    Space,
    check_disk,
    measure_disk,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding

ENOUGH, FREE, TOO_MUCH = 1000, 10**9, 10**15


@pytest.fixture(autouse=True)
def _free_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others write to this machine's file systems, and some are very large."""
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=FREE))


def ids(findings: list[Finding]) -> list[str]:
    return [finding["id"] for finding in findings]


def disk(path: Path, size: int, what: str = "weights") -> dict[str, t.Any]:
    return {"path": str(path), "bytes": size, "what": what}


def test_sum_for_one_file_system(tmp_path: Path) -> None:
    (space,) = measure_disk([disk(tmp_path / "a/b/c", ENOUGH), disk(tmp_path / "d", ENOUGH, "engine")])
    assert (space.needed, space.free, os.path.ismount(space.mount)) == (2 * ENOUGH, FREE, True)
    assert check_disk([space], "root") == []


def test_message_says_what_is_needed_and_what_is_there() -> None:
    space = Space("/data", 90_000_000_000, 21_500_000_000, ["weights 90 GB in /data/weights"])
    (finding,) = check_disk([space], "my_root")
    assert finding["id"] == "disk_space"
    assert finding["message"] == (
        "the file system /data has 21.5 GB free, 90 GB is needed: weights 90 GB in /data/weights"
    )
    assert finding["remedy"] == "free 68.5 GB there, or choose another folder in my_root"


def test_finished_artifact_needs_nothing(tmp_path: Path) -> None:
    done = tmp_path / "weights"
    done.mkdir()
    assert ids(check_disk(measure_disk([disk(done, TOO_MUCH)]), "root")) == ["disk_space"]
    (done / "artifact.json").write_text('{"inputs": {}}')
    assert check_disk(measure_disk([disk(done, TOO_MUCH)]), "root") == []


def test_half_made_artifact_needs_the_rest(tmp_path: Path) -> None:
    partial = tmp_path / "weights.partial" / "payload"
    partial.mkdir(parents=True)
    (partial / "shard").write_bytes(b"x" * 400)
    (space,) = measure_disk([disk(tmp_path / "weights", 1000)])
    assert space.needed == 600


def test_a_file_system_that_is_coming_counts_in_place_of_what_is_there(tmp_path: Path) -> None:
    wanted = [disk(tmp_path / "root/weights", TOO_MUCH), disk(tmp_path / "other", ENOUGH)]
    coming, here = measure_disk(wanted, {str(tmp_path / "root"): 2 * TOO_MUCH, str(tmp_path / "ro"): 1, "/srv": 1})
    assert (coming.mount, coming.free, coming.needed) == (str(tmp_path / "root"), 2 * TOO_MUCH, TOO_MUCH)
    assert (here.needed, here.free) == (ENOUGH, FREE)
    assert check_disk([coming, here], "root") == []


def test_a_root_file_system_that_will_grow_is_not_one_that_is_mounted_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [disk(tmp_path / "weights", ENOUGH)]
    monkeypatch.setattr(_disk_space, "mount_of", lambda _path: "/")
    assert [space.free for space in measure_disk(wanted, {"/": TOO_MUCH})] == [TOO_MUCH]
    monkeypatch.setattr(_disk_space, "mount_of", lambda _path: str(tmp_path))
    assert [space.mount for space in measure_disk(wanted, {"/": TOO_MUCH})] == [str(tmp_path)]
