# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from testinfra.host import Host


def test_docker_is_installed_from_the_bundle(host: Host) -> None:
    """The host's own repositories are not changed."""
    assert host.run("rpm -q docker-ce containerd.io").rc == 0
    assert host.file("/etc/yum.repos.d").listdir() == ["oracle-linux.repo"]
    assert host.file("/etc/yum.repos.d/oracle-linux.repo").contains("packages.example.com")


def test_bundle_has_packages_of_which_only_the_index_is_signed(host: Host) -> None:
    names = host.file("/srv/bundle/packages/oraclelinux-9").listdir()
    assert "nvidia-container-toolkit-1.20.0-1.rpm" in names
