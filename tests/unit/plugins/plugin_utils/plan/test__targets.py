# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus can scrape of a fleet, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import Gateways
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import read_host_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._targets import shape_of
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    gateways_of,
    host,
    host_of,
)

CHAT: dict[str, Any] = {"model": "mixtral-8x7b-instruct", "release": "1.2.1", "image": IMAGE}
JOBS = {"trtllm-model-server", "trtllm-endpoint", "trtllm-gateway", "trtllm-gateway-keys", "trtllm-certificates"}


def fleet(gateways: Gateways, **hosts: Any) -> dict[str, Any]:
    plan = plan_fleet({name: host_of(**options) for name, options in hosts.items()}, CATALOGUE, "", gateways)
    assert [entry["message"] for entry in plan["hosts"].values() if entry["message"]] == []
    return plan


def test_without_gateways_and_monitoring_nothing_can_be_scraped() -> None:
    assert plan_fleet({"a": host_of(**CHAT)}, CATALOGUE)["targets"] == {}


def test_every_deployment_is_a_target_with_its_labels() -> None:
    targets = fleet(gateways_of("a", monitoring=("prom1",)), a={**CHAT, "profile": "serve"})["targets"]
    assert set(targets) == JOBS
    assert targets["trtllm-model-server"] == [
        {
            "targets": ["a.example:8443"],
            "labels": {
                "__metrics_path__": "/default/metrics",
                "host": "a",
                "deployment": "default",
                "model": CATALOGUE.models["mixtral-8x7b-instruct"]["repository"],
                "version": "1.2.1",
                "profile": "serve",
                "shape": "BM.GPU4.8",
            },
        }
    ]
    assert targets["trtllm-endpoint"] == [
        {"targets": ["a.example:8443"], "labels": {"__metrics_path__": "/metrics", "host": "a", "shape": "BM.GPU4.8"}}
    ]


def test_the_order_of_hosts_does_not_matter() -> None:
    gateways = gateways_of("a", "b", gateways=("gw2", "gw1"), monitoring=("prom1",))
    targets = fleet(gateways, b=CHAT, a=CHAT)["targets"]
    found = {job: [group["labels"]["host"] for group in groups] for job, groups in targets.items()}
    assert found["trtllm-model-server"] == ["a", "b"] and found["trtllm-gateway"] == ["gw1", "gw2"]


def test_gateways_have_metrics_and_a_certificate() -> None:
    settings = {"metrics_port": 9500, "addresses": ["192.0.2.1"], "port": 8000}
    targets = fleet(gateways_of("a", monitoring=("prom1",), gw1=settings), a=CHAT)["targets"]
    assert targets["trtllm-gateway"] == [{"targets": ["gw1.example:9500"], "labels": {"host": "gw1"}}]
    assert targets["trtllm-gateway-keys"] == [
        {"targets": ["gw1.example:9500"], "labels": {"__metrics_path__": "/metrics/keys", "host": "gw1"}}
    ]
    assert targets["trtllm-certificates"] == [{"targets": ["192.0.2.1:8000"], "labels": {"host": "gw1"}}]


def test_an_address_of_version_6_has_brackets() -> None:
    targets = fleet(gateways_of("a", monitoring=("prom1",), a={"address": "2001:db8::1"}), a=CHAT)["targets"]
    assert targets["trtllm-model-server"][0]["targets"] == ["[2001:db8::1]:8443"]


def test_exporters_of_a_host_are_jobs_of_their_own() -> None:
    exporters = [{"name": "node", "port": "9100"}, {"name": "dcgm", "port": 9400}]
    plan = fleet(gateways_of("a", "b", monitoring=("prom1",), a={"exporters": exporters}), a=CHAT, b=CHAT)
    assert set(plan["targets"]) == {*JOBS, "trtllm-node", "trtllm-dcgm"}
    assert plan["targets"]["trtllm-node"] == [
        {
            "targets": ["a.example:8443"],
            "labels": {"__metrics_path__": "/metrics/node", "host": "a", "shape": "BM.GPU4.8"},
        }
    ]
    endpoints = {name: entry["endpoint"]["exporters"] for name, entry in plan["hosts"].items()}
    assert endpoints == {"a": [{"name": "node", "port": 9100}, {"name": "dcgm", "port": 9400}], "b": []}


def test_hosts_accept_those_that_read_metrics() -> None:
    plan = fleet(gateways_of("a", monitoring=("prom1", "gw1")), a=CHAT)
    endpoint = plan["hosts"]["a"]["endpoint"]
    assert endpoint["clients"] == ["gw1", "prom1"] and endpoint["names"] == ["a", "a.example"]


def test_monitoring_alone_needs_endpoints_and_an_authority() -> None:
    gateways = gateways_of("a", gateways=(), monitoring=("prom1",))
    plan = fleet(gateways, a=CHAT)
    assert plan["hosts"]["a"]["endpoint"]["clients"] == ["prom1"]
    assert {job for job, groups in plan["targets"].items() if groups} == {"trtllm-model-server", "trtllm-endpoint"}
    without = Gateways({}, {"a": gateways.hosts["a"].__class__("a", "a.example", "")}, monitoring=("prom1",))
    (refusal,) = plan_fleet({"a": host_of(**CHAT)}, CATALOGUE, "", without)["hosts"]["a"]["refusals"]
    assert refusal["variable"] == "trtllm_gateway_authority" and "hosts that read metrics" in refusal["message"]


@pytest.mark.parametrize(
    ("monitoring", "settings", "address", "names"),
    [
        ((), {}, "127.0.0.1", ["gw1", "gw1.example"]),
        (("prom1",), {}, "0.0.0.0", ["gw1", "gw1.example"]),
        (("prom1",), {"metrics_address": "192.0.2.7"}, "192.0.2.7", ["gw1", "192.0.2.7"]),
    ],
)
def test_a_gateway_lets_others_read_its_metrics_if_there_are_any(
    monitoring: tuple[str, ...], settings: dict[str, str], address: str, names: list[str]
) -> None:
    plan = fleet(gateways_of("a", monitoring=monitoring, gw1=settings), a=CHAT)
    options = plan["gateway"]["hosts"]["gw1"]["gateway"]
    assert (options["metrics_address"], options["names"]) == (address, names)
    ports = plan["gateway"]["hosts"]["gw1"]["preflight"]["needs"][0]["ports"]
    assert (ports[1]["port"], ports[1]["address"]) == (9405, address)


@pytest.mark.parametrize(
    ("facts", "shape"),
    [
        (host("VM.GPU.A10.2"), "VM.GPU.A10.2"),
        ({"gpus": [{"index": 0, "name": "NVIDIA X1"}, {"index": 1, "name": "NVIDIA X1"}]}, "2x NVIDIA X1"),
        ({"gpus": []}, "no GPUs"),
    ],
)
def test_the_shape_is_that_of_the_gpus(facts: dict[str, Any], shape: str) -> None:
    assert shape_of(read_host_facts(facts)[0], CATALOGUE) == shape
