# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from testinfra.host import Host


def test_docker_runs(host: Host) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled
    assert host.run("docker version --format '{{.Server.Version}}'").rc == 0


@pytest.mark.parametrize("package", ["docker-ce", "docker-ce-cli", "docker-buildx-plugin", "containerd.io"])
def test_vendor_package_is_installed(host: Host, package: str) -> None:
    assert host.package(package).is_installed


@pytest.mark.parametrize("package", ["docker.io", "containerd", "runc"])
def test_conflicting_package_is_removed(host: Host, package: str) -> None:
    assert not host.package(package).is_installed


def test_repository_is_only_trusted_with_its_key(host: Host) -> None:
    source = host.file("/etc/apt/sources.list.d/docker.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/docker.asc" in source
    assert not {"Trusted: yes", "Allow-Insecure: yes"} & set(source.splitlines())


def test_a_repository_signed_with_another_key_is_refused(host: Host) -> None:
    """apt checks the signature: it refuses the repository with any other key."""
    other = "/usr/share/keyrings/debian-archive-bookworm-stable.gpg"
    host.check_output(
        "sed 's#/etc/apt/keyrings/docker.asc#%s#' /etc/apt/sources.list.d/docker.sources > /tmp/other.sources", other
    )
    update = host.run(
        "mkdir -p /tmp/lists/partial && apt-get update -o Dir::State::Lists=/tmp/lists"
        " -o Dir::Etc::SourceParts=/tmp/parts -o Dir::Etc::SourceList=/tmp/other.sources"
    )
    assert update.rc != 0
    assert "is not signed" in update.stderr or "NO_PUBKEY" in update.stderr + update.stdout


def test_settings_of_others_are_kept(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == {
        "labels": ["rack=7"],
        "shutdown-timeout": 60,
    }
