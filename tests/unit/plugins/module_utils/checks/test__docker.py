# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a Docker that is already installed."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._docker import (
    DockerDaemon,
    Networks,
    gpus_lost_by_reload,
    no_free_subnet,
    read_daemon,
    read_routes,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only

NVIDIA = [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "cdi", "ID": "nvidia.com/gpu=all"}]
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def info(**more: t.Any) -> dict[str, t.Any]:
    return {"ServerVersion": "28.5.1", "CgroupDriver": "systemd", **more}


def test_facts_of_docker() -> None:
    found = DockerDaemon.gather(live_host({"docker": {"info": json.dumps(info())}}))
    assert found and (found.version, found.cgroup_driver, found.gpus_by_cdi) == ("28.5.1", "systemd", False)


@pytest.mark.parametrize("programs", [{}, {"docker": {"info": None}}, {"docker": {"info": '{"ServerErrors": ["x"]}'}}])
def test_a_docker_that_is_missing_or_silent_is_unknown(programs: dict[str, t.Any]) -> None:
    assert DockerDaemon.gather(live_host(programs)) is None


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, 1),
        # The role enables CDI, but an older Docker does not use it for --gpus.
        ({"DiscoveredDevices": NVIDIA}, 1),
        ({"ServerVersion": "29.3.0", "DiscoveredDevices": NVIDIA}, 0),
        ({"ServerVersion": "29.3.0", "DiscoveredDevices": [{"ID": "amd.com/gpu=0"}]}, 1),
        ({"CgroupDriver": "cgroupfs"}, 0),
        ({"CgroupDriver": "none"}, 0),
    ],
)
def test_gpus_that_a_reload_would_take_away(more: dict[str, t.Any], found: int) -> None:
    findings = list(gpus_lost_by_reload(Gpus(), read_daemon(info(**more))))
    assert len(findings) == found
    for severity, message, remedy in findings:
        assert severity == "warning" and "daemon-reload" in message
        assert "native.cgroupdriver=cgroupfs" in remedy and "nvidia_ctk_cdi" in remedy


def networks(*routes: str, names: t.Sequence[str] = ("bridge", "host", "none")) -> Networks:
    return Networks([ipaddress.IPv4Network(route) for route in routes], names)


VPN = ("0.0.0.0/1", "128.0.0.0/1")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


@pytest.mark.parametrize("routes", [VPN, PRIVATE])
def test_routes_that_leave_no_range(routes: t.Sequence[str]) -> None:
    severity, message, remedy = only(no_free_subnet(["trtllm-chat"], read_daemon(info()), networks(*routes)))
    assert severity == "warning" and "no free range of addresses for the network trtllm-chat" in message
    assert routes[0] in message and "default-address-pools" in remedy


@pytest.mark.parametrize(
    ("containers", "pools", "found"),
    [
        (["trtllm-chat"], [], networks("172.17.0.0/16")),
        (["trtllm-chat"], [], networks(*VPN, names=["trtllm-chat"])),
        ([], [], networks(*VPN)),
        (["trtllm-chat"], [{"Base": "10.200.0.0/16", "Size": 24}], networks("172.16.0.0/12", "192.168.0.0/16")),
        (["trtllm-chat"], [{"Base": "10.200.0.0/16", "Size": 24}], networks("10.200.0.0/17")),
        (["a", "b"], [{"Base": "10.200.0.0/23", "Size": 24}], networks()),
    ],
)
def test_ranges_that_are_free(containers: list[str], pools: list[t.Any], found: Networks) -> None:
    assert list(no_free_subnet(containers, read_daemon(info(DefaultAddressPools=pools)), found)) == []


def test_each_container_needs_a_range() -> None:
    daemon = read_daemon(info(DefaultAddressPools=[{"Base": "10.200.0.0/23", "Size": 24}]))
    assert "trtllm-b" in only(no_free_subnet(["trtllm-a", "trtllm-b"], daemon, networks("10.200.1.0/24")))[1]


def test_routes_of_the_kernel() -> None:
    rows = [
        "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
        "tun0\t00000080\t01080A0A\t0003\t0\t0\t0\t00000080\t0\t0\t0",
    ]
    assert [str(route) for route in read_routes(HEAD + "\n".join(rows) + "\n")] == ["172.17.0.0/16", "128.0.0.0/1"]
    assert read_routes("") == []


def test_facts_of_networks() -> None:
    found = Networks.gather(live_host({"docker": {"network": "bridge\nhost\n"}}))
    assert found and list(found.names) == ["bridge", "host"]
    assert Networks.gather(live_host({})) is None
