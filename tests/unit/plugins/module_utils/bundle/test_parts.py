# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and settings for downloading packages and wheels."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._packages import (
    Apt,
    Dnf,
    Wanted,
    dnf_repositories,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._wheels import platforms, requirements_for

DEBIAN = Wanted(
    "debian-12",
    "x86_64",
    ["docker.io"],
    [
        {"name": "debian", "uris": "http://d", "suites": "bookworm", "components": "main", "key": "/k.gpg"},
        {"name": "nvidia", "uris": "https://n", "suites": "/", "key": "/n.asc"},
    ],
)
ORACLE = Wanted(
    "oraclelinux-9",
    "x86_64",
    ["docker-ce"],
    [
        {"name": "baseos", "baseurl": "https://b", "key": "/b.asc"},
        {"name": "docker", "baseurl": "https://d", "key": "/d.asc"},
    ],
)


class Tools:
    """Records the commands; `answers` replaces programs, by name."""

    def __init__(self, **answers: t.Callable[[list[str], str | None], str]) -> None:
        self.commands: list[list[str]] = []
        self._answers = answers

    def __call__(self, command: list[str], _failure: str, cwd: str | None = None) -> str:
        self.commands.append(command)
        answer = self._answers.get(command[0].replace("-", "_"))
        return answer(command, cwd) if answer else ""

    def words(self, first: str) -> list[list[str]]:
        return [command for command in self.commands if command[0] == first]


def find(name: str) -> str | None:
    return f"/usr/bin/{name}"


def apt_get(folder: Path) -> t.Callable[[list[str], str | None], str]:
    def run(command: list[str], _cwd: str | None) -> str:
        if "--print-uris" in command:
            return "'http://d/pool/docker.io.deb' docker.io_1.deb 5 SHA256:0\n"
        if "--download-only" in command:
            archives = folder / "packages.partial" / "work" / "var/cache/apt/archives"
            (archives / "docker.io_5%3a28_amd64.deb").write_bytes(b"12345")
        return ""

    return run


def test_apt_trusts_each_repository_only_with_its_own_key(tmp_path: Path) -> None:
    draft = Draft(str(tmp_path / "packages"), {})
    tools = Tools(apt_get=apt_get(tmp_path), apt_ftparchive=lambda _command, cwd: f"index of {cwd}")
    seen = {}

    class Kept(Apt):
        def index(self, payload: str) -> None:
            seen["sources"] = Path(draft.path("work/etc/apt/bundle.sources")).read_text()
            seen["settings"] = Path(draft.path("work/apt.conf")).read_text()
            super().index(payload)

    record = Kept(DEBIAN, tools, find).make(draft)
    assert "Signed-By: /k.gpg" in seen["sources"] and "Signed-By: /n.asc" in seen["sources"]
    assert seen["sources"].count("Components:") == 1
    assert 'AllowInsecureRepositories "false"' in seen["settings"]
    assert f'Dir::State::status "{draft.path("work")}/var/lib/dpkg/status"' in seen["settings"]
    # Not every file system allows colons in names.
    assert set(record["files"]) == {"docker.io_5-28_amd64.deb", "Packages", "Release"}
    assert tools.words("apt-get")[0][-2:] == ["--option=APT::Update::Error-Mode=any", "update"]


def test_packages_that_do_not_fit_on_the_disk_are_not_downloaded(tmp_path: Path) -> None:
    tools = Tools(
        apt_get=lambda command, _cwd: f"'http://d/a' a.deb {1 << 60} x\n" if "--print-uris" in command else ""
    )
    with pytest.raises(Exception, match="no space left for the packages of debian-12"):
        Apt(DEBIAN, tools, find).make(Draft(str(tmp_path / "packages"), {}))
    assert not [command for command in tools.commands if "--download-only" in command]


def test_dnf_resolves_for_an_empty_host_and_verifies_every_signature(tmp_path: Path) -> None:
    def dnf(command: list[str], _cwd: str | None) -> str:
        dest = next((word for word in command if word.startswith("--downloaddir=")), None)
        if dest:
            Path(dest.partition("=")[2], "docker-ce-1.rpm").write_bytes(b"rpm")
        return ""

    tools = Tools(dnf=dnf)
    Dnf(ORACLE, tools, find).make(Draft(str(tmp_path / "packages"), {}))
    fetch = tools.words("dnf")[-1]
    assert {"--releasever=9", "--downloadonly", "docker-ce"} <= set(fetch)
    checks = tools.words("rpmkeys")
    assert [command[-1] for command in checks[:2]] == ["/b.asc", "/d.asc"]
    assert checks[2][-1].endswith("docker-ce-1.rpm") and "_pkgverify_level all" in checks[2]
    assert tools.commands.index(checks[2]) < tools.commands.index(tools.words("createrepo_c")[0])


def test_packages_in_a_signed_index_need_no_signature(tmp_path: Path) -> None:
    """Unless another repository has a file with the same name, because either can have been downloaded."""
    files = ["docker-ce-1.rpm", "toolkit-1.rpm", "both-1.rpm"]

    def dnf(command: list[str], _cwd: str | None) -> str:
        if "repoquery" in command:
            return "docker x/docker-ce-1.rpm\nnvidia toolkit-1.rpm\nnvidia both-1.rpm\ndocker x/both-1.rpm\n"
        for dest in [word.partition("=")[2] for word in command if word.startswith("--downloaddir=")]:
            for name in files:
                Path(dest, name).write_bytes(b"rpm")
        return ""

    nvidia = {"name": "nvidia", "baseurl": "https://n", "key": "/n.asc", "signed": "index"}
    wanted = Wanted("oraclelinux-9", "x86_64", ["toolkit"], [ORACLE.repositories[1], nvidia])
    assert "gpgcheck=0\nrepo_gpgcheck=1\n" in dnf_repositories(wanted)
    tools = Tools(dnf=dnf)
    Dnf(wanted, tools, find).make(Draft(str(tmp_path / "packages"), {}))
    checked = {Path(word).name for word in tools.words("rpmkeys")[-1]} & set(files)
    assert checked == {"docker-ce-1.rpm", "both-1.rpm"}


@pytest.mark.parametrize(("kind", "wanted", "name"), [(Apt, DEBIAN, "apt-utils"), (Dnf, ORACLE, "createrepo-c")])
def test_missing_programs_are_reported(kind: t.Any, wanted: Wanted, name: str) -> None:
    with pytest.raises(BundleError, match=name):
        kind(wanted, Tools(), lambda _tool: None)


REQUIREMENTS = """# Made from requirements.in
numpy==2.0.2 ; python_full_version < '3.11' \\
    --hash=sha256:aa \\
    --hash=sha256:ab
numpy==2.4.6 ; python_full_version >= '3.11' \\
    --hash=sha256:ba
pywin32==1 ; sys_platform == 'win32' \\
    --hash=sha256:ca
requests==2.32.5 \\
    --hash=sha256:da
"""


@pytest.mark.parametrize(("python", "version", "hashes"), [("3.9", "2.0.2", ["aa", "ab"]), ("3.11", "2.4.6", ["ba"])])
def test_requirements_are_chosen_for_the_python_of_the_host(python: str, version: str, hashes: list[str]) -> None:
    chosen = requirements_for(REQUIREMENTS, python, "x86_64")
    assert f"numpy=={version} " in chosen and "requests==2.32.5 " in chosen
    assert chosen.count("numpy") == 1 and "pywin32" not in chosen and ";" not in chosen
    assert [line.split(":")[1][:2] for line in chosen.splitlines() if "hash" in line] == [*hashes, "da"]


def test_wheels_support_the_oldest_host() -> None:
    assert platforms("x86_64")[0] == "manylinux_2_28_x86_64"
    assert "manylinux2014_x86_64" in platforms("x86_64")
