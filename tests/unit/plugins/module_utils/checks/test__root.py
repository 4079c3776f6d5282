# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the root folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._root import (
    CHECKS,
    RootFolder,
    SELinux,
    read_selinux,
    root_foreign,
    root_outdated,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import claim
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only


def test_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    root = str(tmp_path)
    host = live_host({}, root=root)
    assert list(root_foreign(root, RootFolder.gather(host))) == []
    (tmp_path / "theirs").touch()
    severity, message, remedy = only(root_foreign(root, RootFolder.gather(host)))
    assert severity == "error" and f"{root} is not empty (theirs) and has no .trtllm" in message
    assert f"such as {root}/trtllm, in O(root)" in remedy


def test_contents_of_our_own_folder_are_accepted(tmp_path: Path) -> None:
    claim(str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "deployments").mkdir()
    found = RootFolder.gather(live_host({}, root=str(tmp_path)))
    assert (found.foreign, found.outdated) == ([], [])


@pytest.mark.parametrize("names", [["releases"], ["current"], ["current", "previous", "releases"]])
def test_the_layout_without_deployments_is_refused(tmp_path: Path, names: list[str]) -> None:
    root = str(tmp_path)
    claim(root)
    for name in names:
        (tmp_path / name).symlink_to("nowhere")
    severity, message, remedy = only(root_outdated(root, RootFolder.gather(live_host({}, root=root))))
    assert severity == "error" and f"had no names ({', '.join(names)})" in message
    assert "systemctl disable --now trtllm.service" in remedy and f"{', '.join(names)} in {root}" in remedy
    assert {check.id: check.waivable for check in CHECKS}["root_outdated"] is False


def test_a_folder_releases_of_others_is_not_the_old_layout(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    found = RootFolder.gather(live_host({}, root=str(tmp_path)))
    assert (found.foreign, found.outdated) == (["releases"], [])


def test_selinux_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "enforce").write_text("1")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/daemon.json").write_text('{"selinux-enabled": true}')
    found = read_selinux(str(tmp_path), str(tmp_path / "enforce"), str(tmp_path))
    assert (found.enforcing, found.containers) == (True, True)
    for text in ("", "[]", "not JSON", "{}"):
        (tmp_path / "docker/daemon.json").write_text(text)
        assert not read_selinux(str(tmp_path), str(tmp_path / "none"), str(tmp_path)).containers


@pytest.mark.parametrize(
    ("found", "ids"),
    [
        (SELinux(False, True, "unlabeled_t"), []),
        (SELinux(True, False, "usr_t"), []),
        (SELinux(True, False, None), []),
        (SELinux(True, False, "unlabeled_t"), ["selinux_label"]),
        (SELinux(True, True, "usr_t"), ["selinux_containers"]),
        (SELinux(True, True, "mnt_t"), ["selinux_containers", "selinux_label"]),
    ],
)
def test_selinux(found: SELinux, ids: list[str]) -> None:
    checks = [check for check in CHECKS if check.facts == (SELinux,)]
    findings = {check.id: list(check.find("/data/trtllm", found)) for check in checks}
    assert [name for name, entries in findings.items() if entries] == ids
    for entry in (entry for entries in findings.values() for entry in entries):
        assert entry.severity == "warning" and "restorecon -R /data/trtllm" in entry.remedy
