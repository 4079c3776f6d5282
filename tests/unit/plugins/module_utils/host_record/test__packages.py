# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages the collection installed, and how to restore the packages of a host."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import (
    Package,
    Tally,
    add_changes,
    baseline,
    candidates,
    empty_tally,
    parse_dpkg,
    parse_rpm,
    plan,
    remaining,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.fake_packages import FakePackages

NAMED = ["docker", "runc", "iptables"]
# Docker and runc conflict with each other. podman needs one of two runtimes.
NEEDS = {"docker": "containerd ?tools", "htop": "ncurses", "podman": "runc|crun|other", "crun": "yajl"}
DOCKER = ["docker", "containerd", "tools"]


class Site:
    """A host on which the part docker works."""

    def __init__(self, *names: str, **needs: str) -> None:
        self.host = FakePackages({**NEEDS, **needs})
        self.host.install("libc", *names)
        self.host.install("runc", version="1.1")
        self.host.install("iptables", version="1.8", auto=True)
        self.before = baseline(self.host.packages())
        self.tally = empty_tally()

    def install_docker(self, *others: str) -> None:
        self.host.install("docker")
        self.host.install("containerd", "tools", *others, auto=True)

    def replace_runc(self, *others: str) -> None:
        self.host.remove("runc")
        self.install_docker(*others)

    def close(self) -> Tally:
        packages = self.host.packages()
        self.tally = add_changes(self.tally, self.before, packages, "docker", NAMED, self.host)
        self.before = baseline(packages)
        return self.tally

    def plan(self, keep: t.Mapping[str, str] | None = None, unavailable: t.Container[str] = ()) -> dict[str, t.Any]:
        packages = self.host.packages()
        required = self.host.required_by_others(candidates(self.tally, packages, keep or {}))
        return plan(self.tally, packages, keep or {}, required, unavailable)


def test_named_packages_and_their_dependencies_were_installed_by_the_part() -> None:
    site = Site()
    site.install_docker()
    site.host.install("htop")
    site.host.install("ncurses", auto=True)
    assert set(site.close()["installed"]) == set(DOCKER)


def test_packages_of_a_killed_run_count_although_the_package_manager_has_not_marked_them() -> None:
    site = Site()
    site.host.install("docker", "containerd", "htop", "ncurses")
    assert set(site.close()["installed"]) == {"docker", "containerd"}


def test_a_second_run_and_an_upgrade_do_not_change_the_record() -> None:
    site = Site()
    site.install_docker()
    first = site.close()
    assert site.close() == first
    site.host.install("docker", version="2")
    assert site.close() == first


def test_a_removed_package_is_reinstalled_in_its_version() -> None:
    site = Site()
    site.replace_runc()
    assert site.close()["removed"] == {"runc": {"part": "docker", "version": "1.1", "auto": False}}
    assert site.plan()["reinstall"] == {"runc": "1.1"}


def test_a_package_that_was_removed_and_installed_again_is_not_recorded() -> None:
    site = Site()
    site.host.remove("runc")
    assert set(site.close()["removed"]) == {"runc"}
    site.host.install("runc", version="1.1")
    assert site.close() == empty_tally()


def test_the_version_of_a_named_package_is_restored_unless_others_changed_it_later() -> None:
    site = Site()
    site.host.install("runc", version="1.2")
    # Others upgraded this one, or another package needed it.
    site.host.install("libc", version="9")
    site.close()
    assert site.plan()["change"] == {"runc": "1.1"}
    site.host.install("runc", version="1.3")
    assert site.plan()["change"] == {}


def test_a_dependency_that_was_marked_as_manual_is_marked_as_automatic_again() -> None:
    site = Site()
    site.host.install("iptables", version="1.8")
    site.close()
    assert site.plan()["mark_auto"] == ["iptables"]


def test_a_package_that_others_need_is_kept_with_its_dependencies() -> None:
    site = Site(theirs="docker|nothing")
    site.install_docker()
    site.close()
    site.host.install("theirs")
    result = site.plan()
    assert result["remove"] == ["tools"]
    assert result["kept"] == {"docker": "theirs needs it", "containerd": "docker needs it"}


def test_a_package_is_removed_if_others_have_an_alternative() -> None:
    site = Site(theirs="containerd|runc")
    site.install_docker()
    site.close()
    site.host.install("theirs")
    assert site.plan()["remove"] == ["containerd", "docker", "tools"]


def test_a_part_to_keep_keeps_its_packages_and_what_it_removed_stays_removed() -> None:
    site = Site()
    site.replace_runc()
    site.close()
    result = site.plan({"docker": "in use"})
    assert result["remove"] == [] and result["reinstall"] == {}
    assert result["kept"] == dict.fromkeys(DOCKER, "in use")


@pytest.mark.parametrize(("needed", "reinstall"), [("docker", {}), ("containerd", {"runc": "1.1"})])
def test_a_package_that_conflicts_with_a_kept_one_is_not_reinstalled(needed: str, reinstall: dict[str, str]) -> None:
    site = Site(theirs=needed)
    site.replace_runc()
    site.close()
    site.host.install("theirs")
    assert site.plan()["reinstall"] == reinstall
    assert site.plan()["kept"][needed] == "theirs needs it" and site.plan()["remove_later"] == []


def test_a_replacement_that_others_needed_was_installed_by_the_part_with_its_dependencies() -> None:
    site = Site("podman")
    site.replace_runc("crun", "yajl")
    site.host.install("htop")
    installed = site.close()["installed"]
    assert set(installed) == {*DOCKER, "crun", "yajl"}
    assert [name for name, entry in installed.items() if entry["replacement"]] == ["crun", "yajl"]


def test_what_others_install_in_the_meantime_is_not_a_replacement() -> None:
    site = Site()
    site.replace_runc("crun", "yajl")
    site.host.install("podman")
    assert set(site.close()["installed"]) == set(DOCKER)
    # podman already had an alternative.
    site = Site("podman", "other")
    site.replace_runc("crun", "yajl")
    assert set(site.close()["installed"]) == set(DOCKER)


def test_a_new_dependency_of_a_package_that_others_upgraded_is_not_a_replacement() -> None:
    site = Site(libc="locales", locales="data")
    site.replace_runc("locales", "data")
    site.host.install("libc", version="9")
    assert set(site.close()["installed"]) == set(DOCKER)


def test_a_new_dependency_of_a_package_that_the_part_upgraded_belongs_to_it() -> None:
    site = Site("crun", containerd="crun")
    site.host.install("crun", version="2")
    site.install_docker("yajl")
    assert set(site.close()["installed"]) == {*DOCKER, "yajl"}


def test_without_a_removal_there_is_no_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site("podman")
    site.install_docker("crun", "yajl")
    # A rich dependency such as "crun if htop".
    monkeypatch.setattr(site.host, "required_by_others", lambda names: {"crun": "podman"})
    assert set(site.close()["installed"]) == set(DOCKER)


def test_a_replacement_is_removed_after_the_reinstallation() -> None:
    site = Site("podman")
    site.replace_runc("crun", "yajl")
    site.close()
    result = site.plan()
    assert result["remove"] == sorted(DOCKER)
    assert result["remove_later"] == ["crun", "yajl"] and result["kept"] == {}
    site.host.remove(*DOCKER)
    site.host.install("runc", version="1.1")
    result = site.plan()
    assert result["remove"] == ["crun", "yajl"] and result["remove_later"] == []


@pytest.mark.parametrize(("unavailable", "keep"), [({"runc"}, {}), (set(), {"docker": "in use"})])
def test_a_replacement_stays_if_nothing_is_reinstalled(unavailable: set[str], keep: dict[str, str]) -> None:
    site = Site("podman")
    site.replace_runc("crun", "yajl")
    site.close()
    result = site.plan(keep, unavailable)
    assert not {"crun", "yajl"} & {*result["remove"], *result["remove_later"]}
    assert result["reinstall"] == {}
    assert result["kept"]["crun"] == ("in use" if keep else "podman needs it")


def test_a_replacement_stays_if_others_need_a_named_package() -> None:
    site = Site("podman", theirs="docker")
    site.replace_runc("crun", "yajl")
    site.close()
    site.host.install("theirs")
    result = site.plan()
    assert result["reinstall"] == {} and result["remove_later"] == []
    assert result["kept"]["crun"] == "podman needs it"


def test_an_imported_key_belongs_to_the_part_that_was_open() -> None:
    site = Site()
    site.host.install("gpg-pubkey-621e9f35-58adea78")
    assert set(site.close()["installed"]) == {"gpg-pubkey-621e9f35-58adea78"}


def test_restored_packages_are_removed_from_the_record() -> None:
    site = Site()
    site.install_docker()
    tally = site.close()
    site.host.remove(*DOCKER)
    assert remaining(tally, site.host.packages()) == empty_tally()
    site.host.install("tools")
    assert set(remaining(tally, site.host.packages())["installed"]) == {"tools"}


def test_an_unavailable_package_stays_in_the_record_only_while_the_conflicting_one_is_installed() -> None:
    site = Site()
    site.replace_runc()
    tally = site.close()
    assert set(remaining(tally, site.host.packages())["removed"]) == {"runc"}
    site.host.remove(*DOCKER)
    assert remaining(tally, site.host.packages()) == empty_tally()


def test_parse_dpkg() -> None:
    listed = (
        "installed\tdocker.io:amd64\t20.10+dfsg\n"
        "config-files\trunc\t1\n"
        "not-installed\tcrun\t\n"
        "half-configured\tcontainerd\t1.6\n"
    )
    assert parse_dpkg(listed, ["docker.io"]) == {
        "docker.io:amd64": Package("20.10+dfsg", auto=True),
        "containerd": Package("1.6"),
    }


@pytest.mark.parametrize(("epoch", "version"), [("0", "26.1-1.el9"), ("3", "3:26.1-1.el9")])
def test_parse_rpm(epoch: str, version: str) -> None:
    listed = f"docker-ce\t26.1-1.el9\tx86_64\t{epoch}\ngpg-pubkey\tabc-1\t(none)\t0\n"
    assert parse_rpm(listed) == {"docker-ce": Package(version), "gpg-pubkey-abc-1": Package("abc-1")}
