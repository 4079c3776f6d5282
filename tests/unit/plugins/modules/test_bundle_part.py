# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of bundle_part, images with fake programs, and sources with git. Packages: test_bundle_playbook."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import bundle_part, trtllm_sources
from ansible_collections.tritonops.trtllm.tests.unit.support.git_repository import git, repository
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module

LOGIN_URL = "https://ops:S3CRETCANARY@git.example.com/x"
WHEELS = {"requirements": "a==1 \\\n    --hash=sha256:00\n", "pythons": ["3.11"]}
CONFIG = b'{"rootfs": {}}'
IMAGE_ID = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> t.Callable[..., Result]:
    def call(kind: str, check: bool = False, **options: t.Any) -> Result:
        return run_module(bundle_part, capsys, check=check, kind=kind, dest=str(tmp_path / "part"), **options)

    return call


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("image", {}, "kind is image but all of the following are missing: image"),
        ("wheels", {"wheels": {**WHEELS, "python": ["3.9"]}}, "module: wheels.python. Supported parameters include"),
        (
            "wheels",
            {"wheels": WHEELS, "image": {"source": "docker"}},
            "mutually exclusive: image|packages|sources|wheels",
        ),
        ("image", {"image": {"source": "archive"}}, "all of the following are missing: archive, digest found in image"),
        ("image", {"image": {"source": "engine"}}, "must be one of: registry, docker, archive"),
    ],
)
def test_options_of_each_kind_are_checked(run: t.Callable[..., Result], kind: str, options: t.Any, says: str) -> None:
    assert says in run(kind, **options)["msg"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sources", {"repository": LOGIN_URL, "commit": "1" * 40, "name": "backend"}),
        ("wheels", {**WHEELS, "requirements": f"--index-url {LOGIN_URL}"}),
    ],
)
def test_a_login_in_a_url_is_refused_and_not_shown(
    run: t.Callable[..., Result], kind: str, options: t.Any, tmp_path: Path
) -> None:
    result = run(kind, **{kind: options})
    assert f"{kind}: a URL has a user name or password in it" in result["msg"]
    assert "S3CRETCANARY" not in json.dumps(result) and list(tmp_path.iterdir()) == []


def test_check_mode_downloads_nothing(run: t.Callable[..., Result], tmp_path: Path) -> None:
    result = run("wheels", check=True, wheels=WHEELS)
    assert (result["changed"], result["wheels"], result["total_size"]) == (True, [], 0)
    assert list(tmp_path.iterdir()) == []


# --- images --------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive as written by docker save."""
    name = f"{IMAGE_ID[7:]}.json"
    members = {name: CONFIG, "manifest.json": json.dumps([{"Config": name, "Layers": []}]).encode()}
    with tarfile.open(tmp_path / "saved.tar", "w") as tar:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return tmp_path / "saved.tar"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Path]:
    """Installs programs that log their arguments, and only these; returns the log."""
    log = tmp_path / "log"

    def install(**scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(
                f'#!/bin/sh\necho {name} "$@" >> {log}\nPATH={os.defpath}\nlog={log}\n{script}\n'
            )
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return log

    return install


def test_archive_is_linked(run: t.Callable[..., Result], archive: Path, tmp_path: Path) -> None:
    image = {"source": "archive", "archive": str(archive), "digest": IMAGE_ID}
    result = run("image", image=image)
    assert (result["changed"], result["image_id"]) == (True, IMAGE_ID)
    assert (tmp_path / "part/image.tar").stat().st_ino == archive.stat().st_ino
    assert result["total_size"] == archive.stat().st_size
    assert not run("image", image=image)["changed"]


def test_archive_with_another_image_is_refused(run: t.Callable[..., Result], archive: Path, tmp_path: Path) -> None:
    wanted = f"sha256:{'0' * 64}"
    message = run("image", image={"source": "archive", "archive": str(archive), "digest": wanted})["msg"]
    assert f"contains the image {IMAGE_ID}, not {wanted}: correct trtllm_image" in message
    assert not (tmp_path / "part").exists()


def test_registry_is_read_with_skopeo_if_it_is_installed(
    run: t.Callable[..., Result], archive: Path, programs: t.Callable[..., Path]
) -> None:
    log = programs(skopeo=f'for last; do :; done; cp {archive} "${{last#docker-archive:}}"', docker="exit 1")
    result = run("image", image={"source": "registry", "name": "r.example.com/a:1", "authfile": "/etc/auth.json"})
    assert result["image_id"] == IMAGE_ID
    assert "skopeo copy --quiet --retry-times=3 --authfile=/etc/auth.json docker://r.example.com/a:1" in log.read_text()
    assert "docker image" not in log.read_text()


DOCKER = """case "$1 $2" in
    'image inspect') [ -e {pulled} ] || {{ echo no such image >&2; exit 1; }}; echo {id} ;;
    'image save') cp {archive} "$4" ;;
    *) touch {pulled} ;;
esac"""


@pytest.mark.parametrize("source", ["registry", "docker"])
def test_image_is_saved_with_docker(
    run: t.Callable[..., Result], archive: Path, programs: t.Callable[..., Path], tmp_path: Path, source: str
) -> None:
    log = programs(docker=DOCKER.format(pulled=tmp_path / "pulled", id=IMAGE_ID, archive=archive))
    result = run("image", image={"source": source, "name": "a:1"})
    if source == "docker":
        assert "Docker on this machine does not have the image a:1: docker: no such image" in result["msg"]
        (tmp_path / "pulled").touch()
        result = run("image", image={"source": source, "name": "a:1"})
    assert result["image_id"] == IMAGE_ID
    assert ("docker pull --quiet a:1" in log.read_text()) is (source == "registry")


def test_image_requires_a_program(run: t.Callable[..., Result], programs: t.Callable[..., Path]) -> None:
    programs()
    message = run("image", image={"source": "registry", "name": "a:1"})["msg"]
    assert "requires skopeo or Docker, and this machine has neither" in message


# --- sources -------------------------------------------------------------------------------------------------------


class Upstream:
    """A repository with a `commit` that no branch or tag points at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commit = repository(folder, {"all_models/a/config.pbtxt": "name"})
        git(folder, "commit", "--quiet", "--allow-empty", "--message", "later")

    def options(self, **changes: str) -> dict[str, str]:
        return {"repository": str(self.folder), "commit": self.commit, "ref": "v1", "name": "backend", **changes}


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Upstream(tmp_path / "upstream")


@pytest.mark.parametrize(
    "settings",
    [
        "",
        # With this protocol a server only allows fetching what a branch or tag points at.
        "[protocol]\n\tversion = 0\n",
        "[safe]\n\tbareRepository = explicit\n",
    ],
)
def test_host_clones_the_sources_from_the_bundle(
    run: t.Callable[..., Result], upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str
) -> None:
    (tmp_path / "home/.gitconfig").write_text(settings)
    assert run("sources", sources=upstream.options())["changed"]
    assert not run("sources", sources=upstream.options())["changed"]
    (tmp_path / "home/.gitconfig").unlink()
    shutil.rmtree(upstream.folder)
    bare = tmp_path / "part/backend.git"
    llm = repository(tmp_path / "llm", {"examples/convert.py": ""})
    cloned = run_module(
        trtllm_sources,
        capsys,
        dest=str(tmp_path / "clone"),
        sources={
            "backend": {"repository": str(bare), "commit": upstream.commit, "ref": "v1"},
            "tensorrt_llm": {"repository": str(tmp_path / "llm"), "commit": llm},
        },
    )
    assert cloned["changed"], cloned
    assert (tmp_path / "clone/all_models/a/config.pbtxt").read_text() == "name"


def test_url_and_login_of_the_repository_are_not_stored(
    run: t.Callable[..., Result], upstream: Upstream, tmp_path: Path
) -> None:
    result = run("sources", sources=upstream.options(auth=LOGIN_URL))
    assert result["changed"] and "S3CRETCANARY" not in json.dumps(result)
    assert str(upstream.folder) not in (tmp_path / "part/backend.git/config").read_text()
    files = [path for path in (tmp_path / "part").rglob("*") if path.is_file()]
    assert files and not [path for path in files if b"S3CRETCANARY" in path.read_bytes()]
    # Another login is no other part.
    assert not run("sources", sources=upstream.options())["changed"]


def test_git_neither_asks_for_a_login_nor_waits_for_a_server_that_hangs(
    run: t.Callable[..., Result], upstream: Upstream, programs: t.Callable[..., Path]
) -> None:
    real = shutil.which("git")
    limits = "".join(f' "$({real} config http.lowSpeed{name})"' for name in ("Limit", "Time"))
    log = programs(git=f'echo "settings $GIT_TERMINAL_PROMPT"{limits} >>$log\nexec {real} "$@"')
    assert run("sources", sources=upstream.options())["changed"]
    settings = [line for line in log.read_text().splitlines() if line.startswith("settings")]
    assert settings and set(settings) == {"settings 0 100 60"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"repository": "/nonexistent"}, "Remedy: correct the repository in trtllm_sources"),
        ({"commit": "0" * 40}, f"does not have the commit {'0' * 40}: correct the commit in trtllm_sources"),
    ],
)
def test_error_says_what_to_change(
    run: t.Callable[..., Result], upstream: Upstream, changes: dict[str, str], says: str
) -> None:
    assert says in run("sources", sources=upstream.options(**changes))["msg"]


def test_interrupted_fetch_is_continued(run: t.Callable[..., Result], upstream: Upstream, tmp_path: Path) -> None:
    upstream.folder.rename(tmp_path / "unreachable")
    assert run("sources", sources=upstream.options())["failed"]
    bare = tmp_path / "part.partial/payload/backend.git"
    (bare / "kept").touch()
    # As left by a killed git.
    (bare / "config.lock").touch()
    (tmp_path / "unreachable").rename(upstream.folder)
    assert run("sources", sources=upstream.options())["changed"]
    assert (tmp_path / "part/backend.git/kept").exists()
