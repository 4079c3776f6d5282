# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of others next to ours, in every place, survive everything that the module does."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, locked, make_partial
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _root_folder
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import KINDS
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import KEEPABLE, MARK, path_problem
from ansible_collections.tritonops.trtllm.plugins.modules import root_folder
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

KEY = "0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "trtllm"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], root: Path) -> t.Callable[..., Result]:
    def call(check: bool = False, **arguments: t.Any) -> Result:
        return run_module(root_folder, capsys, check, **{"path": str(root), **arguments})

    return call


def write(path: Path, text: str = "theirs") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fill(root: Path) -> None:
    """Everything that a deployment and a killed run leave below the root folder."""
    for kind in KINDS:
        dest = str(root / kind / KEY)
        with locked(dest):
            draft = Draft(dest, {"kind": kind})
            progress = draft.begin()
            write(Path(draft.payload, "rank0.engine"), "ours")
            draft.publish({}, progress)
        make_partial(f"{root}/{kind}/killed", {})
    deployment = root / "deployments/default"
    write(deployment / "releases/one/release.json", "{}")
    write(deployment / "releases/two.partial/model_repository.partial/payload/x", "ours")
    write(deployment / "cache" / KEY / "triton/kernel.so", "ours")
    write(deployment / "watchdog/2026-01-02T030405Z/journal.txt", "ours")
    for name in ("watchdog.json", "watchdog.json.new"):
        write(deployment / name, "{}")
    write(root / "watchdog/watchdog.pyz", "ours")
    write(root / "watchdog/default.json", "{}")
    write(root / "venv-0123456789ab/bin/python", "ours")
    (root / "venv").symlink_to("venv-0123456789ab")
    write(root / f"logs/image-{KEY}.log", "ours")
    write(root / "secrets/hf_token", "ours")
    (deployment / "current").symlink_to("releases/one")
    (deployment / "previous").symlink_to("releases/gone")
    (deployment / "current.partial").symlink_to("releases/two")


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_root_folder_is_claimed_and_removed(run: t.Callable[..., Result], root: Path) -> None:
    assert run(check=True)["changed"] and not root.exists()
    assert run()["changed"] and os.listdir(root) == [MARK]
    assert not run()["changed"]
    fill(root)
    before = everything(root)
    predicted = run(check=True, state="absent")
    assert everything(root) == before
    result = run(state="absent")
    assert (result["changed"], result["left"], result["removed"]) == (True, [], predicted["removed"])
    assert sorted(result["removed"]) == sorted({f"{root}/{path.split('/')[0]}" for path in before})
    assert os.listdir(root) == []
    assert not run(state="absent")["changed"]


def test_a_mode_that_keeps_other_users_out_stays(run: t.Callable[..., Result], root: Path) -> None:
    run()
    root.chmod(0o750)
    assert not run(check=True)["changed"] and not run()["changed"]
    assert root.stat().st_mode & 0o777 == 0o750


THEIRS = (
    *("thesis.tex", "postgres/base.db", "weights-of-mine/x", "venv-of-mine/bin/python", "venv2/x", "image/Dockerfile"),
    *("weights/my-model/config.json", "engine/0123456789abcdee/artifact.json", "checkpoint/mine.partial/payload/x"),
    *("backend/poetry.lock", "releases/one/release.json", "deployments/notes.md", "deployments/other/index.html"),
    *("deployments/default/cache/mine/index.html", "deployments/default/watchdog/mine/index.html"),
    *("deployments/default/notes.json", "watchdog/notes.md"),
    *(f"deployments/default/releases/{name}" for name in ("notes.md", "mine/index.html", "mine.partial/index.html")),
    *("logs/nginx.log", "logs/image-mine.log", "secrets/id_ed25519", "weights/z.partial/inputs.json"),
)


def test_files_of_others_next_to_ours_stay(run: t.Callable[..., Result], root: Path) -> None:
    run()
    fill(root)
    for name in THEIRS:
        write(root / name)
    elsewhere = write(root.parent / "elsewhere/precious")
    (root / "weights/link").symlink_to(elsewhere.parent)
    (root / "engine/link.partial").symlink_to(elsewhere.parent)
    result = run(state="absent")
    assert result["changed"] and elsewhere.read_text() == "theirs"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()}
    assert files == {*THEIRS, "weights/link", "engine/link.partial", MARK}
    assert all((root / name).read_text() == "theirs" for name in THEIRS)
    assert f"{root}/weights/my-model" in result["left"] and f"{root}/postgres" in result["left"]
    # The mark allows another run, which removes the folder after others have removed their files.
    assert (root / MARK).is_file()
    again = run(state="absent")
    assert (again["changed"], again["left"]) == (False, result["left"])


@pytest.mark.parametrize("name", ["deployments/default/current", "deployments", "venv", "weights", "logs"])
def test_our_folders_that_others_have_replaced_stay(run: t.Callable[..., Result], root: Path, name: str) -> None:
    run()
    theirs = write(root.parent / "theirs/precious")
    if name.endswith("current"):
        write(root / name / "precious")
    else:
        (root / name).symlink_to(theirs.parent)
    run(state="absent")
    assert theirs.read_text() == "theirs"
    assert not name.endswith("current") or (root / name / "precious").read_text() == "theirs"


@pytest.mark.parametrize("link", [False, True])
def test_a_root_folder_of_others_is_refused(run: t.Callable[..., Result], root: Path, link: bool) -> None:
    theirs = write(root.parent / "theirs/weights/precious")
    root.symlink_to(theirs.parents[1]) if link else theirs.parents[1].rename(root)
    assert not run()["changed"] and not (root / MARK).exists()
    for check in (True, False):
        message = run(check=check, state="absent")["msg"]
        assert f"has no {MARK}" in message and "(weights)" in message and "nothing was removed" in message
    assert (root / "weights/precious").read_text() == "theirs"


@pytest.mark.parametrize("mark", ["link", "pipe", "folder"])
def test_an_invalid_mark_is_refused(run: t.Callable[..., Result], root: Path, mark: str) -> None:
    write(root / "weights/precious")
    if mark == "link":
        (root / MARK).symlink_to("/etc/hostname")
    elif mark == "pipe":
        os.mkfifo(root / MARK)
    else:
        (root / MARK).mkdir()
    assert "nothing was removed" in run(state="absent")["msg"]


@pytest.mark.parametrize("path", ["/", "/etc", "/opt", "/usr/lib/x", "/srv/../etc", "/proc/self"])
def test_folders_of_the_system(run: t.Callable[..., Result], path: str) -> None:
    assert "nothing was removed" in run(check=True, state="absent", path=path)["msg"]


def test_a_link_to_a_system_folder_is_refused(run: t.Callable[..., Result], root: Path) -> None:
    root.symlink_to("/etc/apt")
    assert not run(check=True)["changed"]
    assert "is a system folder" in run(check=True, state="absent")["msg"]


@pytest.mark.parametrize(
    "path",
    [
        *("/opt/trtllm", "/srv/models", "/data", "/mnt/nvme", "/usr/local/trtllm", "/home2"),
        *("/devops/trtllm", "/library/x", "/runs", "/etcetera/a", "/systems"),
    ],
)
def test_valid_folders_are_accepted(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize("kept", KEEPABLE)
def test_kept_kinds_stay(run: t.Callable[..., Result], root: Path, kept: str) -> None:
    run()
    fill(root)
    expected = {path for path in everything(root) if path.split("/")[0].split("-")[0] == kept} | {MARK}
    run(state="absent", keep=[kept])
    assert everything(root) == expected


@pytest.mark.parametrize("keep", ["[weights,engine]", "weight", ["weights", "thesis"]])
def test_unknown_names_to_keep_are_refused(run: t.Callable[..., Result], root: Path, keep: t.Any) -> None:
    run()
    fill(root)
    assert "value of keep must be one or more of" in run(state="absent", keep=keep)["msg"]
    assert (root / "weights" / KEY / "artifact.json").exists()


# --- one deployment


def fill_two(root: Path) -> None:
    fill(root)
    shutil.copytree(root / "deployments/default", root / "deployments/small", symlinks=True)


def test_a_single_deployment_is_removed(run: t.Callable[..., Result], root: Path) -> None:
    run()
    fill_two(root)
    before = everything(root)
    predicted = run(check=True, state="absent", deployment="small")
    assert everything(root) == before
    result = run(state="absent", deployment="small")
    assert (result["changed"], result["removed"]) == (True, [str(root / "deployments/small")])
    assert (result["left"], result["images"], predicted["removed"]) == ([], [], result["removed"])
    assert everything(root) == {path for path in before if not path.startswith("deployments/small")}
    assert not run(state="absent", deployment="small")["changed"]


def test_files_of_others_in_a_deployment_stay(run: t.Callable[..., Result], root: Path) -> None:
    run()
    fill_two(root)
    folder = root / "deployments/small"
    theirs = [write(folder / "notes.txt"), write(folder / "releases/theirs/notes.txt")]
    result = run(state="absent", deployment="small")
    assert result["left"] == [str(folder / "notes.txt"), str(folder / "releases/theirs")]
    assert result["removed"] == [] and everything(folder) == {
        *("notes.txt", "releases", "releases/theirs", "releases/theirs/notes.txt")
    }
    assert all(path.read_text() == "theirs" for path in theirs)
    # This also applies if the whole root folder is removed.
    assert run(state="absent")["left"] == result["left"]
    assert [str(path) for path in folder.iterdir() if path.name == "notes.txt"] == [str(theirs[0])]


@pytest.mark.parametrize("name", ["", "..", "../weights", ".", "Small", "a/b", "a" * 33])
def test_an_invalid_name_of_a_deployment_is_refused(run: t.Callable[..., Result], root: Path, name: str) -> None:
    run()
    fill_two(root)
    before = everything(root)
    assert "is not the name of a deployment" in run(state="absent", deployment=name)["msg"]
    assert everything(root) == before


def test_a_deployment_of_others_stays(run: t.Callable[..., Result], root: Path) -> None:
    """Without the mark it is not ours, and a link leads out of the root folder."""
    theirs = write(root / "deployments/small/releases/one/release.json", "{}")
    assert run(state="absent", deployment="small")["failed"] and theirs.exists()
    shutil.rmtree(root)
    run()
    elsewhere = write(root.parent / "elsewhere/releases/one/release.json", "{}").parents[2]
    (root / "deployments").mkdir()
    (root / "deployments/small").symlink_to(elsewhere)
    result = run(state="absent", deployment="small")
    assert (result["removed"], result["left"]) == ([], [str(root / "deployments/small")])
    assert (elsewhere / "releases/one/release.json").exists()


def test_a_new_file_system_is_claimed(run: t.Callable[..., Result], root: Path) -> None:
    (root / "lost+found").mkdir(parents=True)
    assert run()["changed"] and sorted(os.listdir(root)) == [MARK, "lost+found"]
    run(state="absent")
    assert os.listdir(root) == ["lost+found"]


def test_images_are_listed_from_our_records(run: t.Callable[..., Result], root: Path) -> None:
    run()
    with locked(str(root / "image/one")):
        draft = Draft(str(root / "image/one"), {"image": "registry.example/a:1"})
        draft.publish({"image_id": "sha256:1"}, draft.begin())
    with locked(str(root / "image/three")):
        draft = Draft(str(root / "image/three"), {"image": "registry.example/c:1"})
        draft.publish({"image": "registry.example/c@sha256:3", "image_id": "sha256:4"}, draft.begin())
    make_partial(str(root / "image/two"), {"image": "registry.example/b:1"})
    for name, record in (
        ("mine/artifact.json", {"inputs": {"image": "postgres:16"}, "image_id": "sha256:2"}),
        ("mine.partial/inputs.json", {"image": "postgres:16"}),
        ("list/artifact.json", []),
    ):
        write(root / "image" / name, json.dumps(record))
    assert run(check=True, state="absent")["images"] == [
        {"image": "registry.example/a:1", "image_id": "sha256:1"},
        {"image": "registry.example/c@sha256:3", "image_id": "sha256:4"},
        {"image": "registry.example/b:1"},
    ]


@pytest.mark.parametrize("place", ["weights/0123456789abcdef/extra", "weights/0123456789abcdef", "venv-0123456789ab/x"])
def test_file_systems_mounted_in_our_folders_stay(
    run: t.Callable[..., Result], root: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run()
    fill(root)
    theirs = write(root / place / "precious")
    point = str(root / place)
    monkeypatch.setattr(_root_folder, "mounts_in", lambda path: [point] if f"{point}/".startswith(f"{path}/") else [])
    result = run(state="absent")
    assert theirs.read_text() == "theirs" and [path for path in result["left"] if point.startswith(path)]


class Killed(Exception):
    """Ends a run in the middle of a removal."""


@pytest.mark.long
def test_a_killed_removal_can_be_continued(
    run: t.Callable[..., Result], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any number of removals the next run still recognises our files."""
    budget = 0

    def until_killed(real: t.Callable[..., None]) -> t.Callable[..., None]:
        def remove(*arguments: t.Any, **keywords: t.Any) -> None:
            nonlocal budget
            budget -= 1
            if budget < 0:
                raise Killed
            real(*arguments, **keywords)

        return remove

    for allowed in itertools.count():
        run()
        fill(root)
        budget = allowed
        with monkeypatch.context() as patch:
            for module, name in ((os, "unlink"), (os, "rmdir"), (shutil, "rmtree")):
                patch.setattr(module, name, until_killed(getattr(module, name)))
            try:
                _root_folder.remove_ours(str(root), [])
            except Killed:
                pass
            else:
                break
        assert run(state="absent")["left"] == [], allowed
        assert os.listdir(root) == []
    assert allowed > 20
