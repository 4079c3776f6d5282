# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, artifact_key, locked
from ansible_collections.tritonops.trtllm.plugins.modules import artifact_info
from ansible_collections.tritonops.trtllm.tests.unit.support.images import Images
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

INPUTS = {"source": "c49b01ad7e3f5862", "release": "1.2.1"}


@pytest.fixture(name="look")
def fixture_look(capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    return lambda **arguments: run_module(artifact_info, capsys, **arguments)


def made(folder: Path, record: dict[str, t.Any] | None = None, **inputs: t.Any) -> Path:
    """An artifact with a file, in a folder that is named after its key."""
    dest = folder / artifact_key(inputs or INPUTS)
    draft = Draft(str(dest), inputs or INPUTS)
    with locked(draft.dest):
        progress = draft.begin()
        Path(draft.payload, "rank0.engine").write_bytes(b"engine")
        draft.publish(record or {}, progress)
    return dest


def test_a_complete_artifact_is_not_made_again(tmp_path: Path, look: t.Callable[..., Result]) -> None:
    found = look(artifacts=[str(made(tmp_path))])
    assert (found["changed"], found["missing"], found["image"]) == (False, {}, "")


def cut(dest: Path) -> None:
    (dest / "rank0.engine").write_bytes(b"eng")


def lose_a_file(dest: Path) -> None:
    (dest / "rank0.engine").unlink()


def take_another_name(dest: Path) -> None:
    dest.rename(dest.with_name("other"))
    made(dest.parent, other=True).rename(dest)


def forge(dest: Path) -> None:
    record = json.loads((dest / "artifact.json").read_text())
    (dest / "artifact.json").write_text(json.dumps({**record, "inputs": {"release": "1.2.0"}}))


def leave_nothing(dest: Path) -> None:
    dest.rename(dest.with_name("other"))


def leave_a_file(dest: Path) -> None:
    leave_nothing(dest)
    dest.write_text("not a folder")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "file rank0.engine has size 3 instead of 6"),
        (lose_a_file, "file rank0.engine is missing"),
        (take_another_name, "no artifact at"),
        (forge, "no artifact at"),
        (leave_nothing, "no artifact at"),
        (leave_a_file, "no artifact at"),
    ],
)
def test_any_other_artifact_has_to_be_made(
    tmp_path: Path, look: t.Callable[..., Result], damage: t.Callable[[Path], None], reason: str
) -> None:
    dest, intact = made(tmp_path), made(tmp_path, release="intact")
    damage(dest)
    missing = look(artifacts=[str(dest), str(intact)])["missing"]
    assert list(missing) == [str(dest)] and missing[str(dest)].startswith(reason)


def test_an_image_that_docker_has(tmp_path: Path, image: Images, look: t.Callable[..., Result]) -> None:
    name = image("served")
    found = look(image=str(made(tmp_path, {"image": name}, image=name)))
    assert (found["missing"], found["image"]) == ({}, name)


def test_a_copied_image_has_the_name_by_which_docker_knows_it(
    tmp_path: Path, client: t.Any, image: Images, look: t.Callable[..., Result]
) -> None:
    identifier = client.images.get(image("copied")).id
    found = look(image=str(made(tmp_path, {"image": "r@sha256:0", "image_id": identifier, "copied": True})))
    assert (found["missing"], found["image"]) == ({}, identifier)


def test_an_image_that_docker_does_not_have(tmp_path: Path, client: t.Any, look: t.Callable[..., Result]) -> None:
    dest = made(tmp_path, {"image": "tritonops-test:removed"}, image="tritonops-test:removed")
    missing = look(image=str(dest))["missing"][str(dest)]
    assert missing.startswith("Docker does not have image tritonops-test:removed: ") and "No such image" in missing


@pytest.mark.parametrize("name", ["--help", "theirs:latest", "theirs@sha256:" + 64 * "0", ""])
def test_a_record_cannot_name_another_image(
    tmp_path: Path, image: Images, look: t.Callable[..., Result], name: str
) -> None:
    own = image("ours")
    dest = made(tmp_path, {"image": name}, image=own)
    found = look(image=str(dest))
    assert (found["image"], found["missing"]) == ("", {str(dest): f"{dest} has no valid image"})


def test_a_tag_is_known_by_its_digest(tmp_path: Path, look: t.Callable[..., Result]) -> None:
    name = "localhost:5000/server@sha256:" + 64 * "0"
    dest = made(tmp_path, {"image": name}, image="localhost:5000/server:1")
    found = look(image=str(dest))
    assert found["image"] == name and "No such image" in found["missing"][str(dest)]


def test_without_docker_the_image_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: t.Callable[..., Result]
) -> None:
    monkeypatch.setattr(artifact_info.AnsibleModule, "get_bin_path", lambda *_name: None)
    dest = made(tmp_path, {"image": "served"}, image="served")
    assert look(image=str(dest))["missing"] == {str(dest): "there is no docker on this host"}


def test_an_image_without_a_record(tmp_path: Path, look: t.Callable[..., Result]) -> None:
    dest = tmp_path / artifact_key(INPUTS)
    found = look(image=str(dest))
    assert (found["image"], found["missing"]) == ("", {str(dest): f"no artifact at {dest}"})
