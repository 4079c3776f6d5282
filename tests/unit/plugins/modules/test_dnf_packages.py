# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf run by its command line: only for missing packages, resolved first, refused if it would remove too much."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _dnf
from ansible_collections.tritonops.trtllm.plugins.modules import dnf_packages
from ansible_collections.tritonops.trtllm.tests.unit.support.clock import Clock
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

INSTALLED = "runc\t4\t1.1.12\t3.el9\tx86_64\ngit\t0\t2.43.5\t1.el9\tx86_64\ngpg-pubkey\t0\t1\t1\t(none)\n"

TABLE = """Dependencies resolved.
================================================================================
 Package                  Arch     Version             Repository          Size
================================================================================
Installing:
 docker-ce                x86_64   3:28.5.1-1.el9      docker-ce-stable    39 M
Installing dependencies:
 a-package-whose-name-is-much-too-long-for-its-column
                          x86_64   1.2-1.el9           docker-ce-stable   5.5 k
     replacing  old-one.x86_64 1.0-1.el9
Removing dependent packages:
 runc                     x86_64   4:1.1.12-3.el9      @ol9_appstream      17 \x20

Transaction Summary
================================================================================
Install  2 Packages
Remove   2 Packages
"""

DNF = "-y --setopt=exit_on_lock=True"
NOTHING = "Package git is already installed.\nDependencies resolved.\nNothing to do.\nComplete!\n"


class Host:
    """A host with simulated rpm and dnf, which records the commands of dnf."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.asked.touch()
        self.program("rpm", f"case $1 in -qa) cat <<'E'\n{INSTALLED}E\n;; *) exit 1 ;; esac")
        self.dnf(TABLE)

    def program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def dnf(self, resolved: str, error: str = "Operation aborted.", rc: int = 1, carried_out: int = 0) -> None:
        self.program(
            "dnf",
            f'echo "$*" >>"{self.asked}"\n'
            f"case \"$*\" in *--assumeno*) cat <<'E'\n{resolved}E\n"
            f"echo '{error}' >&2; exit {rc} ;; esac\n"
            f"[ {carried_out} = 0 ] || {{ echo 'Error: no space' >&2; exit {carried_out}; }}",
        )

    def commands(self) -> list[str]:
        return self.asked.read_text().splitlines()


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Host(tmp_path)


@pytest.fixture(name="run")
def fixture_run(host: Host, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    def run(**options: t.Any) -> Result:
        result = run_module(dnf_packages, capsys, **options)
        assert not result.get("failed"), result
        return result

    return run


Run = t.Callable[..., Result]


def test_the_resolved_transaction_is_run_and_reported(host: Host, run: Run) -> None:
    result = run(name=["docker-ce"], removable=["runc", "old-*"])
    assert result["changed"]
    assert [(change["action"], change["name"], change["evr"]) for change in result["transaction"]] == [
        ("install", "docker-ce", "3:28.5.1-1.el9"),
        ("install", "a-package-whose-name-is-much-too-long-for-its-column", "1.2-1.el9"),
        ("remove", "old-one", "1.0-1.el9"),
        ("remove", "runc", "4:1.1.12-3.el9"),
    ]
    assert result["diff"]["before"] == "runc-4:1.1.12-3.el9\n"
    assert "docker-ce-3:28.5.1-1.el9\n" in result["diff"]["after"]
    assert host.commands() == [
        f"{DNF} --allowerasing --assumeno install docker-ce",
        f"{DNF} --allowerasing install docker-ce",
    ]


def test_check_mode_reports_the_same_without_running_it(host: Host, run: Run) -> None:
    predicted = run(check=True, name=["docker-ce"], removable=["*"])
    assert [command for command in host.commands() if "--assumeno" not in command] == []
    assert predicted == run(name=["docker-ce"], removable=["*"])


@pytest.mark.parametrize(
    "spec",
    ["git", "git.x86_64", "git-2.43.5", "git-2.43.*", "git-0:2.43.5-1.el9.x86_64", "runc-4:1.1.12-3.el9", "run?"],
)
def test_dnf_is_not_run_for_installed_packages(host: Host, run: Run, spec: str) -> None:
    assert not run(name=[spec])["changed"]
    assert host.commands() == []


@pytest.mark.parametrize("spec", ["git-2.44", "git-lfs", "git.aarch64", "gpg-pubkey"])
def test_dnf_is_run_for_missing_packages(host: Host, run: Run, spec: str) -> None:
    run(name=[spec, "git"], removable=["*"])
    assert host.commands()[0].endswith(f"install {spec}")


def test_a_package_provided_by_another_one_is_installed(host: Host, run: Run) -> None:
    host.program("rpm", 'case $1 in -qa) ;; *) [ "$3" = /usr/bin/gpg ] ;; esac')
    assert not run(name=["/usr/bin/gpg"])["changed"]


def test_nothing_to_do_is_no_change(host: Host, run: Run) -> None:
    host.dnf(NOTHING, error="", rc=0)
    assert not run(name=["git"], state="latest")["changed"]
    assert host.commands() == [f"{DNF} --best --assumeno install git"]


def test_absent_only_removes_installed_packages(host: Host, run: Run) -> None:
    host.dnf(TABLE.replace("Installing", "Skipping").replace("     replacing  old-one.x86_64 1.0-1.el9\n", ""))
    result = run(name=["runc", "podman"], state="absent")
    assert [change["name"] for change in result["transaction"]] == ["runc"]
    assert host.commands()[-1] == f"{DNF} --noautoremove remove runc"


def test_absent_packages_are_no_change(host: Host, run: Run) -> None:
    assert not run(name=["podman"], state="absent")["changed"]
    assert host.commands() == []


def test_an_unexpected_removal_is_refused_before_any_change(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    said = failure(dnf_packages, capsys, name=["docker-ce"], removable=["old-one"])
    assert "remove runc." in said and "'removable'" in said
    assert len(host.commands()) == 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("Error: Unable to find a match: gitty", "enable the repository"),
        ("Error: package containerd.io conflicts with runc", "'removable'"),
        ("Error: GPG check FAILED", "the key that signs the repository"),
        ("Curl error (6): Could not resolve host", "can reach its repositories"),
        ("Error: something else", "Fix what dnf reports"),
    ],
)
def test_an_error_of_dnf_is_quoted_with_a_remedy(
    host: Host, capsys: pytest.CaptureFixture[str], words: str, remedy: str
) -> None:
    host.dnf("", error=words)
    said = failure(dnf_packages, capsys, name=["gitty"])
    assert words in said and remedy in said


def test_an_aborted_transaction_is_reported(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.dnf(TABLE, carried_out=1)
    assert "no space" in failure(dnf_packages, capsys, name=["docker-ce"], removable=["*"])


LOCKED = "Error: Failed to obtain the transaction lock (logged in as: root)."


@pytest.fixture(name="clock")
def fixture_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_dnf, "time", clock)
    return clock


def test_a_lock_that_is_never_released(host: Host, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    host.dnf("", error=LOCKED, rc=200)
    said = failure(dnf_packages, capsys, name=["docker-ce"], lock_timeout=60)
    assert LOCKED in said and "'lock_timeout'" in said and 60 <= clock.now < 70


def test_a_lock_that_is_released_in_time(host: Host, clock: Clock, run: Run) -> None:
    host.dnf("", error=LOCKED, rc=200)
    clock.while_asleep = lambda: host.dnf(TABLE) if clock.now > 300 else None
    assert run(name=["docker-ce"], removable=["*"])["changed"]


def test_other_failures_are_not_repeated(host: Host, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    host.dnf("", error="Error: Unable to find a match: gitty")
    failure(dnf_packages, capsys, name=["gitty"])
    assert (len(host.commands()), clock.now) == (1, 0)


def test_options_reach_dnf(host: Host, run: Run) -> None:
    run(
        name=["docker-ce"],
        removable=["*"],
        nobest=True,
        refresh=True,
        install_weak_deps=False,
        disablerepo=["*"],
        enablerepo=["ours"],
        reposdir=["/a", "/b"],
    )
    assert host.commands()[1] == (
        "-y --disablerepo=* --enablerepo=ours --setopt=exit_on_lock=True --setopt=reposdir=/a,/b"
        " --setopt=install_weak_deps=False --refresh --nobest --allowerasing install docker-ce"
    )


def test_the_environment_can_set_the_folder_of_repositories(
    host: Host, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONOPS_DNF_REPOSDIR", "/srv/bundle/repos")
    run(name=["docker-ce"], removable=["*"])
    assert "--setopt=reposdir=/srv/bundle/repos" in host.commands()[0]
