# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import testinfra
from testinfra.host import Host

GATEWAY = "trtllm-molecule-proxy-gateway"
DROP_IN = "/etc/systemd/system/docker.service.d/tritonops-proxy.env"


@pytest.fixture(scope="module")
def gateway() -> Host:
    return testinfra.get_host(f"docker://{GATEWAY}")


@pytest.fixture(scope="module")
def proxied(gateway: Host) -> set[str]:
    """Requests through the proxy: host and port of tunnels, host of plain requests."""
    log = gateway.file("/var/log/tinyproxy/tinyproxy.log").content_string
    return set(re.findall(r"Request \(file descriptor \d+\): (?:CONNECT|GET http://)\s*([^/ ]+)", log))


@pytest.fixture(scope="module")
def mirror(host: Host) -> str:
    """The host name of apt's first package source."""
    return urlsplit(host.check_output("apt-get indextargets --format '$(URI)' | head -n 1")).hostname or ""


@pytest.fixture(scope="module")
def secret() -> str:
    """The part of the password that is the same in every encoding."""
    return (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "password").read_text().split()[0]


@pytest.fixture(autouse=True, scope="module")
def unwatched(host: Host) -> None:
    """The tests use the password themselves."""
    host.run("systemctl stop watch.service")


@pytest.fixture
def commands(host: Host) -> str:
    """All command lines that were recorded on the host while the role ran."""
    return host.file("/var/log/commands").content.decode("utf-8", "replace")


def test_host_cannot_reach_the_internet(host: Host, gateway: Host, mirror: str) -> None:
    address = gateway.check_output("getent ahostsv4 %s", mirror).split()[0]
    connect = f"timeout 5 bash -c '</dev/tcp/{address}/80'"
    assert gateway.run(connect).rc == 0
    assert host.run(connect).rc != 0
    assert host.run("getent hosts %s", mirror).rc != 0


def test_all_downloads_went_through_the_proxy(proxied: set[str], mirror: str) -> None:
    """From the hub, the package index, git, the registry (by Docker), and apt's mirror."""
    assert {f"world.example.test:{port}" for port in (8443, 8444, 8445)} | {mirror} <= proxied


def test_everything_was_downloaded(host: Host) -> None:
    assert host.package("git").is_installed
    assert host.file("/srv/whole/part/file").content_string == "part\n"
    assert host.file("/opt/trtllm/weights/tiny/model-00006-of-00006.safetensors").size > 0
    assert host.run("/opt/trtllm/venv/bin/python -c 'import huggingface_hub, docker'").rc == 0
    assert "world.example.test:8445/hello" in host.check_output("docker image ls --format '{{.Repository}}'")


def test_system_trusts_the_authority(host: Host) -> None:
    """A program without options uses the system's trust store."""
    (name,) = [name for name in host.file("/usr/local/share/ca-certificates").listdir() if name.startswith("trtllm-")]
    path = f"/usr/local/share/ca-certificates/{name}"
    assert host.run("openssl verify -CApath /etc/ssl/certs %s", path).rc == 0
    assert host.run("openssl verify -no-CApath -CAfile /etc/ssl/certs/ca-certificates.crt %s", path).rc == 0


def test_no_command_line_had_the_password(commands: str, secret: str) -> None:
    for seen in ("PYTHONPATH=/run/trtllm-egress", "-m pip", "git clone", "apt-get"):
        assert seen in commands, "the recording is incomplete"
    assert secret not in commands


def test_only_root_can_read_the_password(host: Host, secret: str) -> None:
    folders = "/etc /home /opt /root /run /tmp /var/lib/apt /var/log /var/tmp"
    found = host.run(f"grep --recursive --files-with-matches --binary-files=text --devices=skip {secret} {folders}")
    assert found.stdout.split() == [DROP_IN]
    assert (host.file(DROP_IN).user, host.file(DROP_IN).mode) == ("root", 0o600)
    assert secret not in host.check_output("runuser -u nobody -- systemctl show docker.service")


def test_no_proxy_files_are_left(host: Host) -> None:
    assert not host.file("/run/trtllm-egress").exists
