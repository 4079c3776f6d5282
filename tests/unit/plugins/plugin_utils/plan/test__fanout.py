# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts copy from each other, and who makes it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.filter.transfer_hosts import FilterModule
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fanout import (
    Peer,
    fanout_of,
    peer_of,
    preference,
    transfer_hosts,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import Gpu, HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import fanout_table

A100 = Gpu(0, "NVIDIA A100-SXM4-40GB", 40 << 30, (8, 0))
H100 = Gpu(0, "NVIDIA H100 80GB HBM3", 80 << 30, (9, 0))
WEIGHTS, CHECKPOINT, ENGINE, IMAGE = "weights/1", "checkpoint/2", "engine/3", "image/4"
ALL = (WEIGHTS, CHECKPOINT, ENGINE, IMAGE)


def facts(*artifacts: str, gpu: Gpu = A100, driver: str = "580.95.05", **others: Any) -> HostFacts:
    return HostFacts(gpus=(gpu,), driver=driver, artifacts=frozenset(artifacts), **others)


def plan(src: str = "", offline: bool = False, image: str = "registry") -> dict[str, Any]:
    snapshot = {"src": src, "offline": offline, "dest": f"/opt/trtllm/{WEIGHTS}"}
    backend = {"image": {"source": image, "dest": f"/opt/trtllm/{IMAGE}"}}
    return {"deployments": {"default": {"model_weights": {"snapshots": [snapshot]}, "trtllm_backend": backend}}}


def shared(hosts: dict[str, HostFacts], without: str = "", **plans: Any) -> dict[str, list[str]]:
    """The groups by artifact, sorted by artifact."""
    artifacts = {name: {"bytes": 100, "wanted_by": list(hosts)} for name in reversed(ALL)}
    peers = {name: Peer(name, 7880, 7881, 0) for name in hosts if name != without}
    found = fanout_of(artifacts, {name: plans.get(name, plan()) for name in hosts}, hosts, peers)
    names = {index: name for own in found["hosts"].values() for name, index in own["groups"].items()}
    groups: dict[str, list[str]] = {}
    for index, group in enumerate(found["groups"]):
        groups.setdefault(names[index], []).append(" ".join(group))
        assert {host for host, own in found["hosts"].items() if own["groups"].get(names[index]) == index} == set(group)
    return groups


def test_every_artifact_is_copied() -> None:
    found = shared({"a": facts(), "b": facts()})
    # Each is made from those before it.
    assert list(found.items()) == [(IMAGE, ["a b"]), (WEIGHTS, ["a b"]), (CHECKPOINT, ["a b"]), (ENGINE, ["a b"])]


def test_images_are_copied_unless_each_host_has_an_archive_or_wants_to_pull() -> None:
    hosts = {"a": facts(), "b": facts(), "c": facts()}
    assert shared(hosts)[IMAGE] == shared(hosts, a=plan(image="build"))[IMAGE] == ["a b c"]
    assert shared(hosts, a=plan(image="archive"))[IMAGE] == ["b c"]
    artifacts = {name: {"bytes": 100, "wanted_by": list(hosts)} for name in ALL}
    peers = {name: Peer(name, 7880, 7881, 0, images=name != "b") for name in hosts}
    found = fanout_of(artifacts, dict.fromkeys(hosts, plan()), hosts, peers)
    assert found["groups"][:2] == [["a", "c"], ["a", "b", "c"]]
    assert found["hosts"]["b"]["peer"] == {"name": "b", "address": "b", "port": 7880, "https_port": 7881}


def test_one_host_or_hosts_that_have_everything_copy_nothing() -> None:
    assert shared({"a": facts()}) == {}
    assert shared({"a": facts(*ALL), "b": facts(*ALL)}) == {}
    assert shared({"a": facts(), "b": facts()}, without="b") == {}


def test_engines_are_copied_between_equal_hosts_only() -> None:
    hosts = {
        "a": facts(),
        "b": facts(gpu=H100),
        "c": facts(driver="570.1"),
        "d": facts(driver="580.1"),
        "e": facts(gpu=H100),
    }
    found = shared(hosts)
    assert found[ENGINE] == ["a d", "b e"]
    assert found[WEIGHTS] == ["a b c d e"]


def test_who_has_it_makes_it_then_who_has_room_then_the_fastest_link() -> None:
    hosts = {
        "full": facts(disk_free=150, link=100_000),
        "slow": facts(disk_free=1000, link=1000),
        "fast": facts(disk_free=1000, link=25_000),
        "unknown": facts(),
        "has": facts(WEIGHTS, disk_free=0),
    }
    assert preference(WEIGHTS, 100, hosts, list(hosts)) == ["has", "fast", "slow", "unknown", "full"]
    assert shared(hosts)[WEIGHTS] == ["has fast slow unknown full"]


@pytest.mark.parametrize("own", [{"src": "/srv/model"}, {"offline": True}])
def test_weights_that_each_host_has_already_are_not_copied(own: dict[str, Any]) -> None:
    both = {name: plan(**own) for name in "ab"}
    assert WEIGHTS not in shared({"a": facts(), "b": facts()}, **both)
    # Not by that host, but by the others.
    hosts = {"a": facts(), "b": facts(), "c": facts()}
    assert shared(hosts, a=plan(**own))[WEIGHTS] == ["b c"]


def test_the_settings_of_a_host_have_defaults() -> None:
    assert peer_of("gpu1.example", {}) == Peer("gpu1.example", 7880, 7881, 0)
    given = {"address": "10.0.0.1", "port": "1", "https_port": 2, "rate": "3"}
    assert peer_of("gpu1.example", given) == Peer("10.0.0.1", 1, 2, 3)
    assert peer_of("gpu1.example", {"enabled": False}) is None
    assert peer_of("gpu1.example", {"images": False}) == Peer("gpu1.example", 7880, 7881, 0, images=False)


def test_the_plan_shows_who_makes_what() -> None:
    hosts = {name: facts() for name in "abcdefgh"}
    artifacts = {
        WEIGHTS: {"bytes": 93_400_000_000, "wanted_by": list(hosts)},
        ENGINE: {"bytes": 95_300_000_000, "wanted_by": ["a", "b"]},
    }
    peers = {name: Peer(name, 7880, 7881, 0) for name in hosts}
    found = fanout_of(artifacts, {name: plan() for name in hosts}, hosts, peers)
    assert fanout_table(found, artifacts) == (
        "\n\n== between the hosts\nweights/1 (93.4 GB): fetched by a, copied by b, c, d, e, f and 2 more"
        "\nengine/3 (95.3 GB): made by a, copied by b"
    )
    assert fanout_table({"groups": [], "hosts": {}}, {}) == ""


def peers(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "address": f"{name}.example", "port": 1, "https_port": 2} for name in names]


def found(**files: Any) -> dict[str, Any]:
    return {name: {"artifact": {"files": value} if value else None} for name, value in files.items()}


def test_hosts_without_the_artifact_and_with_the_same_files_take_part() -> None:
    transfer = transfer_hosts(peers("a", "b", "c", "d", "e"), {**found(a="x", b=None, c="x", d="y"), "e": {}}, "a")
    # d has built its own, and e has failed.
    assert [host["name"] for host in transfer["hosts"]] == ["a", "b", "c"]
    assert transfer["maker"] == {"address": "a.example", "port": 2}
    assert transfer["hosts"][1]["peer"] == {"address": "b.example", "port": 1}


@pytest.mark.parametrize("said", [found(a="x", b="x"), found(a=None, b=None), {"b": {"artifact": None}}, {}])
def test_there_may_be_nothing_to_transfer(said: dict[str, Any]) -> None:
    assert transfer_hosts(peers("a", "b"), said, "a")["hosts"] == []


def test_the_filter_checks_its_input() -> None:
    transfer = FilterModule().filters()["transfer_hosts"]
    assert transfer(peers("a"), found(a="x"), "a")["hosts"] == []
    with pytest.raises(AnsibleFilterError, match="not list"):
        transfer(peers("a"), [], "a")
