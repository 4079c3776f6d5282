# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The plan for all hosts: what their deployments need and share, and what is made for the whole fleet."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk, Hub, Needs, Source, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import judge
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import DEPLOYMENTS, RELEASES
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._bundled import bundle_contents, bundled_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._deployments import Deployment, Deployments
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._gpu_allocation import Allocation, allocate
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_checks import recorded_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import HostFacts, read_host_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._inputs import InputError, with_config
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._plan_groups import plan_equals_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._planner import ALL_GPUS, make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._preflight_needs import (
    DOCKER_ROOT,
    container_of,
    unit_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import Refusal, as_mapping, refusal_message
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._sections import Preflight, as_options
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import Reader, Server

Plan = Mapping[str, Any]
FIRST_PORT, PORTS_APART = Server.http_port, 10


@dataclass(frozen=True)
class Vendors:
    """URLs of the packages of Docker and of the NVIDIA Container Toolkit; empty where they come from elsewhere."""

    docker: str = ""
    nvidia_ctk: str = ""

    def sources(self, gpus: bool) -> list[Source]:
        """Those that must answer, unless what they have is installed."""
        wanted = [Source(self.docker, "Docker", unless="/usr/bin/dockerd")]
        if gpus:
            wanted.append(Source(self.nvidia_ctk, "NVIDIA Container Toolkit", unless="/usr/bin/nvidia-ctk"))
        return [source for source in wanted if re.match(r"https?://", source.url)]


@dataclass(frozen=True)
class Host:
    """All that a host's plan is made of. `facts` are as `trtllm_host_info` returns them.

    `refusals` are of variables that no deployment has. `bundle`: what the role bundle found, where there is one.
    `vendors`: what else the roles fetch, from where.
    """

    deployments: Deployments
    facts: Any
    token_file: str | None = None
    refusals: Sequence[Refusal] = ()
    bundle: Mapping[str, Any] | None = None
    vendors: Vendors = Vendors()

    @property
    def known(self) -> HostFacts:
        return self._read[0]

    @property
    def wrong_facts(self) -> list[Refusal]:
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[HostFacts, list[Refusal]]:
        return read_host_facts(self.facts)


def plan_fleet(hosts: Mapping[str, Host], catalogue: Catalogue, only: str = "") -> dict[str, Any]:
    """`hosts`: the plan of each; `artifacts`: what is made or fetched for all of them, by kind and key.

    `only`: the deployment that is acted on; the others are planned with it, and nothing of theirs is checked.
    """
    plans = plan_equals_once(hosts, lambda host: plan_host(host, catalogue, only), _essence, _outcome)
    return {"hosts": plans, "artifacts": artifacts_of(plans, {name: host.known for name, host in hosts.items()})}


def _essence(host: Host) -> dict[str, Any]:
    """What facts say beyond what is read of them, such as serial numbers of GPUs, makes no other plan."""
    known = replace(host.known, disk_free=None, artifacts=frozenset(), serving={})
    return {
        "deployments": {name: [entry.request, sorted(entry.own)] for name, entry in host.deployments.by_name.items()},
        "facts": repr(known),
        "rest": [host.token_file, host.bundle, repr(host.vendors)],
        "refusals": repr([*host.refusals, *host.deployments.refusals, *host.wrong_facts]),
    }


def _outcome(host: Host, plan: Plan) -> Any:
    """What free disk space, artifacts and served releases come to. A refusal may tell of each of them."""
    known, made = host.known, plan["deployments"]
    if plan["refusals"]:
        return repr(known)
    wanted = {name for name, _size in _wanted(made.values())}
    wanted.update(f"{DEPLOYMENTS}/{name}/{RELEASES}/{part['release_id']}" for name, part in made.items())
    room = sum(part["bytes"] for part in plan["preflight"]["needs"][0]["disk"])
    return (
        known.disk_free if known.disk_free is None or known.disk_free < room else "enough",
        known.artifacts & wanted,
        {name: _serves(release, made.get(name)) for name, release in known.serving.items()},
    )


def _serves(release: str, plan: Plan | None) -> str:
    """Which release of another version it is makes no difference."""
    planned = plan["release_id"] if plan else None
    return release if release in ("", planned) else "another"


def plan_host(host: Host, catalogue: Catalogue, only: str = "") -> dict[str, Any]:
    """The plan of each deployment, and what they need and share."""
    known = host.known
    deployments = host.deployments.by_name
    # What is wrong with the facts is for each deployment to tell, so none of them is left out.
    indexes = [] if host.wrong_facts else _indexes(known)
    allocation = allocate({name: _gpus_of(entry, catalogue) for name, entry in deployments.items()}, indexes)
    made = {name: _plan(entry, host, known, allocation, catalogue) for name, entry in deployments.items()}
    clashes = _clashes(deployments, made, allocation)
    general = [refusal.as_dict() for refusal in (*host.refusals, *host.deployments.refusals)]
    if only and only not in deployments:
        general.append(_unknown(only, deployments).as_dict())
    plans = {name: _refused(plan, clashes.get(name, [])) for name, plan in made.items()}
    selected = {name: plan for name, plan in plans.items() if not only or name == only}
    needs = _needs(selected, [*deployments, *known.serving], _expected_count(deployments, catalogue))
    # What the deployments share is refused for each of them.
    found = [*general, *(refusal for plan in selected.values() for refusal in plan["refusals"])]
    found += [] if found or len(selected) < 2 else _too_large_together(needs[0], known, host, catalogue)
    refusals = [refusal for place, refusal in enumerate(found) if refusal not in found[:place]]
    # A bundle has what the vendors have.
    sources = [] if host.bundle else host.vendors.sources(bool(known.gpus))
    return {
        "root": next((plan["needs"]["root"] for plan in plans.values()), ""),
        "deployments": selected,
        "gpus": _gpu_report(known, allocation, plans),
        "preflight": as_options(Preflight([*needs, *([Needs(reach=sources, planned=True)] if sources else [])])),
        "refusals": refusals,
        "message": refusal_message(refusals),
        "warnings": list(_gone(known, deployments)),
    }


def _gpus_of(deployment: Deployment, catalogue: Catalogue) -> Any:
    """What is wrong with it, its plan says."""
    return Reader(deployment.request, catalogue).gpus()


def _expected_count(deployments: Mapping[str, Deployment], catalogue: Catalogue) -> int:
    """How many GPUs the host has to have, whatever its deployments need. They all say the same."""
    counts = (Reader(entry.request, catalogue).expected_gpus().count for entry in deployments.values())
    return max(counts, default=0)


def _indexes(host: HostFacts) -> list[int]:
    return [gpu.index for gpu in host.gpus]


def _plan(
    deployment: Deployment, host: Host, known: HostFacts, allocation: Allocation, catalogue: Catalogue
) -> dict[str, Any]:
    """With every refusal under the name that its option has in the inventory."""
    given = allocation.gpus[deployment.name]
    whole = not given or list(given) == _indexes(known)
    facts = host.facts if whole else _with_gpus(host.facts, known, given)
    devices = ALL_GPUS if whole else tuple(str(index) for index in given)
    share = len(given) / len(known.gpus) if known.gpus else 1 / len(host.deployments.by_name)

    def plan(request: Mapping[str, Any]) -> dict[str, Any]:
        return make_plan(request, facts, catalogue, deployment.name, devices, share)

    def described(request: Mapping[str, Any]) -> dict[str, Any]:
        """What keeps the model's shape from being read is one refusal among the others."""
        try:
            return plan(with_config(request, host.token_file))
        except InputError as exc:
            made = plan(request)
            others = [entry for entry in made["refusals"] if not entry["variable"].startswith("trtllm_model")]
            return {**made, "refusals": [exc.refusal.as_dict(), *others]}

    request = deployment.request if whole else _without_count(deployment.request, catalogue)
    made = bundled_plan(request, host.bundle, described) if host.bundle else described(request)
    if not made["refusals"] and not host.bundle:
        made["bundle"] = bundle_contents(made, with_config(request, host.token_file))
    located = [{**entry, "variable": deployment.located(entry["variable"])} for entry in made["refusals"]]
    return {**made, "refusals": located}


def _with_gpus(facts: Mapping[str, Any], known: HostFacts, indexes: Sequence[int]) -> dict[str, Any]:
    return {**facts, "gpus": [raw for raw, gpu in zip(facts["gpus"], known.gpus) if gpu.index in indexes]}


def _without_count(request: Mapping[str, Any], catalogue: Catalogue) -> Mapping[str, Any]:
    """How many GPUs there have to be is said of the host, and not of a deployment that has a part of them."""
    if not Reader(request, catalogue).expected_gpus().count:
        return request
    return {**request, "preflight_gpus": {**as_mapping(request["preflight_gpus"]), "count": 0}}


def _refused(plan: dict[str, Any], refusals: Iterable[Refusal]) -> dict[str, Any]:
    """The plan; with refusals there is nothing else in it but what every refused plan has."""
    found = [refusal.as_dict() for refusal in refusals]
    if not found:
        return plan
    return {"refusals": [*found, *plan["refusals"]], "warnings": [], "needs": plan["needs"]}


def _unknown(name: str, known: Iterable[str]) -> Refusal:
    return Refusal("trtllm_deployment", name, f"is not a deployment of this host, which has: {', '.join(known)}")


def _clashes(
    deployments: Mapping[str, Deployment], plans: Mapping[str, Plan], allocation: Allocation
) -> dict[str, list[Refusal]]:
    """What keeps deployments of one host from running beside each other, by the deployment that has to change."""
    found: dict[str, list[Refusal]] = {}

    def refuse(name: str, option: str, message: str) -> None:
        found.setdefault(name, []).append(Refusal(deployments[name].located(f"trtllm_{option}"), None, message))

    for name, problem in allocation.refused.items():
        refuse(name, "gpus", problem)
    taken: dict[int, str] = {}
    wanted = {name: [port["port"] for port in plan["needs"].get("ports", [])] for name, plan in plans.items()}
    for name, ports in wanted.items():
        clash = sorted(port for port in ports if port in taken)
        if clash:
            owners = ", ".join(sorted({taken[port] for port in clash}))
            message = f"port {', '.join(map(str, clash))} is used by the deployment {owners} of this host"
            refuse(name, "server", f"{message}: {_free_ports({port for ports in wanted.values() for port in ports})}")
        taken.update({port: name for port in ports if port not in taken})
    return found


def _free_ports(used: Collection[int]) -> str:
    first = next(port for port in count(FIRST_PORT, PORTS_APART) if not {port, port + 1, port + 2} & set(used))
    return f"http_port: {first}, grpc_port: {first + 1} and metrics_port: {first + 2} are free"


def _needs(plans: Mapping[str, Plan], names: Iterable[str], gpus: int) -> list[Needs]:
    """What the deployments need together, and of each what can only be told of it alone.

    `names`: of every deployment that may be running, whose ports and GPUs are not taken by somebody else.
    `gpus`: how many the host has to have in any case.
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
    return [together, *(_alone(need) for need in others), *_tokenizers(plans.values())]


def _tokenizers(plans: Iterable[Plan]) -> Iterator[Needs]:
    """Repositories that only the tokenizer comes from: the hub must give them to the host, too."""
    for plan in plans:
        for snapshot in plan.get("model_weights", {}).get("snapshots", [])[1:]:
            if not snapshot["src"] and not snapshot["offline"]:
                names = ("repository", "revision", "endpoint", "dest")
                yield Needs(hub=Hub(**{name: snapshot[name] for name in names}), planned=True)


def _disk(plans: Mapping[str, Plan], needs: Sequence[Needs]) -> list[Disk]:
    """Each artifact once. Images all go to one folder, and are told apart by their keys."""
    found: dict[tuple[str, str], Disk] = {}
    for (name, plan), need in zip(plans.items(), needs):
        image = plan["artifacts"]["image"]["key"] if "artifacts" in plan else name
        found.update({(part.path, image if part.path == DOCKER_ROOT else ""): part for part in need.disk})
    return list(found.values())


def _too_large_together(needs: Needs, known: HostFacts, host: Host, catalogue: Catalogue) -> list[dict[str, Any]]:
    """Each deployment has room on the disk alone; whether all of them have."""
    waived = [Reader(entry.request, catalogue).waived() for entry in host.deployments.by_name.values()]
    disk = Needs(root=needs.root, disk=needs.disk, planned=True)
    return [
        Refusal(
            "trtllm_root",
            needs.root,
            f"the deployments together: {finding['message']}",
            waive=finding["id"],
            check=finding["id"],
            advice="a folder on a larger file system would do",
        ).as_dict()
        for finding in judge(disk, recorded_facts(disk, known).get)
        if finding["severity"] == "error" and not all(finding["id"] in names for names in waived)
    ]


def _all_gpus(needs: Sequence[Any], least: int) -> Any:
    """Each GPU must do for the most demanding deployment, and there must be enough for all of them."""
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


def _alone(needs: Needs) -> Needs:
    return Needs(
        planned=needs.planned,
        **{name: getattr(needs, name) for name in ("shm", "hub", "registry", "reach", "archive", "engine")},
    )


def _gpu_report(host: HostFacts, allocation: Allocation, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """Indexes of the GPUs: all of the host, those that a rank of each deployment runs on, and those that none does."""
    used = {name: list(allocation.gpus[name][: _ranks(plan)]) for name, plan in plans.items() if not plan["refusals"]}
    busy = {index for indexes in used.values() for index in indexes}
    found = _indexes(host)
    known = len(used) == len(plans)
    return {"found": found, "used": used, "unused": [index for index in found if known and index not in busy]}


def _ranks(plan: Plan) -> int:
    size: int = plan["parallelism"]["world_size"]
    return size


def _gone(host: HostFacts, deployments: Iterable[str]) -> Iterator[str]:
    for name in sorted(name for name, release in host.serving.items() if release and name not in deployments):
        yield (
            f"the deployment {name} serves on this host and is not in the inventory: it stays as it is. To remove it,"
            f" run teardown with -e trtllm_deployment={name}"
        )


def artifacts_of(hosts: Mapping[str, Plan], facts: Mapping[str, HostFacts]) -> dict[str, dict[str, Any]]:
    """What the hosts want below their root folders, by kind and key, with who makes or fetches it.

    That is a host that has it already, else the first that wants it.
    """
    found: dict[str, dict[str, Any]] = {}
    for host, plan in hosts.items():
        for name, size in _wanted(plan["deployments"].values()):
            entry = found.setdefault(name, {"bytes": size, "made_by": "", "wanted_by": []})
            entry["wanted_by"].append(host)
            has_it = name in facts[host].artifacts
            if not entry["made_by"] or (has_it and name not in facts[entry["made_by"]].artifacts):
                entry["made_by"] = host
    return found


def _wanted(plans: Iterable[Plan]) -> Iterator[tuple[str, int]]:
    wanted: dict[str, int] = {}
    for plan in plans:
        for kind, artifact in plan.get("artifacts", {}).items():
            folder = "weights" if kind == "tokenizer" else kind
            name = f"{folder}/{artifact['key']}"
            wanted[name] = max(artifact["bytes"], wanted.get(name, 0))
    yield from wanted.items()
