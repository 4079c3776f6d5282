# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker, runc and containerd, with the versions as Docker, Debian and Ubuntu show them."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._container_runtimes import (
    Component,
    Components,
    container_runtime_too_old,
    debian_order,
    read_components,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Runtime, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._system import System
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_container_runtimes
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only

RUNTIMES = [read(Runtime, entry) for entry in load_container_runtimes()]
UBUNTU, DEBIAN = System("ubuntu", "24.04"), System("debian", "12")


def listed(**versions: tuple[str, str]) -> list[dict[str, t.Any]]:
    return [
        {"Name": name, "Version": text, "Details": {"GitCommit": commit}} for name, (text, commit) in versions.items()
    ]


def too_old(system: System, **versions: tuple[str, str]) -> list[str]:
    found = read_components(listed(**versions))
    findings = [*container_runtime_too_old(RUNTIMES, found, system)]
    assert {finding.severity for finding in findings} <= {"warning"}
    return [finding.message for finding in findings]


def test_dockers_own_packages() -> None:
    current = {
        "Engine": ("28.5.2", "89c5e8f"),
        "containerd": ("v1.7.29", "442cb34"),
        "runc": ("1.3.3", "v1.3.3-0-gd842d77"),
    }
    assert too_old(UBUNTU, **current) == []
    assert read_components(listed(**current)).by_name["containerd"] == Component("1.7.29", "")


@pytest.mark.parametrize(
    ("version", "found"),
    [("1.1.11", 3), ("1.1.12", 2), ("1.2.7", 2), ("1.2.8", 0), ("1.3.0", 2), ("1.3.3", 0), ("1.4.1", 0), ("2.0.0", 0)],
)
def test_each_branch_of_upstream_has_its_own_fix(version: str, found: int) -> None:
    assert len(too_old(UBUNTU, runc=(version, "v1-0-g123"))) == found


def test_fixed_packages_of_a_distribution() -> None:
    """Their versions are older than upstream's."""
    assert too_old(DEBIAN, containerd=("1.6.20~ds1", "1.6.20~ds1-1+deb12u2")) == []
    assert len(too_old(DEBIAN, containerd=("1.6.20~ds1", "1.6.20~ds1-1+deb12u1"))) == 1
    assert too_old(UBUNTU, containerd=("1.7.24", "1.7.24-0ubuntu1~24.04.2")) == []
    (message,) = too_old(UBUNTU, containerd=("1.7.12", "1.7.12-0ubuntu4.1"))
    assert "or the package 1.7.24-0ubuntu1~24.04.2 or later" in message and "not known" not in message


def test_packages_whose_fix_is_not_known() -> None:
    """Debian has fixed the earlier problem of this runc; of the later ones no notice is known."""
    messages = too_old(DEBIAN, runc=("1.1.5+ds1", "1.1.5+ds1-1+deb12u1"))
    assert ["CVE-2025-31133" in message for message in messages] == [True, False]
    assert all("whether debian 12 has fixed 1.1.5+ds1-1+deb12u1 is not known" in message for message in messages)
    assert len(too_old(DEBIAN, runc=("1.1.5+ds1", "1.1.5+ds1-1"))) == 3


def test_package_that_fixes_some_of_the_problems() -> None:
    (message,) = too_old(System("debian", "13"), runc=("1.1.15+ds1", "1.1.15+ds1-2+deb13u1"))
    assert "CVE-2025-52881" in message and "not known" in message
    assert len(too_old(System("debian", "13"), runc=("1.1.15+ds1", "1.1.15+ds1-2"))) == 2


def test_facts() -> None:
    server = {"Components": [*listed(Engine=("28.5.2", "x")), {"Name": "docker-init", "Version": "0.19.0"}]}
    found = Components.gather(live_host({"docker": {"version": json.dumps(server)}}))
    assert found and list(found.by_name) == ["docker"]
    for silent in ({}, {"docker": {"version": None}}, {"docker": {"version": "null\n"}}, {"docker": {"version": "x"}}):
        assert Components.gather(live_host(silent)) is None
    old = Components({"containerd": Component("1.7.0", "")})
    assert only(container_runtime_too_old(RUNTIMES, old, UBUNTU))[0] == "warning"


def test_debian_versions_are_in_order() -> None:
    """As `dpkg --compare-versions` puts them."""
    ordered = [
        *("1.1.0~rc1-1", "1.1.0-1", "1.1.5-0ubuntu1~22.04.1", "1.1.5-0ubuntu1", "1.1.5+ds1-1", "1.1.5+ds1-1+b1"),
        *("1.1.5+ds1-1+deb12u1", "1.1.12-0ubuntu3", "1.1.12-0ubuntu3.1", "1.1.12a-1", "1.1.12+ds-1"),
        *("1.7.19+really1.7.12-0ubuntu4.2", "1.7.24-0ubuntu1~24.04.1", "1.7.24-0ubuntu1~24.04.2"),
    ]
    assert all(debian_order(one) < debian_order(two) for one, two in itertools.pairwise(ordered))


def test_the_catalogue_says_what_is_known_of_each_distribution() -> None:
    for entry in load_container_runtimes():
        assert not set(entry.get("packages", {})) & set(entry["unverified"]), entry["problem"]
