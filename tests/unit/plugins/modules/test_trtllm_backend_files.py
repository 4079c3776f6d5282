# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError, Draft, locked
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_backend_files
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module


def tar_of(**files: bytes) -> io.BytesIO:
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            # Like Docker's archives, with an entry for each folder.
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    spool.seek(0)
    return spool


def test_templates_become_readable_for_all(tmp_path: Path) -> None:
    files = {"models/": b"", "models/ensemble/": b"", "models/ensemble/config.pbtxt": b"name", "models/empty/": b""}
    trtllm_backend_files.extract(tar_of(**files), str(tmp_path))
    assert (tmp_path / "models/empty").is_dir()
    template = tmp_path / "models/ensemble/config.pbtxt"
    assert template.read_bytes() == b"name"
    assert template.stat().st_mode & 0o777 == 0o644


def test_a_file_that_is_a_folder_as_well(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'models' is both a file and a folder"):
        trtllm_backend_files.extract(tar_of(**{"models/": b"", "models": b""}), str(tmp_path / "payload"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "models/../../outside"])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="outside"):
        trtllm_backend_files.extract(tar_of(**{name: b""}), str(tmp_path / "payload"))
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(("identity", "changed"), [("server@sha256:1", False), (None, True)])
def test_an_image_of_another_name_is_identified_by_its_pinned_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], identity: str | None, changed: bool
) -> None:
    dest = str(tmp_path / "backend")
    with locked(dest):
        draft = Draft(dest, {"image": "server@sha256:1", "path": "/app"})
        draft.publish({}, draft.begin())
    arguments = {"image": "sha256:2", "path": "/app", "dest": dest, "identity": identity}
    assert run_module(trtllm_backend_files, capsys, check=True, **arguments)["changed"] is changed
