# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A Docker that is already installed: whether containers keep their GPUs, and whether it has addresses for networks."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Check, Fact, Finding, warning
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus

Subnet = ipaddress.IPv4Network

# From this version on, `--gpus` uses CDI if Docker knows CDI devices of NVIDIA.
_GPUS_BY_CDI = (29, 3)
# Docker's own, in which each network gets a range of the given prefix length.
_DEFAULT_POOLS = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
_CGROUPFS = "docker_daemon_config: {exec-opts: [native.cgroupdriver=cgroupfs]}"


@dataclass(frozen=True)
class DockerDaemon(Fact):
    """What `docker info` says, as far as it is used; unknown without a Docker that answers."""

    version: str
    cgroup_driver: str = ""
    gpus_by_cdi: bool = False
    pools: t.Sequence[tuple[str, int]] = _DEFAULT_POOLS

    @classmethod
    def gather(cls, host: LiveHost) -> DockerDaemon | None:
        info = _json(host.output_of("docker", "info", "--format", "{{json .}}"))
        return read_daemon(info) if info.get("ServerVersion") else None


def _json(text: str | None) -> dict[str, t.Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        read = {}
    return read if isinstance(read, dict) else {}


def read_daemon(info: t.Mapping[str, t.Any]) -> DockerDaemon:
    devices = [str(device.get("ID")) for device in info.get("DiscoveredDevices") or []]
    pools = [(str(pool["Base"]), int(pool["Size"])) for pool in info.get("DefaultAddressPools") or []]
    return DockerDaemon(
        version=info["ServerVersion"],
        cgroup_driver=info.get("CgroupDriver", ""),
        gpus_by_cdi=version(info["ServerVersion"]) >= _GPUS_BY_CDI
        and any(device.startswith("nvidia.com/gpu=") for device in devices),
        pools=pools or _DEFAULT_POOLS,
    )


def gpus_lost_by_reload(_gpus: Gpus, daemon: DockerDaemon) -> t.Iterator[Finding]:
    """systemd sets the devices of a container again when it reloads, without those that the toolkit's hook added."""
    if daemon.cgroup_driver == "systemd" and not daemon.gpus_by_cdi:
        yield warning(
            "Docker's cgroup driver is systemd, and GPUs are not given by CDI: any `systemctl daemon-reload` on this"
            " host, such as that of a package update, can take the GPUs away from the running server",
            f"set {_CGROUPFS}, or name the device nodes (--device=/dev/nvidia0 and so on) in"
            " triton_service_docker_options; with Docker 29.3 or later, nvidia_ctk_cdi is enough",
        )


@dataclass(frozen=True)
class Networks(Fact):
    """The IPv4 ranges that have a route, and the names of Docker's networks."""

    routes: t.Sequence[Subnet]
    names: t.Collection[str]

    @classmethod
    def gather(cls, host: LiveHost) -> Networks | None:
        names = host.output_of("docker", "network", "ls", "--format", "{{.Name}}")
        return None if names is None else cls(read_routes(read_text("/proc/net/route")), names.split())


def read_routes(text: str) -> list[Subnet]:
    """The routes in /proc/net/route, without the default route."""
    rows = [line.split() for line in text.splitlines()[1:]]
    routes = [ipaddress.IPv4Network(f"{_address(row[1])}/{_address(row[7])}") for row in rows if len(row) > 7]
    return [route for route in routes if route.prefixlen]


def _address(hexadecimal: str) -> str:
    return socket.inet_ntoa(struct.pack("=L", int(hexadecimal, 16)))


def no_free_subnet(containers: t.Sequence[str], daemon: DockerDaemon, networks: Networks) -> t.Iterator[Finding]:
    """Each container has a network of its own name. Docker takes no range that overlaps with a route."""
    missing = [name for name in containers if name not in networks.names]
    if missing and free_ranges(daemon.pools, networks.routes, len(missing)) < len(missing):
        taken = ", ".join(map(str, networks.routes[:5]))
        yield warning(
            f"Docker has no free range of addresses for the network {missing[-1]}: routes of this host, such as those"
            f" of a VPN, or other networks overlap with all of its address pools ({taken})",
            "set docker_daemon_config: {default-address-pools: [{base: 10.200.0.0/16, size: 24}]}, with a range that no"
            " route covers, or remove unused networks (docker network prune)",
        )


def free_ranges(pools: t.Iterable[tuple[str, int]], routes: t.Sequence[Subnet], enough: int) -> int:
    """The number of ranges in the pools that overlap with no route, up to `enough`."""
    free = 0
    for base, size in pools:
        pool = ipaddress.ip_network(base, strict=False)
        if not isinstance(pool, Subnet):
            # Docker has IPv6 pools, too, but only gives networks of IPv4 here.
            continue
        near = [route for route in routes if route.overlaps(pool)]
        for subnet in pool.subnets(new_prefix=max(size, pool.prefixlen)):
            free += not any(route.overlaps(subnet) for route in near)
            if free >= enough:
                return free
    return free


CHECKS = (
    Check(gpus_lost_by_reload, "gpus", (DockerDaemon,)),
    Check(no_free_subnet, "containers", (DockerDaemon, Networks)),
)
