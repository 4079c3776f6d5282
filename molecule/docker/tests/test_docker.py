# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from testinfra.host import Host


def test_docker_runs_and_starts_at_boot(host: Host) -> None:
    service = host.service("docker")
    assert service.is_running
    assert service.is_enabled
    assert host.run("docker info --format '{{.LoggingDriver}}'").stdout.strip() == "local"


def test_settings_of_others_are_kept(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == {
        "data-root": "/var/lib/docker/data",
        "labels": ["rack=7"],
        "log-driver": "local",
    }
    assert "rack=7" in host.run("docker info --format '{{.Labels}}'").stdout


def test_docker_uses_the_data_folder_and_waits_for_its_mount(host: Host) -> None:
    assert host.check_output("docker info --format '{{.DockerRootDir}}'") == "/var/lib/docker/data"
    waits = host.check_output("systemctl show --property RequiresMountsFor docker.service")
    assert "/var/lib/docker/data" in waits.partition("=")[2].split()


def test_old_settings_are_kept_as_a_backup(host: Host) -> None:
    backups = host.file("/etc/docker").listdir()
    assert [name for name in backups if name.startswith("daemon.json.") and name.endswith("~")]


def test_recommended_packages_are_not_installed(host: Host) -> None:
    assert host.package("docker.io").is_installed
    # docker.io recommends it.
    assert not host.package("apparmor").is_installed


def test_docker_uses_the_proxy_and_hides_it_from_users(host: Host) -> None:
    assert host.run("docker info --format '{{.HTTPSProxy}}'").stdout.strip() == "http://proxy.example.com:3128"
    assert host.file("/etc/systemd/system/docker.service.d/tritonops-proxy.env").mode == 0o600
    assert "proxy.example.com" not in host.check_output("runuser -u nobody -- systemctl show docker.service")


def test_user_may_use_docker(host: Host) -> None:
    assert "docker" in host.user("operator").groups


def test_registry_has_its_ca_certificate(host: Host) -> None:
    assert host.file("/etc/docker/certs.d/registry.example.com:5000/ca.crt").is_file


def test_nothing_listens_on_the_network(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --tcp --numeric").splitlines()
    assert [line for line in listening if not line.split()[3].startswith(("127.", "[::1]"))] == []
