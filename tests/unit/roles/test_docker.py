# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles docker and nvidia_ctk refuse, remove and update, rendered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role

FOLDER = "/etc/systemd/system/docker.service.d"
PROXY = ["tritonops-proxy.conf", "tritonops-proxy.env"]


def found(*paths: str) -> dict[str, Any]:
    """Like the result of host_record."""
    return {"files": list(paths)}


@pytest.mark.parametrize(
    ("wanted", "unwanted"),
    [
        ({}, [*PROXY, "tritonops-data-root.conf"]),
        ({"docker_proxy": {"https": "http://proxy.example.com:3128"}}, ["tritonops-data-root.conf"]),
        ({"docker_data_root": "/data"}, PROXY),
    ],
)
def test_settings_that_are_no_longer_configured_are_removed(wanted: dict[str, Any], unwanted: list[str]) -> None:
    there = [f"{FOLDER}/{name}" for name in [*PROXY, "tritonops-data-root.conf"]]
    others = ["/etc/systemd/system/tritonops-other.conf", "/etc/systemd/system/other.service.d/tritonops-proxy.conf"]
    docker = Role("docker", "debian-12", __docker_present=found(*there, *others), **wanted)
    assert sorted(docker["__docker_drop_ins_unwanted"]) == sorted(unwanted)


def test_a_host_without_our_settings_has_none_to_remove() -> None:
    docker = Role("docker", "debian-12", __docker_present=found())
    assert docker["__docker_drop_ins_unwanted"] == docker["__docker_drop_ins"] == []


@pytest.mark.parametrize(
    ("system", "source", "words"),
    [
        ("debian-12", "distribution", ""),
        ("rocky-9", "vendor", ""),
        ("rocky-9", "distribution", "docker_source is distribution, but Rocky has no Docker of its own."),
        ("rocky-9", "existing", ""),
    ],
)
def test_a_docker_that_the_distribution_does_not_offer_is_refused(system: str, source: str, words: str) -> None:
    refusal = Role("docker", system, docker_source=source)["__docker_refusal"]
    assert words in refusal and bool(refusal) == bool(words)


@pytest.mark.parametrize(("source", "refused"), [("vendor", True), ("distribution", True), ("existing", False)])
def test_docker_is_not_installed_on_an_unknown_system(source: str, refused: bool) -> None:
    docker = Role("docker", "debian-12", docker_source=source)
    docker.variables["ansible_facts"].update({"os_family": "Archlinux", "distribution": "Archlinux"})
    assert ("Install Docker yourself and set docker_source to existing." in docker["__docker_refusal"]) is refused


@pytest.mark.parametrize(("version", "refused"), [("", False), ("1.20.0-1", False), ("1.19.0-1", True)])
def test_a_vulnerable_toolkit_is_never_installed(version: str, refused: bool) -> None:
    toolkit = Role("nvidia_ctk", "debian-12", nvidia_ctk_version=version)
    assert ("below nvidia_ctk_minimum_version" in toolkit["__nvidia_ctk_refusal"]) is refused


@pytest.mark.parametrize(
    ("opened", "too_old"),
    [
        ({"installed": {"nvidia-container-toolkit": "1.19.1-1"}}, False),
        ({"installed": {"nvidia-container-toolkit": "1.20.0~rc.1-1"}}, False),
        ({"installed": {"nvidia-container-toolkit": "1.17.8-1"}}, True),
        ({"installed": {}}, True),
        (None, True),
    ],
)
def test_a_toolkit_that_is_too_old_or_missing_is_updated(opened: Any, too_old: bool) -> None:
    known = {} if opened is None else {"__nvidia_ctk_opened": opened}
    assert Role("nvidia_ctk", "debian-12", **known)["__nvidia_ctk_too_old"] is too_old
