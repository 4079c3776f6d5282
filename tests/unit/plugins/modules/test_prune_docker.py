# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the Docker of this machine, and images of its own in it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import prune
from ansible_collections.tritonops.trtllm.tests.unit.support.images import LAYER, Images, has
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import SIZE, RootFolder


@pytest.fixture(name="run")
def fixture_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    return lambda check=False: run_module(
        prune, capsys, check, path=str(tmp_path / "trtllm"), keep=0, host_record=str(tmp_path / "none")
    )


def test_only_images_of_no_release_are_removed(
    tmp_path: Path, client: t.Any, image: Images, run: t.Callable[..., Result]
) -> None:
    root = RootFolder(tmp_path / "trtllm")
    served, old, theirs = image("served"), image("old"), image("theirs")
    record, kept = root.artifact("image", image=old), root.artifact("image", image=served)
    root.release("current", run=served)
    root.serve("current")
    (predicted,) = run(check=True)["removed"]
    assert predicted["path"] == record and LAYER <= predicted["bytes"] - SIZE < LAYER + SIZE
    assert has(client, old)
    assert run()["removed"] == [predicted]
    assert [has(client, name) for name in (served, old, theirs)] == [True, False, True]
    assert Path(kept).exists() and not Path(record).exists()
    assert not run()["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_an_image_that_a_container_uses_stays(
    tmp_path: Path, client: t.Any, image: Images, run: t.Callable[..., Result], check: bool
) -> None:
    root = RootFolder(tmp_path / "trtllm")
    name = image("used")
    record = root.artifact("image", image=name)
    container = client.containers.create(name, command=["none"])
    try:
        result = run(check)
        why = f"the container {container.name} uses its image"
        assert (result["removed"], result["kept"]) == ([], [{"path": record, "why": why}])
        assert has(client, name) and Path(record).exists()
    finally:
        container.remove()
    assert [entry["path"] for entry in run(check)["removed"]] == [record]


def test_an_image_that_others_have_tagged_stays_in_docker(
    tmp_path: Path, client: t.Any, image: Images, run: t.Callable[..., Result]
) -> None:
    root = RootFolder(tmp_path / "trtllm")
    name = image("ours")
    root.artifact("image", image=name)
    theirs = name.replace(":ours", ":theirs")
    client.images.get(name).tag(*theirs.split(":"))
    try:
        (entry,) = run()["removed"]
        assert entry["bytes"] < LAYER and has(client, theirs) and not has(client, name)
    finally:
        client.images.remove(theirs)
