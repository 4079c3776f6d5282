# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The plan for all hosts: what their deployments need and share, and what is created once for the whole fleet."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import PurePath
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk, Hub, Needs, Source, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import judge
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import DEPLOYMENTS, RELEASES, unit_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._bundle import bundle_contents, bundled_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fanout import Peer, fanout_of, preference
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import Gateways, plan_gateways
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_allocation import Allocation, allocate
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_checks import more_room, recorded_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts, read_host_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._limits import Stored
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._new_host import storage_warnings
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._plan_groups import plan_equal_hosts_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import ALL_GPUS, make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import (
    DOCKER_ROOT,
    container_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sections import Preflight, as_options
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._targets import shape_of, targets_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import Deployment, Deployments
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files import (
    InputError,
    ReadToken,
    Token,
    read_text,
    token_of,
    with_config,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import (
    Refusal,
    as_mapping,
    refusal_message,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Reader, Server, Weights

Plan = Mapping[str, Any]
FIRST_PORT, PORTS_APART = Server.http_port, 10


@dataclass(frozen=True)
class Vendors:
    """Package repositories of Docker and of the NVIDIA Container Toolkit; empty if packages come from elsewhere."""

    docker: str = ""
    nvidia_ctk: str = ""

    def sources(self, gpus: bool) -> list[Source]:
        """The repositories that must respond, unless their packages are installed."""
        wanted = [Source(self.docker, "Docker", unless="/usr/bin/dockerd")]
        if gpus:
            wanted.append(Source(self.nvidia_ctk, "NVIDIA Container Toolkit", unless="/usr/bin/nvidia-ctk"))
        return [source for source in wanted if re.match(r"https?://", source.url)]


@dataclass(frozen=True)
class Host:
    """The inputs of a host's plan. `facts` are as `trtllm_host_info` returns them.

    `refusals` are for variables that belong to no deployment. `bundle`: the result of the role bundle, if there is one.
    `storage`: the value of trtllm_storage. `read_token` reads the token file, which may be encrypted. `stored`: the
    limits that were chosen for what other hosts serve.
    """

    deployments: Deployments
    facts: Any
    token_file: Any = None
    refusals: Sequence[Refusal] = ()
    bundle: Mapping[str, Any] | None = None
    vendors: Vendors = Vendors()
    storage: Any = None
    read_token: ReadToken = read_text
    stored: Stored = field(default_factory=dict)

    @property
    def token(self) -> Token:
        return token_of(self.token_file)

    @property
    def known(self) -> HostFacts:
        return self._read[0]

    @property
    def wrong_facts(self) -> list[Refusal]:
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[HostFacts, list[Refusal]]:
        known, wrong = read_host_facts(self.facts)
        return replace(known, limits={**self.stored, **known.limits}), wrong


def plan_fleet(
    hosts: Mapping[str, Host],
    catalogue: Catalogue,
    only: str = "",
    gateways: Gateways | None = None,
    peers: Mapping[str, Peer] | None = None,
) -> dict[str, Any]:
    """`hosts`: the plan of each; `artifacts`: what is created or downloaded for all of them, by kind and key.

    `only`: the deployment to act on. The others are included in the plan, but not checked. `gateway`: the options of
    `gateways`. `targets`: what Prometheus can scrape through them and the endpoints of hosts. `fanout`: what hosts copy
    from each other; `peers` are those that take part.
    """
    hosts = _with_stored_limits(hosts)
    plans = plan_equal_hosts_once(
        hosts,
        lambda host: plan_host(host, catalogue, only),
        _group_key,
        lambda host, plan: _effects(host, plan, catalogue),
    )
    known = {name: host.known for name, host in hosts.items()}
    artifacts = artifacts_of(plans, known)
    made = {"artifacts": artifacts, "fanout": fanout_of(artifacts, plans, known, peers or {})}
    if gateways is None:
        return {"hosts": plans, **made, "gateway": {"hosts": {}, "unknown": []}, "targets": {}}
    deployments = {name: host.deployments.by_name for name, host in hosts.items()}
    plans, gateway = plan_gateways(plans, deployments, gateways)
    shapes = {name: shape_of(host.known, catalogue) for name, host in hosts.items()}
    targets = targets_of(plans, gateways, gateway["hosts"], shapes)
    return {"hosts": plans, **made, "gateway": gateway, "targets": targets}


def _with_stored_limits(hosts: Mapping[str, Host]) -> Mapping[str, Host]:
    """A new host gets the limits, and so the engine, that hosts like it already have."""
    stored: dict[str, Mapping[str, int]] = {}
    for host in hosts.values():
        stored.update({key: limits for key, limits in host.known.limits.items() if key not in stored})
    return {name: replace(host, stored=stored) for name, host in hosts.items()} if stored else hosts


def _group_key(host: Host) -> dict[str, Any]:
    """Facts that the planner does not read, such as serial numbers of GPUs, do not change a plan."""
    known = replace(host.known, disk_free=None, link=0, artifacts=frozenset(), prunable={}, serving={}, inspected=False)
    return {
        "deployments": {name: [entry.request, sorted(entry.own)] for name, entry in host.deployments.by_name.items()},
        "facts": repr(known),
        "rest": [host.token_file, host.bundle, repr(host.vendors), repr(host.storage)],
        "refusals": repr([*host.refusals, *host.deployments.refusals, *host.wrong_facts]),
    }


def _effects(host: Host, plan: Plan, catalogue: Catalogue) -> Any:
    """How free disk space, artifacts and served releases affect the plan. A refusal may mention any of them."""
    known, made = host.known, plan["deployments"]
    if plan["refusals"]:
        return repr(known)
    wanted = {name for name, _size in _wanted(made.values())}
    wanted.update(f"{DEPLOYMENTS}/{name}/{RELEASES}/{part['release_id']}" for name, part in made.items())
    room = sum(part["bytes"] for part in plan["preflight"]["needs"][0]["disk"])
    # A plan warns if there is not enough for a second release of that size.
    short = known.disk_free is not None and known.disk_free < 2 * room
    return (
        (known.disk_free, sorted(known.prunable.items())) if short or known.disk_free is None else "enough",
        known.artifacts & wanted,
        {name: _serves(release, made.get(name)) for name, release in known.serving.items()},
        known.inspected and any(_missing_token(part["needs"], host, known, catalogue) for part in made.values()),
    )


def _serves(release: str, plan: Plan | None) -> str:
    """It makes no difference which other release is served."""
    planned = plan["release_id"] if plan else None
    return release if release in ("", planned) else "another"


def plan_host(host: Host, catalogue: Catalogue, only: str = "") -> dict[str, Any]:
    """The plan of each deployment of a host, and what they need and share."""
    known = host.known
    deployments = host.deployments.by_name
    # If the facts are wrong, no GPUs are allocated: the plan of each deployment reports the facts.
    indexes = [] if host.wrong_facts else _indexes(known)
    allocation = allocate({name: _gpus_of(entry, catalogue) for name, entry in deployments.items()}, indexes)
    made = {name: _plan(entry, host, known, allocation, catalogue) for name, entry in deployments.items()}
    conflicts = _conflicts(deployments, made, allocation)
    general = [refusal.as_dict() for refusal in (*host.refusals, *host.deployments.refusals)]
    if only and only not in deployments:
        general.append(_unknown_deployment(only, deployments).as_dict())
    plans = {name: _refused(plan, conflicts.get(name, [])) for name, plan in made.items()}
    selected = {name: plan for name, plan in plans.items() if not only or name == only}
    needs = _needs(selected, [*deployments, *known.serving], _expected_count(deployments, catalogue))
    # Each deployment has the refusals of what they share.
    found = [*general, *(refusal for plan in selected.values() for refusal in plan["refusals"])]
    found += [] if found or len(selected) < 2 else _too_large_together(needs[0], known, host, catalogue)
    refusals = [refusal for place, refusal in enumerate(found) if refusal not in found[:place]]
    # A bundle contains the vendors' packages.
    sources = [] if host.bundle else host.vendors.sources(bool(known.gpus))
    return {
        "token_file": host.token.readable or "",
        "root": next((plan["needs"]["root"] for plan in plans.values()), ""),
        "deployments": selected,
        "gpus": _gpu_report(known, allocation, plans),
        "preflight": as_options(Preflight([*needs, *([Needs(reach=sources, planned=True)] if sources else [])])),
        # Of all deployments, for gateways. None for a deployment without a plan.
        "served": {name: plan.get("served") for name, plan in plans.items()},
        "endpoint": {},
        "refusals": refusals,
        "message": refusal_message(refusals),
        "warnings": [
            *_removed_deployments(known, deployments),
            *([] if refusals else _storage_warnings(host, needs, catalogue)),
        ],
    }


def _gpus_of(deployment: Deployment, catalogue: Catalogue) -> Any:
    """Mistakes are reported by the deployment's plan."""
    return Reader(deployment.request, catalogue).gpus()


def _expected_count(deployments: Mapping[str, Deployment], catalogue: Catalogue) -> int:
    """How many GPUs the host must have, whatever its deployments need. All deployments have the same value."""
    counts = (Reader(entry.request, catalogue).expected_gpus().count for entry in deployments.values())
    return max(counts, default=0)


def _indexes(host: HostFacts) -> list[int]:
    return [gpu.index for gpu in host.gpus]


def _plan(
    deployment: Deployment, host: Host, known: HostFacts, allocation: Allocation, catalogue: Catalogue
) -> dict[str, Any]:
    """The refusals use the names of the inventory."""
    given = allocation.gpus[deployment.name]
    whole = not given or list(given) == _indexes(known)
    facts = host.facts if whole else _with_gpus(host.facts, known, given)
    devices = ALL_GPUS if whole else tuple(str(index) for index in given)
    # Without GPUs it is all for each: another deployment must not change, and so restart, this one.
    share = len(given) / len(known.gpus) if known.gpus else 1.0

    def plan(request: Mapping[str, Any]) -> dict[str, Any]:
        return make_plan(request, facts, catalogue, deployment.name, devices, share, known.limits)

    def plan_with_config(request: Mapping[str, Any]) -> dict[str, Any]:
        """If the model's shape cannot be read, this is one refusal among others."""
        try:
            return plan(with_config(request, host.token.readable, host.read_token))
        except InputError as exc:
            made = plan(request)
            others = [entry for entry in made["refusals"] if not entry["variable"].startswith("trtllm_model")]
            return {**made, "refusals": [exc.refusal.as_dict(), *others]}

    request = deployment.request if whole else _without_count(deployment.request, catalogue)
    made = bundled_plan(request, host.bundle, plan_with_config) if host.bundle else plan_with_config(request)
    if not made["refusals"] and not host.bundle:
        made["bundle"] = bundle_contents(made, with_config(request, host.token.readable, host.read_token))
    located = [{**entry, "variable": deployment.located(entry["variable"])} for entry in made["refusals"]]
    made = {**made, "refusals": located}
    missing = None if host.bundle else _missing_token(made["needs"], host, known, catalogue)
    if missing and not known.inspected:
        return {**made, "warnings": [*made["warnings"], f"{missing.variable}: {missing.message}"]}
    return _refused(made, [missing] if missing else [])


def _missing_token(needs: Mapping[str, Any], host: Host, known: HostFacts, catalogue: Catalogue) -> Refusal | None:
    """Why the hub would not serve the weights that are still to be downloaded."""
    hub = needs.get("hub")
    if not hub or f"weights/{PurePath(hub['dest']).name}" in known.artifacts:
        return None
    if host.token.problem:
        return Refusal("trtllm_token_file", host.token.path, host.token.problem)
    repository = hub["repository"]
    # Mirrors have rules of their own, which preflight finds out.
    if host.token.path or hub["endpoint"].rstrip("/") != Weights.endpoint or not _is_gated(repository, catalogue):
        return None
    page = f"{Weights.endpoint}/{repository}"
    message = f"{repository} is a gated model: accept its licence at {page}, and set this to a file with your token"
    return Refusal("trtllm_token_file", None, message)


def _is_gated(repository: str, catalogue: Catalogue) -> bool:
    return any(model["repository"] == repository and model.get("gated") for model in catalogue.models.values())


def _with_gpus(facts: Mapping[str, Any], known: HostFacts, indexes: Sequence[int]) -> dict[str, Any]:
    return {**facts, "gpus": [raw for raw, gpu in zip(facts["gpus"], known.gpus) if gpu.index in indexes]}


def _without_count(request: Mapping[str, Any], catalogue: Catalogue) -> Mapping[str, Any]:
    """The expected number of GPUs is the host's, so it does not apply to a deployment that has only some of them."""
    if not Reader(request, catalogue).expected_gpus().count:
        return request
    return {**request, "preflight_gpus": {**as_mapping(request["preflight_gpus"]), "count": 0}}


def _refused(plan: dict[str, Any], refusals: Iterable[Refusal]) -> dict[str, Any]:
    """The plan; with refusals, it only contains what every refused plan has."""
    found = [refusal.as_dict() for refusal in refusals]
    if not found:
        return plan
    return {"refusals": [*found, *plan["refusals"]], "warnings": [], "needs": plan["needs"]}


def _unknown_deployment(name: str, known: Iterable[str]) -> Refusal:
    message = f"is not a deployment of this host; its deployments are: {', '.join(known)}"
    return Refusal("trtllm_deployment", name, message)


def _conflicts(
    deployments: Mapping[str, Deployment], plans: Mapping[str, Plan], allocation: Allocation
) -> dict[str, list[Refusal]]:
    """What prevents deployments of a host from running side by side, by the deployment that must change."""
    found: dict[str, list[Refusal]] = {}

    def refuse(name: str, option: str, message: str) -> None:
        found.setdefault(name, []).append(Refusal(deployments[name].located(f"trtllm_{option}"), None, message))

    for name, problem in allocation.refused.items():
        refuse(name, "gpus", problem)
    taken: dict[int, str] = {}
    wanted = {name: [port["port"] for port in plan["needs"].get("ports", [])] for name, plan in plans.items()}
    for name, ports in wanted.items():
        conflicts = sorted(port for port in ports if port in taken)
        if conflicts:
            users = ", ".join(sorted({taken[port] for port in conflicts}))
            subject, verb = ("port", "is") if len(conflicts) == 1 else ("ports", "are")
            message = f"{subject} {', '.join(map(str, conflicts))} {verb} used by deployment {users} of this host"
            refuse(name, "server", f"{message}: {_free_ports({port for ports in wanted.values() for port in ports})}")
        taken.update({port: name for port in ports if port not in taken})
    return found


def _free_ports(used: Collection[int]) -> str:
    first = next(port for port in count(FIRST_PORT, PORTS_APART) if not {port, port + 1, port + 2} & set(used))
    return f"http_port: {first}, grpc_port: {first + 1} and metrics_port: {first + 2} are free"


def _needs(plans: Mapping[str, Plan], names: Iterable[str], gpus: int) -> list[Needs]:
    """What the deployments need together, and separately what cannot be combined.

    `names`: every deployment that may be running, so that its ports and GPUs count as available.
    `gpus`: how many the host must have in any case.
    """
    needs = [read(Needs, plan["needs"]) for plan in plans.values()]
    if not needs:
        return []
    ours = list(dict.fromkeys(names))
    first, *others = needs
    together = replace(
        first,
        units=[unit_of(name) for name in ours],
        containers=[container_of(name) for name in ours],
        ports=[port for need in needs for port in need.ports],
        disk=_disk(plans, needs),
        memory_bytes=max(need.memory_bytes for need in needs),
        ulimits=list(dict.fromkeys(limit for need in needs for limit in need.ulimits)),
        gpus=_all_gpus([need.gpus for need in needs], gpus),
    )
    return [together, *(_separate(need) for need in others), *_tokenizers(plans.values())]


def _tokenizers(plans: Iterable[Plan]) -> Iterator[Needs]:
    """The hub must also allow the host to download the repositories of separate tokenizers."""
    for plan in plans:
        for snapshot in plan.get("model_weights", {}).get("snapshots", [])[1:]:
            if not snapshot["src"] and not snapshot["offline"]:
                names = ("repository", "revision", "endpoint", "dest")
                yield Needs(hub=Hub(**{name: snapshot[name] for name in names}), planned=True)


def _disk(plans: Mapping[str, Plan], needs: Sequence[Needs]) -> list[Disk]:
    """Each artifact once. Images all go to one folder, so they are distinguished by their keys."""
    found: dict[tuple[str, str], Disk] = {}
    for (name, plan), need in zip(plans.items(), needs):
        image = plan["artifacts"]["image"]["key"] if "artifacts" in plan else name
        found.update({(part.path, image if part.path == DOCKER_ROOT else ""): part for part in need.disk})
    return list(found.values())


def _too_large_together(needs: Needs, known: HostFacts, host: Host, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Whether the disk has enough space for all deployments, if it has enough for each of them alone."""
    waived = [Reader(entry.request, catalogue).waived() for entry in host.deployments.by_name.values()]
    disk = Needs(root=needs.root, disk=needs.disk, planned=True)
    return [
        Refusal(
            "trtllm_root",
            needs.root,
            f"all deployments together: {finding['message']}",
            waive=finding["id"],
            check=finding["id"],
            advice=more_room(needs, known),
        ).as_dict()
        for finding in judge(disk, recorded_facts(disk, known).get)
        if finding["severity"] == "error" and not all(finding["id"] in names for names in waived)
    ]


def _all_gpus(needs: Sequence[Any], least: int) -> Any:
    """Each GPU must meet the highest requirements, and there must be enough GPUs for all deployments."""
    wanted = [need for need in needs if need]
    if not wanted:
        return None

    def most(name: str) -> str:
        return max((getattr(need, name) for need in wanted), key=version)

    return replace(
        wanted[0],
        count=max(least, sum(need.count for need in wanted)),
        memory_mib=max(need.memory_mib for need in wanted),
        **{name: most(name) for name in ("compute_capability", "driver", "driver_listed")},
    )


def _separate(needs: Needs) -> Needs:
    return Needs(
        planned=needs.planned,
        **{name: getattr(needs, name) for name in ("shm", "hub", "registry", "reach", "archive", "engine")},
    )


def _gpu_report(host: HostFacts, allocation: Allocation, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """Indexes of GPUs: those of the host, those that the ranks of each deployment use, and the unused ones."""
    used = {name: list(allocation.gpus[name][: _ranks(plan)]) for name, plan in plans.items() if not plan["refusals"]}
    busy = {index for indexes in used.values() for index in indexes}
    found = _indexes(host)
    known = len(used) == len(plans)
    return {"found": found, "used": used, "unused": [index for index in found if known and index not in busy]}


def _ranks(plan: Plan) -> int:
    size: int = plan["parallelism"]["world_size"]
    return size


def _storage_warnings(host: Host, needs: Sequence[Needs], catalogue: Catalogue) -> Iterator[str]:
    shape = catalogue.shapes.get(host.known.shape) if host.known.shape else None
    if shape and needs:
        yield from storage_warnings(shape, host.storage, needs[0].disk)


def _removed_deployments(host: HostFacts, deployments: Iterable[str]) -> Iterator[str]:
    for name in sorted(name for name, release in host.serving.items() if release and name not in deployments):
        yield (
            f"deployment {name} is served on this host, but is not in the inventory: it is not changed. To remove it, "
            f"run teardown with -e trtllm_deployment={name}"
        )


def artifacts_of(hosts: Mapping[str, Plan], facts: Mapping[str, HostFacts]) -> dict[str, dict[str, Any]]:
    """What the hosts need in their root folders, by kind and key, and the host that creates or downloads it.

    This is a host that already has it, or else the one with room on its disk and the fastest link.
    """
    found: dict[str, dict[str, Any]] = {}
    for host, plan in hosts.items():
        for name, size in _wanted(plan["deployments"].values()):
            entry = found.setdefault(name, {"bytes": size, "made_by": "", "wanted_by": []})
            entry["wanted_by"].append(host)
    for name, entry in found.items():
        entry["made_by"] = preference(name, entry["bytes"], facts, entry["wanted_by"])[0]
    return found


def _wanted(plans: Iterable[Plan]) -> Iterator[tuple[str, int]]:
    wanted: dict[str, int] = {}
    for plan in plans:
        for kind, artifact in plan.get("artifacts", {}).items():
            folder = "weights" if kind == "tokenizer" else kind
            name = f"{folder}/{artifact['key']}"
            wanted[name] = max(artifact["bytes"], wanted.get(name, 0))
    yield from wanted.items()
