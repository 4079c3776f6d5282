# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""image_archive on two hosts, each with a stand-in for the Docker SDK's client, and trtllm_image afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, marked, read_artifact
from ansible_collections.tritonops.trtllm.plugins.modules import image_archive, trtllm_image
from ansible_collections.tritonops.trtllm.tests.unit.support.docker_engine import (
    IMAGE_ID,
    MANIFEST,
    OTHER_MANIFEST,
    REFERENCE,
    TAGGED,
    FakeEngine,
    saved,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module

docker = pytest.importorskip("docker")

PINNED = f"{REFERENCE}@{MANIFEST}"
BY_DIGEST = {"source": "registry", "reference": REFERENCE, "digest": MANIFEST}
BY_TAG = {"source": "registry", "reference": TAGGED}


class Host:
    """A root folder with a Docker of its own."""

    def __init__(self, root: Path, run: Callable[..., dict[str, Any]]) -> None:
        self.root = root
        self.engine = FakeEngine()
        self._run = run

    def archive(self, state: str, check: bool = False) -> dict[str, Any]:
        result = self._run(self, image_archive, check, state=state, dest=self.dest, image=self.image)
        return {name: value for name, value in result.items() if name != "invocation"}

    def fetch(self, wanted: Mapping[str, Any] | None = None, check: bool = False) -> dict[str, Any]:
        return self._run(self, trtllm_image, check, dest=self.image, **(wanted or BY_DIGEST))

    @property
    def dest(self) -> str:
        return str(self.root / "archive/key")

    @property
    def image(self) -> str:
        return str(self.root / "image/key")

    @property
    def record(self) -> dict[str, Any] | None:
        return read_artifact(self.image)


@pytest.fixture(name="hosts")
def fixture_hosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Host, Host]:
    def run(host: Host, module: ModuleType, check: bool, **arguments: Any) -> dict[str, Any]:
        monkeypatch.setattr(docker, "from_env", lambda **_options: host.engine)
        result: dict[str, Any] = run_module(module, capsys, check, **arguments)
        return result

    return Host(tmp_path / "one", run), Host(tmp_path / "other", run)


def copy(maker: Host, other: Host) -> None:
    """As artifact_transfer does."""
    assert maker.archive("saved")["problem"] == ""
    shutil.copytree(maker.dest, other.dest)


@pytest.mark.parametrize("wanted", [BY_DIGEST, BY_TAG], ids=["digest", "tag"])
def test_an_image_is_loaded_instead_of_pulled(hosts: tuple[Host, Host], wanted: dict[str, Any]) -> None:
    maker, other = hosts
    maker.fetch(wanted)
    copy(maker, other)
    assert other.archive("loaded", check=True)["changed"] and other.record is None
    assert other.archive("loaded") == {"changed": True, "problem": ""}
    assert [call[0] for call in other.engine.calls] == ["load"] and not Path(other.dest).exists()
    made, copied = maker.record, other.record
    assert made and copied and copied["copied"] and "copied" not in made
    for name in ("inputs", "image", "image_id", "source"):
        assert copied[name] == made[name]
    # The role uses it as if it had pulled it, by the name that Docker knows.
    for check in (True, False):
        found = other.fetch(wanted, check)
        assert (found["changed"], found["image"], found["image_id"]) == (False, IMAGE_ID, IMAGE_ID)
    assert not any(call[0] == "pull" for call in other.engine.calls)
    assert not other.archive("loaded")["changed"] and "there is no archive" in other.archive("loaded")["problem"]


def test_a_copy_that_was_removed_from_docker_is_pulled(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.fetch(BY_TAG)
    copy(maker, other)
    other.archive("loaded")
    other.engine.there.clear()
    other.engine.calls.clear()
    found = other.fetch(BY_TAG)
    # The tag still is what the host that saved the image has recorded.
    assert (found["changed"], found["image"]) == (True, PINNED)
    assert other.engine.calls == [("look up", TAGGED), ("pull", REFERENCE, MANIFEST)]
    assert other.record and "copied" not in other.record


def test_a_tag_that_was_moved_since_the_copy_is_refused(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.fetch(BY_TAG)
    copy(maker, other)
    other.archive("loaded")
    other.engine.tags[TAGGED] = OTHER_MANIFEST
    assert f"the tag {TAGGED} was moved: it was {MANIFEST}" in other.fetch(BY_TAG)["msg"]


def test_a_copy_can_be_saved_again(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.fetch()
    copy(maker, other)
    other.archive("loaded")
    assert other.archive("saved")["changed"] and other.engine.calls[-1] == ("save", IMAGE_ID)
    assert read_artifact(other.dest)["inputs"] == read_artifact(maker.dest)["inputs"]  # type: ignore[index]


def test_a_built_image_is_recorded_by_its_id(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.engine.arrive(IMAGE_ID)
    draft = Draft(maker.image, {"image": "trtllm:1", "dockerfile": "Dockerfile"})
    draft.publish({"image": IMAGE_ID, "image_id": IMAGE_ID, "commit": "abc"}, draft.begin())
    copy(maker, other)
    other.archive("loaded")
    assert other.record and (other.record["image"], other.record["commit"]) == (IMAGE_ID, "abc")


def test_saving_is_idempotent_and_can_be_undone(hosts: tuple[Host, Host]) -> None:
    maker, _other = hosts
    maker.fetch()
    assert maker.archive("saved", check=True)["changed"] and not Path(maker.dest).exists()
    assert maker.archive("saved")["changed"] and not maker.archive("saved")["changed"]
    record = read_artifact(maker.dest)
    assert record and record["files"]["image.tar"]["sha256"]
    assert maker.archive("absent", check=True)["changed"] and Path(maker.dest).exists()
    assert maker.archive("absent")["changed"] and not Path(maker.dest).exists()
    assert not maker.archive("absent")["changed"]


def test_an_image_that_docker_has_is_not_loaded(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.fetch()
    other.fetch()
    copy(maker, other)
    other.engine.calls.clear()
    assert not other.archive("loaded")["changed"] and other.engine.calls == [] and not Path(other.dest).exists()
    assert other.record and other.record["image"] == PINNED and "copied" not in other.record


def test_without_room_nothing_is_saved(hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    maker, _other = hosts
    maker.fetch()
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1))
    result = maker.archive("saved")
    assert not result["changed"] and "no space left for the archive of" in result["problem"]
    assert not Path(maker.dest).exists()


def test_an_image_without_a_record_is_not_saved(hosts: tuple[Host, Host]) -> None:
    maker, _other = hosts
    assert "there is no image to save" in maker.archive("saved")["msg"]
    maker.fetch()
    maker.engine.there.clear()
    assert "there is no image to save" in maker.archive("saved")["msg"]


def test_docker_saves_another_image(hosts: tuple[Host, Host]) -> None:
    maker, _other = hosts
    maker.fetch()
    maker.engine.saves = saved(b"{}")
    assert f"instead of {IMAGE_ID}" in maker.archive("saved")["msg"] and not Path(maker.dest).exists()


def spoil(other: Host, **changed: Any) -> None:
    file = Path(other.dest, "artifact.json")
    record = json.loads(file.read_text())
    inputs = {**record["inputs"], **changed}
    file.write_text(json.dumps({**record, **marked(inputs)}))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"record": None}, "does not say which image"),
        ({"record": {"image": PINNED}}, "does not say which image"),
        ({"record": {"image": "--privileged", "inputs": {}}}, "does not say which image"),
        ({"image_id": "latest"}, "it has no id"),
        ({"image_id": OTHER_MANIFEST}, f"contains image {IMAGE_ID}, not {OTHER_MANIFEST}"),
    ],
)
def test_an_archive_of_a_host_that_lies_is_refused(
    hosts: tuple[Host, Host], changed: dict[str, Any], words: str
) -> None:
    maker, other = hosts
    maker.fetch()
    copy(maker, other)
    spoil(other, **changed)
    assert words in other.archive("loaded")["msg"]
    assert other.engine.calls == [] and other.record is None


def test_a_record_cannot_replace_what_each_host_writes_itself(hosts: tuple[Host, Host]) -> None:
    maker, other = hosts
    maker.fetch()
    copy(maker, other)
    made = read_artifact(maker.dest)
    assert made
    spoil(other, record={**made["inputs"]["record"], "key": "0" * 16, "files": {"/etc/passwd": {"size": 1}}})
    other.archive("loaded")
    assert other.record and other.record["files"] == {} and other.record["key"] != "0" * 16


def test_a_new_host_is_only_predicted_for(hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    maker, _other = hosts

    def missing() -> None:
        raise docker.errors.DockerException("connection refused")

    monkeypatch.setattr(maker.engine, "ping", missing)
    assert maker.archive("saved", check=True) == {"changed": False, "problem": "Docker is not installed yet"}
    assert "does not respond" in maker.archive("saved")["msg"]
