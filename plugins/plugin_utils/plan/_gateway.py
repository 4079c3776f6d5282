# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The gateways of a fleet: their routes to the deployments of all hosts, and the endpoints where they reach a host."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import HAProxy, Needs, Port
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _sections as sections
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sections import as_options
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import Deployment
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal, refusal_message
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import (
    GATEWAY,
    role_default,
    role_variables,
)

Plan = Mapping[str, Any]
Served = Mapping[str, Any]

BYTES_PER_TOKEN = 8
"""Of a prompt, in JSON. A token is about four characters of English; escapes and other scripts need more bytes."""

SLOWEST = 10
"""Tokens per second, from which the longest time of an answer follows."""

HEADER_BYTES = 2 * 16384
"""What the role gateway adds to the longest body, for the buffer of a request."""


ANY = "0.0.0.0"


@dataclass(frozen=True)
class Member:
    """A host or a gateway, as its variables describe it. `address` is where others reach it.

    `settings` is trtllm_endpoint or trtllm_gateway, `authority` an absolute path, and `haproxy` how it is installed.
    """

    name: str
    address: str
    authority: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    keys: str = ""
    haproxy: HAProxy | None = None

    def connect_to(self, option: str) -> str:
        """The address in the settings, unless it stands for all addresses of the host."""
        given = str(self.settings.get(option) or "")
        return given if given and given not in ("*", ANY, "::") else self.address


@dataclass(frozen=True)
class Gateways:
    """The gateways, and the hosts behind them. `unknown` are hosts of the fleet without facts.

    `refusals` are mistakes in the variables of gateways. `monitoring` are the names of the hosts that read metrics.
    """

    by_name: Mapping[str, Member]
    hosts: Mapping[str, Member]
    unknown: Sequence[str] = ()
    refusals: Sequence[Refusal] = ()
    monitoring: Sequence[str] = ()


@dataclass(frozen=True)
class Entry:
    """A deployment of a host, with what its plan says about it."""

    host: Member
    deployment: Deployment
    served: Served

    @property
    def route(self) -> tuple[str, str]:
        return self.served["api"], self.served["model"]

    def refusal(self, option: str, message: str) -> Refusal:
        return Refusal(self.deployment.located(f"trtllm_{option}"), None, message)


def plan_gateways(
    plans: Mapping[str, Plan], deployments: Mapping[str, Mapping[str, Deployment]], gateways: Gateways
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The plans of the hosts with their endpoints, and the options of the gateways.

    There are no options if the routes of a host are not known, because a gateway without them would cut it off.
    """
    entries = [
        Entry(gateways.hosts[host], deployments[host][name], served)
        for host, plan in plans.items()
        for name, served in plan["served"].items()
        if served
    ]
    unplanned = [host for host, plan in plans.items() if not all(plan["served"].values())]
    made = {name: gateway_of(gateway, gateways, entries) for name, gateway in gateways.by_name.items()}
    found = clashes(entries, gateways)
    own: dict[str, list[Entry]] = {}
    for entry in entries:
        own.setdefault(entry.host.name, []).append(entry)
    with_endpoints = {
        host: _with_endpoint(plan, gateways, gateways.hosts[host], own.get(host, []), made.get(host), found[host])
        for host, plan in plans.items()
    }
    unknown = [*gateways.unknown, *unplanned]
    options = {
        name: {
            "gateway": as_options(gateway),
            "requests": _requests(gateway, entries),
            "preflight": as_options(sections.Preflight([gateway_needs(gateways.by_name[name], gateway)])),
        }
        for name, gateway in made.items()
    }
    return with_endpoints, {"hosts": {} if unknown else options, "unknown": unknown}


def endpoint_of(host: Member, clients: Collection[str], served: Mapping[str, Served]) -> sections.HostEndpoint:
    return sections.HostEndpoint(
        authority=host.authority,
        # Gateways check the host's name, Prometheus checks what it connects to.
        names=_unique(host.name, host.connect_to("address")),
        **_with_defaults("endpoint", ("address", "port", "maxconn"), host.settings),
        answer_timeout=_answer_timeout(served.values()),
        clients=sorted(set(clients)),
        exporters=[sections.Exporter(entry["name"], int(entry["port"])) for entry in exporters_of(host)],
        deployments=[
            sections.EndpointDeployment(name=name, **entry["ports"], **entry["paths"]) for name, entry in served.items()
        ],
    )


def endpoint_needs(host: Member, endpoint: sections.HostEndpoint) -> Needs:
    return replace(
        _haproxy_needs(host, "endpoint"), ports=[Port(endpoint.port, _bound(endpoint.address), "endpoint for gateways")]
    )


def gateway_of(gateway: Member, gateways: Gateways, entries: Sequence[Entry]) -> sections.Gateway:
    served = [entry.served for entry in entries]
    settings = _with_defaults("gateway", GATEWAY, gateway.settings)
    names = settings["certificate_names"] or [gateway.name, gateway.address]
    names = _unique(*names, _local_address(settings["addresses"]))
    if gateways.monitoring and not gateway.settings.get("metrics_address"):
        settings["metrics_address"] = ANY
    # Gateways that clients use at the same time cannot share counters: each would overwrite those of the others.
    others = [other for name, other in gateways.by_name.items() if name != gateway.name and settings["share"] == 1]
    return sections.Gateway(
        authority=gateway.authority,
        name=gateway.name,
        names=_unique(gateway.name, gateway.connect_to("metrics_address")),
        **{**settings, "certificate_names": names},
        peers=[_peer(other) for other in others],
        body_bytes=_body_bytes(served),
        answer_timeout=_answer_timeout(served),
        routes=routes_of(entries),
    )


def gateway_needs(gateway: Member, options: sections.Gateway) -> Needs:
    """HAProxy needs up to two buffers for each connection."""
    ports = [Port(options.port, _bound(address), "gateway") for address in options.addresses]
    ports += [Port(options.metrics_port, _bound(options.metrics_address), "metrics of the gateway")]
    ports += [Port(options.peer_port, _bound(options.peer_address), "other gateways")] if options.peers else []
    memory = 2 * (options.body_bytes + HEADER_BYTES) * options.maxconn
    return replace(_haproxy_needs(gateway, "gateway"), ports=ports, memory_bytes=memory, systemd=True)


def routes_of(entries: Sequence[Entry]) -> list[sections.Route]:
    """A route for each model of OpenAI's API, and for each name of a Triton deployment."""
    by_route: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        by_route.setdefault(entry.route, []).append(entry)
    return [
        sections.Route(
            name=route_name(api, model),
            api=api,
            model=model,
            ceiling=max(entry.served["answer_tokens"] for entry in found),
            session_header=found[0].served["session_header"],
            servers=[_server(entry) for entry in found],
        )
        for (api, model), found in by_route.items()
    ]


def route_name(api: str, model: str) -> str:
    """A slash is not allowed in a name of HAProxy, and a colon not in that of a model."""
    return f"{api}-{model.replace('/', ':')}"


def clashes(entries: Sequence[Entry], gateways: Gateways) -> dict[str, list[Refusal]]:
    """Why deployments cannot be served by the gateways, by the host whose variables must change."""
    found: dict[str, list[Refusal]] = {}
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        earlier = first.setdefault(entry.route, entry)
        found.setdefault(entry.host.name, []).extend((*_unreachable(entry), *_disagreements(entry, earlier)))
    for name, host in gateways.hosts.items():
        found.setdefault(name, []).extend((*gateways.refusals, *_missing(host, gateways)))
    return found


def port_clashes(host: Member, gateway: sections.Gateway | None, entries: Sequence[Entry]) -> list[Refusal]:
    """Ports of the endpoint, and of a gateway on the same host, that are used twice."""
    taken = {endpoint_port(host): "trtllm_endpoint.port"}
    refusals = []
    for option in ("port", "metrics_port", *(["peer_port"] if gateway and gateway.peers else [])) if gateway else ():
        port = getattr(gateway, option)
        if port in taken:
            refusals.append(Refusal(f"trtllm_gateway.{option}", port, f"is the port of {taken[port]}: choose another"))
        taken.setdefault(port, f"trtllm_gateway.{option}")
    for entry in entries:
        used = {entry.served["ports"]["port"], entry.served["ports"]["metrics_port"]}
        refusals += [
            entry.refusal("server", f"port {port} is that of {taken[port]}: choose another")
            for port in sorted(used & taken.keys())
        ]
    return refusals


def _unreachable(entry: Entry) -> Iterator[Refusal]:
    """The endpoint connects to 127.0.0.1, and nothing else may reach the model server."""
    address = entry.served["address"]
    if address != "127.0.0.1":
        message = f"must be 127.0.0.1, not {address}: gateways reach the server through the endpoint of the host"
        yield entry.refusal("server.address", message)


def _disagreements(entry: Entry, first: Entry) -> Iterator[Refusal]:
    """What deployments of one route must have in common."""
    mine, other = entry.served, first.served
    name, where = entry.deployment.name, f"on {first.host.name}"
    if mine["api"] == "triton" and mine["repository"] != other["repository"]:
        message = (
            f"deployment {name} is {mine['repository']} here and {other['repository']} {where}, but gateways have one "
            "route for a name: give one of them another name in trtllm_deployments"
        )
        yield entry.refusal("model", message)
    if mine["session_header"] != other["session_header"]:
        message = f"must be the same for all deployments of {mine['model']}: it is {other['session_header'] or 'empty'}"
        yield entry.refusal("session_header", f"{message} {where}")


def _missing(host: Member, gateways: Gateways) -> Iterator[Refusal]:
    """Hosts and gateways only trust certificates of the same authority."""
    members = [host, *gateways.by_name.values()]
    if not all(member.authority for member in members):
        others = "gateways" if gateways.by_name else "hosts that read metrics"
        message = (
            f"is required, because there are {others}: a folder on the control node; it is created if it is missing"
        )
        yield Refusal("trtllm_gateway_authority", None, message)
    elif len({member.authority for member in members}) > 1:
        listed = ", ".join(f"{member.authority} ({member.name})" for member in members)
        message = f"must be the same for hosts and gateways, but it is {listed}: set it in group_vars/all"
        yield Refusal("trtllm_gateway_authority", None, message)
    if not all(gateway.keys for gateway in gateways.by_name.values()):
        message = "is required for gateways: a file on the control node, which the playbook keys writes"
        yield Refusal("trtllm_gateway_keys", None, message)


def _requests(gateway: sections.Gateway, entries: Sequence[Entry]) -> dict[str, Any]:
    """How the gateway itself can request a completion of each route."""
    by_route = {entry.route: entry.served["request"] for entry in reversed(entries)}
    return {
        "url": f"https://{in_url(_local_address(gateway.addresses))}:{gateway.port}",
        # The names of the user's own certificate are not known.
        "verified": not gateway.certificate,
        "routes": [{"name": route.name, **by_route[route.api, route.model]} for route in gateway.routes],
    }


def exporters_of(host: Member) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = host.settings.get("exporters") or ()
    return found


def endpoint_port(host: Member) -> int:
    port: int = _with_defaults("endpoint", ("port",), host.settings)["port"]
    return port


def _unique(*names: str) -> list[str]:
    return list(dict.fromkeys(names))


def _local_address(addresses: Sequence[str]) -> str:
    """Where the gateway reaches itself."""
    return addresses[0] if addresses and not {"*", ANY} & set(addresses) else "127.0.0.1"


def in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _server(entry: Entry) -> sections.RouteServer:
    return sections.RouteServer(
        host=entry.host.name,
        deployment=entry.deployment.name,
        address=entry.host.connect_to("address"),
        port=endpoint_port(entry.host),
        weight=entry.served["weight"],
    )


def _peer(other: Member) -> sections.Peer:
    port = _with_defaults("gateway", ("peer_port",), other.settings)["peer_port"]
    return sections.Peer(other.name, other.connect_to("peer_address"), port)


def _body_bytes(served: Sequence[Served]) -> int:
    """The longest body, for the longest prompt of all deployments."""
    longest = max((entry["prompt_tokens"] for entry in served), default=0)
    return max(role_default("gateway", "body_bytes"), longest * BYTES_PER_TOKEN)


def _answer_timeout(served: Collection[Served]) -> int:
    longest = max((entry["answer_tokens"] for entry in served), default=0)
    return max(role_default("gateway", "answer_timeout"), longest // SLOWEST)


def _with_defaults(role: str, names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers can be text if they come from a template or the command line."""
    values = {name: settings.get(name, role_default(role, name)) for name in names}
    numbers = {name for name in names if isinstance(role_default(role, name), int)}
    return {name: int(value) if name in numbers else value for name, value in values.items()}


def haproxy_needed(source: str, executable: str) -> HAProxy | None:
    """None for an image, whose version is only known once it is there."""
    if source == "image":
        return None
    return HAProxy(role_variables("haproxy")["__haproxy_minimum_version"], executable, source == "distribution")


def _haproxy_needs(member: Member, instance: str) -> Needs:
    return Needs(
        units=[f"trtllm-haproxy@{instance}.service"],
        containers=[f"trtllm-haproxy-{instance}"],
        haproxy=member.haproxy,
        planned=True,
    )


def _bound(address: str) -> str:
    """For preflight, which compares addresses. A name can be any of them."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ANY


def _with_endpoint(
    plan: Plan,
    gateways: Gateways,
    host: Member,
    entries: Sequence[Entry],
    own_gateway: sections.Gateway | None,
    found: Sequence[Refusal],
) -> dict[str, Any]:
    """The plan of a host, with what its gateways need of it. It can be shared with other hosts, and is not changed."""
    clients = [*gateways.by_name, *gateways.monitoring]
    endpoint = endpoint_of(host, clients, {entry.deployment.name: entry.served for entry in entries})
    conflicts = (*found, *port_clashes(host, own_gateway, entries))
    refusals = [*plan["refusals"], *(refusal.as_dict() for refusal in conflicts)]
    needs = [*plan["preflight"]["needs"], as_options(endpoint_needs(host, endpoint))]
    return {
        **plan,
        "endpoint": as_options(endpoint) if all(plan["served"].values()) else {},
        "preflight": {"needs": needs},
        "refusals": refusals,
        "message": refusal_message(refusals),
    }
