# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives, and engines that were built by other images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _images
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._images import read_archive, read_engine
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Archive, Engine
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only

CONFIG = b'{"rootfs": {}}'
CONFIG_ID = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
MANIFEST = json.dumps({"config": {"digest": CONFIG_ID}}).encode()
MANIFEST_ID, OTHER = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}", "sha256:" + "b" * 64


def saved(name: str) -> dict[str, bytes]:
    """The output of docker save for an image whose configuration has that name in the archive."""
    return {name: CONFIG, "manifest.json": json.dumps([{"Config": name, "Layers": []}]).encode()}


def archive(path: Path, members: t.Mapping[str, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


def found(path: str, digest: str = "") -> dict[str, tuple[str, str, str]]:
    """The findings by check."""
    checks = [check for check in _images.CHECKS if check.need == "archive"]
    content = read_archive(path)
    findings = {check.id: list(check.find(Archive(path, digest), content)) for check in checks}
    return {name: only(entries) for name, entries in findings.items() if entries}


@pytest.mark.parametrize("name", [f"{CONFIG_ID[7:]}.json", f"blobs/sha256/{CONFIG_ID[7:]}"])
def test_archive_with_the_right_image(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "image.tar", saved(name))
    assert found(path, CONFIG_ID) == found(path) == {}


def test_with_containerd_docker_identifies_an_image_by_its_manifest(tmp_path: Path) -> None:
    """preflight accepts what trtllm_image accepts."""
    index = {"index.json": json.dumps({"manifests": [{"digest": MANIFEST_ID}]}).encode()}
    blobs = {f"blobs/sha256/{MANIFEST_ID[7:]}": MANIFEST}
    path = archive(tmp_path / "image.tar", {**saved("config.json"), **index, **blobs})
    assert found(path, MANIFEST_ID) == found(path, CONFIG_ID) == {}
    message = found(path, OTHER)["archive_image"][1]
    assert f"contains image {CONFIG_ID} ({MANIFEST_ID} with containerd's image store), not {OTHER}" in message


def test_archive_with_another_image_names_both(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", saved("config.json"))
    ((name, (severity, message, remedy)),) = found(path, OTHER).items()
    assert (name, severity) == ("archive_image", "error")
    assert CONFIG_ID in message and OTHER in message and "O(archive)" in remedy


def test_archive_without_an_image(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", {"manifest.json": b"[]"})
    assert "contains image none" in found(path, OTHER)["archive_image"][1]


def test_a_file_that_is_not_an_archive_is_refused(tmp_path: Path) -> None:
    ((name, (_severity, message, _remedy)),) = found(str(tmp_path / "missing.tar"), OTHER).items()
    assert name == "archive_missing" and "No such file" in message
    (tmp_path / "text").write_text("not a tar " * 100)
    for path in (archive(tmp_path / "other.tar", {"other.json": b"[]"}), str(tmp_path / "text")):
        assert list(found(path, OTHER)) == ["archive_unreadable"]


def test_compressed_archive_is_a_warning(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tgz", saved("config.json"), mode="w:gz")
    ((name, (severity, _message, _remedy)),) = found(path, OTHER).items()
    assert (name, severity) == ("archive_unchecked", "warning")


def test_engine_of_another_image(tmp_path: Path) -> None:
    folder = tmp_path / "engine"

    def findings(digest: str) -> list[t.Any]:
        engine = Engine(str(folder), digest)
        return list(_images.engine_image(engine, read_engine(engine)))

    assert findings(CONFIG_ID) == []
    folder.mkdir()
    (folder / "artifact.json").write_text(json.dumps({"inputs": {"image": CONFIG_ID}}))
    assert findings(CONFIG_ID) == []
    _severity, message, _remedy = only(findings(OTHER))
    assert CONFIG_ID in message and OTHER in message
