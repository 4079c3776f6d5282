# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the root folder."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._images import ArchiveContent
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import Places
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._root import (
    CHECKS,
    FileSystems,
    RootFolder,
    RootPlace,
    SELinux,
    file_system_hung,
    read_place,
    read_selinux,
    root_foreign,
    root_hidden,
    root_noexec,
    root_outdated,
    root_replaceable,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import claim
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import CommandTimedOut
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only

PLACE = RootPlace("/srv/trtllm", "", [])


@pytest.fixture(name="dead_server")
def fixture_dead_server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """/mnt/nfs is on a file server that does not respond. Returns the folders that were asked for."""
    asked = []

    def run(_module: t.Any, command: t.Sequence[str], _timeout: int) -> str:
        asked.append(command[-1])
        if command[-1].startswith("/mnt/nfs"):
            raise CommandTimedOut("it hangs")
        return ""

    monkeypatch.setattr(f"{CommandTimedOut.__module__}.run_with_timeout", run)
    return asked


def test_a_file_system_that_hangs_is_found_once_and_not_touched(dead_server: list[str]) -> None:
    disk = [{"path": f"/mnt/nfs/trtllm/{name}", "bytes": 1} for name in ("weights/x", "engine/x")]
    host = live_host({"stat": ""}, root="/mnt/nfs/trtllm", disk=disk, archive={"path": "/mnt/nfs/image.tar"})
    severity, message, remedy = only(file_system_hung("/mnt/nfs/trtllm", FileSystems.gather(host)))
    assert severity == "error" and "the file system at /mnt/nfs did not respond within 30 s" in message
    assert "umount --force --lazy /mnt/nfs" in remedy
    kinds = {kind for check in CHECKS for kind in check.facts} - {FileSystems}
    assert [host.fact(kind) for kind in kinds] == [None] * len(kinds)
    assert dict(Places.gather(host).by_path) == {} and ArchiveContent.gather(host) is None
    assert dead_server == ["/", "/mnt", "/mnt/nfs"]


def test_other_file_systems_do_not_matter(dead_server: list[str], tmp_path: Path) -> None:
    host = live_host({"stat": ""}, root=str(tmp_path), engine={"path": "/mnt/nfs2/x", "image_digest": "sha256:1"})
    assert RootFolder.gather(host) == RootFolder([], [])
    assert list(file_system_hung(str(tmp_path), FileSystems.gather(live_host({"stat": ""}, root="/mnt/nf")))) == []
    assert FileSystems.gather(live_host({}, root="/mnt/nfs")).hung == []


@pytest.mark.parametrize("path", ["/home/me/trtllm", "/root/x", "/var/tmp/trtllm"])
def test_a_link_to_what_the_service_cannot_see_is_refused(path: str) -> None:
    severity, message, _remedy = only(root_hidden("/data", RootPlace(path, "", [])))
    assert severity == "error" and f"/data leads to {path}" in message
    assert list(root_hidden("/data", PLACE)) == []


def test_a_file_system_without_programs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(tmp_path / "no/such/folder")
    assert read_place(root).noexec == ""
    monkeypatch.setattr("os.statvfs", lambda path: SimpleNamespace(f_flag={str(tmp_path): os.ST_NOEXEC}[path]))
    place = read_place(root)
    severity, message, remedy = only(root_noexec(root, place))
    assert severity == "error" and f"{root} is on the file system {place.noexec}, which is mounted with" in message
    assert f"remount,exec {place.noexec}" in remedy
    assert read_place(root, coming=True).noexec == ""


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "reason"),
    [
        (0o755, 0, 0, ""),
        (0o775, 0, 0, ""),
        (0o1777, 0, 0, ""),
        (0o777, 0, 0, "mode 0777"),
        (0o2775, 0, 50, "mode 2775"),
        (0o755, 54321, 0, "owner 54321"),
        (0o1777, 54321, 0, "owner 54321"),
    ],
)
def test_parents_that_others_can_change_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, gid: int, reason: str
) -> None:
    data, real_stat = tmp_path / "data", os.stat
    data.mkdir()
    (tmp_path / "link").symlink_to(data)

    def faked(path: t.Any, **options: t.Any) -> t.Any:
        values = (mode, uid, gid) if str(path) == str(data) else (0o755, 0, 0)
        kind = real_stat(path, **options).st_mode & 0o170000
        return SimpleNamespace(st_mode=kind | values[0], st_uid=values[1], st_gid=values[2])

    for root in (data / "a/trtllm", tmp_path / "link/trtllm"):
        place = RootPlace("", "", [])
        with monkeypatch.context() as patch:
            patch.setattr("os.stat", faked)
            place = read_place(str(root))
        assert place.open_parents == ([f"{data} ({reason})"] if reason else [])
        assert [finding.severity for finding in root_replaceable(str(root), place)] == ["warning"] * bool(reason)


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
