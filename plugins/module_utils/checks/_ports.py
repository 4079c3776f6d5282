# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The ports of the service: whether they are free, and whether the firewall allows access."""

from __future__ import annotations

import ipaddress
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService, is_ours
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import (
    Holder,
    Listener,
    collides,
    holders,
    listening,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, Port


@dataclass(frozen=True)
class OwnServices(Fact):
    """Our own services, which may use the needed ports and GPUs."""

    service: OwnService

    @classmethod
    def gather(cls, host: LiveHost) -> OwnServices:
        return cls(OwnService(host.needs.units, _own_containers(host.module, host.needs.containers)))


def _own_containers(module: AnsibleModule, names: t.Sequence[str]) -> list[Container]:
    """Those of the containers that exist; empty without Docker."""
    docker = module.get_bin_path("docker") if names else None
    if docker is None:
        return []
    # It fails if a container does not exist, but still prints the others.
    _rc, out, _err = module.run_command([docker, "container", "inspect", *names])
    return [_container(inspected) for inspected in json.loads(out or "[]")]


def _container(inspected: t.Mapping[str, t.Any]) -> Container:
    bindings = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    published = (int(binding["HostPort"]) for bound in bindings.values() for binding in bound or [])
    return Container(inspected["Id"], frozenset(published))


class Socket(t.NamedTuple):
    """A listening socket, its process if it is visible, and whether it belongs to our own service."""

    listener: Listener
    holder: Holder | None
    own: bool


@dataclass(frozen=True)
class Listening(Fact):
    """The sockets that listen on a needed port."""

    sockets: t.Sequence[Socket]

    @classmethod
    def gather(cls, host: LiveHost) -> Listening:
        own = host.fact(OwnServices)
        return find_sockets(host.needs.ports, own.service if own else OwnService())


def find_sockets(ports: t.Sequence[Port], own: OwnService, proc: str = "/proc") -> Listening:
    needed = {wanted.port for wanted in ports}
    listeners = [listener for listener in listening(proc) if listener.port in needed]
    who = holders([listener.inode for listener in listeners], proc)
    found = [(listener, who.get(listener.inode)) for listener in listeners]
    return Listening([Socket(at, who, who is not None and _is_own(who, at.port, own, proc)) for at, who in found])


def _is_own(holder: Holder, port: int, own: OwnService, proc: str) -> bool:
    # A published port is held by a docker-proxy in Docker's own control group.
    published = any(port in container.published for container in own.containers)
    return ("docker-proxy" in holder.command and published) or is_ours(holder.pid, own, proc)


def port_taken(ports: t.Sequence[Port], found: Listening) -> t.Iterator[Finding]:
    """One finding for each needed port that another process uses."""
    others = [socket for socket in found.sockets if not socket.own]
    for wanted in ports:
        taken = [socket for socket in others if collides(socket.listener, wanted.address, wanted.port)]
        for listener, holder, _own in taken[:1]:
            who = f"pid {holder.pid}: {holder.command}" if holder else "a process of another user or of the kernel"
            what = f" ({wanted.what})" if wanted.what else ""
            yield error(
                f"port {wanted.port} on {wanted.address}{what} is used by {who} (it listens on {listener.address})",
                "stop it, or choose another port in O(ports)",
            )


@dataclass(frozen=True)
class Firewall(Fact):
    """Whether firewalld is running, its default zone and the open ports there, in its own notation."""

    running: bool
    zone: str = ""
    ports: str = ""

    @classmethod
    def gather(cls, host: LiveHost) -> Firewall:
        if (host.output_of("firewall-cmd", "--state") or "").strip() != "running":
            return cls(False)
        zone = (host.output_of("firewall-cmd", "--get-default-zone") or "").strip()
        return cls(True, zone, (host.output_of("firewall-cmd", "--list-ports") or "").strip())

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"firewalld": self.running}

    def lets_in(self, port: int) -> bool:
        for entry in self.ports.split():
            numbers, _slash, protocol = entry.partition("/")
            first, _dash, last = numbers.partition("-")
            if protocol == "tcp" and int(first) <= port <= int(last or first):
                return True
        return not self.running


def firewall(ports: t.Sequence[Port], found: Firewall) -> t.Iterator[Finding]:
    """Ports on loopback addresses need no rule."""
    outside = sorted({wanted.port for wanted in ports if not ipaddress.ip_address(wanted.address).is_loopback})
    shut = [port for port in outside if not found.lets_in(port)]
    if shut:
        listed = ", ".join(f"{port}/tcp" for port in shut)
        add = " ".join(f"--add-port={port}/tcp" for port in shut)
        yield warning(
            f"firewalld is running and {listed} is not open in zone {found.zone}",
            f"firewall-cmd --permanent --zone={found.zone} {add} && firewall-cmd --reload, if clients need access"
            " (on most systems Docker opens published ports itself)",
        )


CHECKS = (
    Check(port_taken, "ports", (Listening,)),
    Check(firewall, "ports", (Firewall,)),
)
