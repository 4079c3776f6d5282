# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of the service: who uses them, and whether the firewall allows them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Port
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._ports import (
    Firewall,
    find_sockets,
    firewall,
    port_taken,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService
from ansible_collections.tritonops.trtllm.tests.unit.plugins.module_utils.host.test__listeners import make_proc
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only

CONTAINER = "c" * 64
OF_CONTAINER = OwnService(containers=[Container("e" * 64, frozenset()), Container(CONTAINER, frozenset())])
PUBLISHING = OwnService(containers=[Container("e" * 64, frozenset([9])), Container(CONTAINER, frozenset([8000]))])
PUBLISHING_OTHERS = OwnService(containers=[Container(CONTAINER, frozenset([9]))])
UNITS = OwnService(["trtllm@a.service", "trtllm@b.service"])
PROXY = "docker-proxy -host-port 8000"
WANTED = [Port(8000, what="HTTP"), Port(8001)]
OUTSIDE = [Port(8000, "0.0.0.0"), Port(8001)]


def holder(command: str, *cgroups: str) -> dict[int, dict[str, t.Any]]:
    return {4242: {"sockets": ["101"], "command": command, "cgroups": cgroups}}


def test_a_port_in_use_is_reported_with_its_process(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", holder("nginx -g daemon", "/system.slice/nginx.service"))
    assert only(port_taken(WANTED, find_sockets(WANTED, UNITS, proc))) == (
        "error",
        "port 8000 on 127.0.0.1 (HTTP) is used by pid 4242: nginx -g daemon (it listens on 127.0.0.1)",
        "stop it, or choose another port in O(ports)",
    )


def test_a_process_that_cannot_be_identified(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    assert "another user" in only(port_taken(WANTED, find_sockets(WANTED, OwnService(), proc)))[1]


def test_another_address_of_the_host_is_free(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    wanted = [Port(8000, "192.0.2.1")]
    assert list(port_taken(wanted, find_sockets(wanted, OwnService(), proc))) == []


@pytest.mark.parametrize(
    ("command", "cgroup", "own", "mine"),
    [
        ("tritonserver", "/system.slice/system-trtllm.slice/trtllm@b.service", UNITS, True),
        ("tritonserver", "/system.slice/system-trtllm.slice/trtllm@c.service", UNITS, False),
        ("tritonserver", "/system.slice/not-trtllm@a.service", UNITS, False),
        ("tritonserver", f"/docker/{CONTAINER}", OF_CONTAINER, True),
        ("tritonserver", f"/system.slice/docker-{CONTAINER}.scope", OF_CONTAINER, True),
        ("tritonserver", "/docker/" + "d" * 64, OF_CONTAINER, False),
        (PROXY, "/system.slice/docker.service", PUBLISHING, True),
        (PROXY, "/system.slice/docker.service", PUBLISHING_OTHERS, False),
        ("nginx", "/system.slice/docker.service", PUBLISHING, False),
        ("nginx", "/", OwnService(), False),
    ],
)
def test_our_own_service_may_use_the_port(
    tmp_path: Path, command: str, cgroup: str, own: OwnService, mine: bool
) -> None:
    proc = make_proc(tmp_path / "proc", holder(command, cgroup))
    assert (list(port_taken(WANTED, find_sockets(WANTED, own, proc))) == []) is mine


RUNNING = {"--state": "running\n", "--get-default-zone": "public\n", "--list-ports": "443/tcp 8000/udp\n"}


def test_firewall_is_asked() -> None:
    assert Firewall.gather(live_host({"firewall-cmd": RUNNING})) == Firewall(True, "public", "443/tcp 8000/udp")
    assert Firewall.gather(live_host({"firewall-cmd": {}})) == Firewall.gather(live_host({})) == Firewall(False)


def test_a_port_that_the_firewall_blocks_is_found() -> None:
    severity, message, remedy = only(firewall(OUTSIDE, Firewall(True, "public", "443/tcp 8000/udp")))
    assert (severity, message) == ("warning", "firewalld is running and 8000/tcp is not open in zone public")
    assert "firewall-cmd --permanent --zone=public --add-port=8000/tcp && firewall-cmd --reload" in remedy


@pytest.mark.parametrize(
    "found", [Firewall(False), Firewall(True, "public", "8000/tcp"), Firewall(True, "public", "7000-9000/tcp")]
)
def test_an_open_firewall_gives_no_finding(found: Firewall) -> None:
    assert list(firewall(OUTSIDE, found)) == []


def test_the_loopback_needs_no_firewall_rule() -> None:
    assert list(firewall(OUTSIDE[1:], Firewall(True, "public", ""))) == []
