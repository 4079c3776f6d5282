# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Which artifacts one host makes or fetches and the others copy from it.

The play chooses the maker: a host that has the artifact, or the first one of the group that is still in the play.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import role_default

Plan = Mapping[str, Any]
# In this order, because each is made from those before it. The templates of an image are small.
KINDS = ("image", "weights", "checkpoint", "engine")


@dataclass(frozen=True)
class Peer:
    """Where the other hosts reach a host while an artifact is copied. `rate` is in bytes per second.

    `images` is whether the host copies images, too.
    """

    address: str
    port: int
    https_port: int
    rate: int
    images: bool = True

    def copies(self, name: str) -> bool:
        return self.images or not name.startswith("image/")


def peer_of(address: str, settings: Mapping[str, Any]) -> Peer | None:
    """`settings` is trtllm_fanout. None if the host does not take part."""
    if settings.get("enabled", role_default("fanout", "enabled")) is False:
        return None
    numbers = {name: int(settings.get(name, role_default("fanout", name))) for name in ("port", "https_port", "rate")}
    images = settings.get("images") is not False
    return Peer(address=str(settings.get("address") or address), images=images, **numbers)


def preference(name: str, size: int, facts: Mapping[str, HostFacts], hosts: list[str]) -> list[str]:
    """The hosts, those that should make the artifact first: who has it, then who has room, then the fastest link.

    Twice the size is what a download or a build needs at most.
    """

    def rank(host: str) -> tuple[bool, bool, int]:
        known = facts[host]
        has_room = known.disk_free is None or known.disk_free >= 2 * size
        return name not in known.artifacts, not has_room, -known.link

    return sorted(hosts, key=rank)


def fanout_of(
    artifacts: Mapping[str, Mapping[str, Any]],
    plans: Mapping[str, Plan],
    facts: Mapping[str, HostFacts],
    peers: Mapping[str, Peer],
) -> dict[str, Any]:
    """`groups` of hosts that copy an artifact from each other. For each host in `hosts`, where the others reach it as
    `peer`, its `rate`, and the number of its group by artifact in `groups`.

    Empty if there is nothing to copy.
    """
    own = {host: set(_from_own_source(plan)) for host, plan in plans.items()}
    groups: list[list[str]] = []
    hosts: dict[str, dict[str, Any]] = {}
    copied = [name for kind in KINDS for name in artifacts if name.startswith(f"{kind}/")]
    for name in copied:
        entry = artifacts[name]
        copying = [host for host in entry["wanted_by"] if host in peers and peers[host].copies(name)]
        takes_part = [host for host in copying if name not in own[host]]
        for group in _alike(name, takes_part, facts):
            if len(group) < 2 or all(name in facts[host].artifacts for host in group):
                continue
            for host in group:
                hosts.setdefault(host, _entry(host, peers[host]))["groups"][name] = len(groups)
            groups.append(preference(name, entry["bytes"], facts, group))
    return {"groups": groups, "hosts": hosts}


def _entry(host: str, peer: Peer) -> dict[str, Any]:
    others_know = {name: value for name, value in asdict(peer).items() if name not in ("rate", "images")}
    return {"peer": {"name": host, **others_know}, "rate": peer.rate, "groups": {}}


def _alike(name: str, hosts: list[str], facts: Mapping[str, HostFacts]) -> Iterator[list[str]]:
    """An engine is only used on hosts like the one that built it. Its key has its image."""
    found: dict[Any, list[str]] = {}
    for host in hosts:
        known = facts[host]
        key = (tuple((gpu.name, gpu.capability, gpu.memory) for gpu in known.gpus), known.driver.partition(".")[0])
        found.setdefault(key if name.startswith("engine/") else None, []).append(host)
    yield from found.values()


def _from_own_source(plan: Plan) -> Iterator[str]:
    """What each host has in a folder, in an archive or in its bundle already, so that copying it makes no sense."""
    for made in plan["deployments"].values():
        image = made.get("trtllm_backend", {}).get("image", {})
        if image.get("source") == "archive":
            yield f"image/{PurePath(image['dest']).name}"
        for snapshot in made.get("model_weights", {}).get("snapshots", []):
            if snapshot["src"] or snapshot["offline"]:
                yield f"weights/{PurePath(snapshot['dest']).name}"


def transfer_hosts(peers: Sequence[Mapping[str, Any]], found: Mapping[str, Any], maker: str) -> dict[str, Any]:
    """The hosts that take part in a transfer: who lacks the artifact, and who has the same files as the maker.

    `found` is what each host has said about its artifact. A host that has failed has said nothing.
    """
    made = _files(found.get(maker))
    said = [peer for peer in peers if "artifact" in (found.get(peer["name"]) or {})]
    lacking = [peer for peer in said if not _files(found[peer["name"]])]
    able = said if made and lacking else []
    alike = [peer for peer in able if peer in lacking or _files(found[peer["name"]]) == made]
    return {
        "hosts": [
            {"name": peer["name"], "peer": {"address": peer["address"], "port": int(peer["port"])}} for peer in alike
        ],
        "maker": next(
            ({"address": peer["address"], "port": int(peer["https_port"])} for peer in peers if peer["name"] == maker),
            {},
        ),
    }


def _files(result: Any) -> Any:
    return ((result or {}).get("artifact") or {}).get("files")
