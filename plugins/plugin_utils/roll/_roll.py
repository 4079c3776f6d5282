# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""A roll: which hosts switch to another release together, and when a host may leave the rotation of the gateways."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

IN_ROTATION = ("UP", "no check")
"""How the status of a server begins to which HAProxy sends requests, if its state is ready."""


@dataclass(frozen=True)
class Roll:
    """The options of trtllm_roll.

    `batch` is a number of hosts or a percentage, `canary` the size of the first batch if it is another one, `min_ready`
    how many hosts of a route must stay in rotation, and `pause` the seconds between batches.
    """

    batch: str = "1"
    canary: int | None = None
    min_ready: int | None = None
    pause: int = 0

    def size(self, hosts: int) -> int:
        """Of a batch; at least one host."""
        if self.batch.endswith("%"):
            return max(1, hosts * int(self.batch[:-1]) // 100)
        return int(self.batch)


class Problem(NamedTuple):
    """A wrong value of an option."""

    option: str
    value: Any
    message: str


def roll_of(given: Any) -> Roll:
    """The options as a user gives them. Numbers can be text if they come from a template or the command line."""
    for problem in problems(given):
        raise ValueError(f"trtllm_roll.{problem.option} = {problem.value!r} {problem.message}")
    known = {option: value for option, value in (given or {}).items() if value is not None}
    numbers = {option: int(value) for option, value in known.items() if option != "batch"}
    return Roll(batch=str(known.get("batch", Roll.batch)).strip(), **numbers)


def problems(given: Any) -> Iterator[Problem]:
    names = {option.name for option in fields(Roll)}
    for option, value in (given or {}).items():
        if value is None or option not in names:
            continue
        text = str(value).strip()
        if option == "batch":
            number = text[:-1] if text.endswith("%") else text
            most = 100 if text.endswith("%") else None
            if not _is_number(number, 1, most):
                yield Problem(option, value, "must be a number of hosts, or a percentage from 1% to 100%")
        elif not _is_number(text, 1 if option == "canary" else 0, None):
            yield Problem(option, value, f"must be a whole number of at least {1 if option == 'canary' else 0}")


def _is_number(text: str, least: int, most: int | None) -> bool:
    return (
        text.isascii()
        and text.isdecimal()
        and len(text) < 10
        and least <= int(text)
        and (not most or int(text) <= most)
    )


def batches(hosts: Mapping[str, Roll]) -> list[list[str]]:
    """Hosts with the same options roll together, by name; those with others roll after them."""
    alike: dict[Roll, list[str]] = {}
    for name in sorted(hosts):
        alike.setdefault(hosts[name], []).append(name)
    return [batch for roll, names in alike.items() for batch in _split(names, roll)]


def _split(names: Sequence[str], roll: Roll) -> Iterator[list[str]]:
    size, begin = roll.size(len(names)), 0
    while begin < len(names):
        end = begin + (roll.canary if roll.canary and not begin else size)
        yield list(names[begin:end])
        begin = end


class Server(NamedTuple):
    """A deployment of a host at a gateway."""

    gateway: str
    host: str
    deployment: str
    route: str
    state: str
    status: str

    @property
    def is_in_rotation(self) -> bool:
        return self.state == "ready" and self.status.startswith(IN_ROTATION)


def servers_of(gateways: Mapping[str, Iterable[Mapping[str, Any]] | None]) -> list[Server]:
    """What the module deployment_info says about each gateway. A host where no gateway runs has none."""
    return [
        Server(gateway, entry["host"], entry["deployment"], entry["backend"], entry["state"], entry["status"])
        for gateway, found in gateways.items()
        for entry in found or ()
    ]


@dataclass(frozen=True)
class Turn:
    """A host whose turn it is, with the other hosts of its batch.

    `names` are its deployments that leave the rotation; None for all. `routes` are those that they will have, if they
    come back and that is known. `configured` is whether the gateways get their new routes after the roll.
    """

    host: str
    batch: Collection[str]
    names: Collection[str] | None = None
    routes: Mapping[str, str] | None = None
    min_ready: int | None = None
    configured: bool = True

    def concerns(self, server: Server) -> bool:
        return server.host == self.host and (self.names is None or server.deployment in self.names)

    def route_of(self, server: Server) -> str:
        return (self.routes or {}).get(server.deployment, server.route)


def drained(turn: Turn, servers: Iterable[Server]) -> list[dict[str, Any]]:
    """What is drained at which gateway: whether it was `ready`, and whether its `route` stays what it is."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for server in filter(turn.concerns, servers):
        entry = {"gateway": server.gateway, "deployment": server.deployment, "ready": False, "stays": True}
        entry = found.setdefault((server.gateway, server.deployment), entry)
        entry["ready"] = entry["ready"] or server.state == "ready"
        entry["stays"] = entry["stays"] and turn.route_of(server) == server.route
    return list(found.values())


def routes_of(turn: Turn, servers: Iterable[Server]) -> dict[str, list[str]]:
    """The routes that lead to the host and will do so again, by gateway."""
    found: dict[str, list[str]] = {}
    for server in filter(turn.concerns, servers):
        known = found.setdefault(server.gateway, [])
        if turn.route_of(server) == server.route and server.route not in known:
            known.append(server.route)
    return {gateway: routes for gateway, routes in found.items() if routes}


def refusals(turn: Turn, servers: Sequence[Server]) -> list[str]:
    """Why the host must stay in rotation: the clients of a route would not find enough others."""
    found = []
    for gateway, route in dict.fromkeys((server.gateway, server.route) for server in filter(turn.concerns, servers)):
        behind = [server for server in servers if (server.gateway, server.route) == (gateway, route)]
        own = [server for server in behind if turn.concerns(server)]
        # Draining a host that gets no requests takes nothing away from clients.
        if not any(server.is_in_rotation for server in own):
            continue
        hosts = list(dict.fromkeys(server.host for server in behind))
        needed = turn.min_ready if turn.min_ready is not None else min(1, len(hosts) - 1)
        others = [host for host in hosts if host not in turn.batch]
        stay = [host for host in others if any(server.host == host and server.is_in_rotation for server in behind)]
        if (needed or not turn.configured) and any(turn.route_of(server) != route for server in own):
            found.append(_moves(turn, gateway, route, turn.route_of(own[0])))
        elif len(stay) < needed:
            found.append(_too_few(turn, gateway, route, needed, stay, [host for host in others if host not in stay]))
    return found


def _moves(turn: Turn, gateway: str, route: str, new: str) -> str:
    if not turn.configured:
        return (
            f"gateway {gateway}: the previous release of {turn.host} has the route {new} and not {route}, which only "
            "site configures: change the inventory back and run site"
        )
    return (
        f"gateway {gateway}: {turn.host} would move from the route {route} to {new}, and the clients of {route} would "
        "have fewer and fewer hosts until the end of the roll: serve the new model as a further deployment and "
        "switch by weights (docs/fleet.md), or accept an interruption with trtllm_roll.min_ready: 0"
    )


def _too_few(turn: Turn, gateway: str, route: str, needed: int, stay: Sequence[str], out: Sequence[str]) -> str:
    together = f" (with {', '.join(sorted(turn.batch))} in one batch)" if len(turn.batch) > 1 else ""
    missing = f"; {', '.join(out)} {'is' if len(out) == 1 else 'are'} not in rotation" if out else ""
    return (
        f"gateway {gateway}: without {turn.host}{together}, {len(stay)} of the {needed} hosts that "
        f"trtllm_roll.min_ready asks for would serve {route}{missing}: bring hosts back into rotation, make the batch "
        "smaller, or lower min_ready"
    )
