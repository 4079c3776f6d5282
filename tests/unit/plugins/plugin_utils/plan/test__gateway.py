# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of gateways, the endpoints of hosts, and what cannot be served together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import Gateways
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import gateway_table
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, gateways_of, host_of

TRITON: dict[str, Any] = {"model": "mixtral-8x7b-instruct", "release": "1.2.1", "image": IMAGE}
SERVE: dict[str, Any] = {**TRITON, "profile": "serve", "served_model_name": "chat"}
LONG: dict[str, Any] = {**TRITON, "model": "llama-3.1-8b-instruct"}
SMALL: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "gpus": 1,
    "server": {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012},
}


def fleet(gateways: Gateways | None = None, only: str = "", **hosts: Any) -> dict[str, Any]:
    """The plan of hosts with these variables, with one gateway."""
    given = {name: host_of(**options) for name, options in hosts.items()}
    return plan_fleet(given, CATALOGUE, only, gateways or gateways_of(*hosts))


def options_of(plan: dict[str, Any], gateway: str = "gw1") -> dict[str, Any]:
    assert [host["message"] for host in plan["hosts"].values() if host["message"]] == []
    options: dict[str, Any] = plan["gateway"]["hosts"][gateway]["gateway"]
    return options


def routes(plan: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The weights of the servers of each route."""
    return {
        route["name"]: {f"{server['host']}:{server['deployment']}": server["weight"] for server in route["servers"]}
        for route in options_of(plan)["routes"]
    }


def refused(plan: dict[str, Any], host: str) -> dict[str, str]:
    return {entry["variable"]: entry["message"] for entry in plan["hosts"][host]["refusals"]}


# --- without gateways


def test_without_gateways_a_plan_is_as_before() -> None:
    plan = plan_fleet({"a": host_of(**TRITON)}, CATALOGUE)
    assert plan["gateway"] == {"hosts": {}, "unknown": []} and plan["hosts"]["a"]["endpoint"] == {}
    ports = [port["port"] for need in plan["hosts"]["a"]["preflight"]["needs"] for port in need.get("ports", [])]
    assert ports == [8001, 8000, 8002]


# --- routes


def test_hosts_with_the_same_model_share_a_route() -> None:
    plan = fleet(a=SERVE, b=SERVE, c=TRITON)
    assert routes(plan) == {
        "openai-chat": {"a:default": 100, "b:default": 100},
        "triton-default": {"c:default": 100},
    }
    first = options_of(plan)["routes"][0]
    assert (first["api"], first["model"]) == ("openai", "chat")
    assert first["servers"][0]["address"] == "a.example" and first["servers"][0]["port"] == 8443


def test_deployments_with_one_served_name_share_a_route_by_weight() -> None:
    """A canary on the same host, and one on another host."""
    canary = {**SMALL, "profile": "serve", "served_model_name": "chat", "weight": 5}
    both = {**SERVE, "gpus": 7, "parallelism": {"tensor": 4}, "deployments": {"canary": canary}}
    plan = fleet(a=both, b={**SERVE, "weight": 20})
    assert routes(plan) == {"openai-chat": {"a:default": 100, "a:canary": 5, "b:default": 20}}


def test_the_weight_of_a_host_is_that_of_its_deployments() -> None:
    plan = fleet(a={**TRITON, "gpus": 4, "parallelism": {"tensor": 4}, "weight": 50, "deployments": {"small": SMALL}})
    assert routes(plan) == {"triton-default": {"a:default": 50}, "triton-small": {"a:small": 50}}


def test_a_slash_in_a_served_name_becomes_a_valid_name_of_haproxy() -> None:
    plan = fleet(a={**SERVE, "release": "1.3.0rc29", "served_model_name": "org/chat"})
    assert [(route["name"], route["model"]) for route in options_of(plan)["routes"]] == [
        ("openai-org:chat", "org/chat")
    ]


def test_the_ceiling_is_the_longest_sequence_of_any_host() -> None:
    plan = fleet(a={**SERVE, "limits": {"max_seq_len": 4096}}, b={**SERVE, "limits": {"max_seq_len": 8192}})
    assert options_of(plan)["routes"][0]["ceiling"] == 8192


def test_every_deployment_has_its_route_whichever_is_acted_on() -> None:
    both = {**TRITON, "gpus": 4, "parallelism": {"tensor": 4}, "deployments": {"small": SMALL}}
    plan = fleet(only="small", a=both)
    assert list(plan["hosts"]["a"]["deployments"]) == ["small"]
    assert list(routes(plan)) == ["triton-default", "triton-small"]
    assert [entry["name"] for entry in plan["hosts"]["a"]["endpoint"]["deployments"]] == ["default", "small"]


@pytest.mark.parametrize(
    ("limits", "body", "timeout"),
    [
        ({"max_input_len": 1024, "max_seq_len": 2048}, 262144, 600),
        ({"max_input_len": 65536, "max_seq_len": 65537}, 524288, 6553),
    ],
)
def test_the_body_and_the_time_follow_from_the_longest_prompt_and_answer(
    limits: dict[str, int], body: int, timeout: int
) -> None:
    plan = fleet(a={**LONG, "limits": limits}, b={**LONG, "limits": {"max_input_len": 512, "max_seq_len": 1024}})
    options = options_of(plan)
    assert (options["body_bytes"], options["answer_timeout"]) == (body, timeout)
    assert plan["hosts"]["a"]["endpoint"]["answer_timeout"] == timeout
    assert plan["hosts"]["b"]["endpoint"]["answer_timeout"] == 600


def test_a_prompt_of_trtllm_serve_can_be_as_long_as_a_sequence() -> None:
    long = {**LONG, "profile": "serve", "limits": {"max_input_len": 1024, "max_seq_len": 65536}}
    options = options_of(fleet(a=long))
    assert options["body_bytes"] == 65536 * 8


# --- endpoints


def test_an_endpoint_has_the_gateways_and_the_paths_of_each_profile() -> None:
    small = {**SMALL, "profile": "serve"}
    plan = fleet(
        gateways_of("a", gateways=("gw1", "gw2")),
        a={**TRITON, "gpus": 4, "parallelism": {"tensor": 4}, "deployments": {"small": small}},
    )
    endpoint = plan["hosts"]["a"]["endpoint"]
    assert endpoint["clients"] == ["gw1", "gw2"] and endpoint["authority"] == "/authority"
    assert endpoint["deployments"] == [
        {"name": "default", "port": 8000, "health": "/v2/health/ready", "metrics_port": 8002, "metrics": "/metrics"},
        {
            "name": "small",
            "port": 8010,
            "health": "/health",
            "metrics_port": 8010,
            "metrics": "/prometheus/metrics",
        },
    ]


def test_gateways_connect_to_the_address_that_the_endpoint_has() -> None:
    settings = {"a": {"address": "192.0.2.1", "port": "9000"}, "b": {"address": "0.0.0.0"}}
    plan = fleet(gateways_of("a", "b", **settings), a=SERVE, b=SERVE)
    servers = options_of(plan)["routes"][0]["servers"]
    assert [(server["address"], server["port"]) for server in servers] == [("192.0.2.1", 9000), ("b.example", 8443)]
    assert plan["hosts"]["a"]["endpoint"]["address"] == "192.0.2.1"
    needed = plan["hosts"]["a"]["preflight"]["needs"][-1]
    assert needed["ports"] == [{"port": 9000, "address": "192.0.2.1", "what": "endpoint for gateways"}]
    assert needed["units"] == ["trtllm-haproxy@endpoint.service"]


# --- gateways


def test_standbys_are_peers_and_gateways_that_are_used_together_are_not() -> None:
    settings = {"gw1": {}, "gw2": {"peer_address": "192.0.2.2", "peer_port": 9000}}
    standby = fleet(gateways_of("a", gateways=("gw1", "gw2"), **settings), a=SERVE)
    assert options_of(standby)["peers"] == [{"name": "gw2", "address": "192.0.2.2", "port": 9000}]
    assert options_of(standby, "gw2")["peers"] == [{"name": "gw1", "address": "gw1.example", "port": 9445}]
    together = fleet(gateways_of("a", gateways=("gw1", "gw2"), gw1={"share": 2}, gw2={"share": 2}), a=SERVE)
    assert (options_of(together)["share"], options_of(together)["peers"]) == (2, [])


def test_a_certificate_is_for_the_name_and_the_address_of_the_gateway_by_default() -> None:
    assert options_of(fleet(a=SERVE))["certificate_names"] == ["gw1", "gw1.example", "127.0.0.1"]
    named = fleet(gateways_of("a", gw1={"certificate_names": ["llm.example.com"]}), a=SERVE)
    assert options_of(named)["certificate_names"] == ["llm.example.com", "127.0.0.1"]


def test_preflight_checks_the_ports_and_the_memory_of_a_gateway() -> None:
    plan = fleet(gateways_of("a", gw1={"maxconn": 2000}), a=SERVE)
    needs = plan["gateway"]["hosts"]["gw1"]["preflight"]["needs"][0]
    assert [port["port"] for port in needs["ports"]] == [443, 9405]
    # Two buffers for each connection, each for the longest body and the headers.
    assert needs["memory_bytes"] == 2 * 2000 * (options_of(plan)["body_bytes"] + 32768)


def test_a_gateway_can_request_a_completion_of_each_route_from_itself() -> None:
    plan = fleet(gateways_of("a", "b", gw1={"addresses": ["fd00::1"], "port": 444}), a=SERVE, b=TRITON)
    requests = plan["gateway"]["hosts"]["gw1"]["requests"]
    assert requests["url"] == "https://[fd00::1]:444" and requests["verified"]
    assert options_of(plan)["certificate_names"][-1] == "fd00::1"
    assert [(route["name"], route["path"]) for route in requests["routes"]] == [
        ("openai-chat", "/v1/completions"),
        ("triton-default", "/default/v2/models/ensemble/generate"),
    ]
    assert requests["routes"][1]["body"] == {"text_input": "What is cloud computing?", "max_tokens": 16}
    own = fleet(gateways_of("a", gw1={"certificate": "/site.pem"}), a=SERVE)["gateway"]["hosts"]["gw1"]["requests"]
    assert (own["url"], own["verified"]) == ("https://127.0.0.1:443", False)


def test_the_routes_are_shown() -> None:
    plan = fleet(gateways_of("a", "b", gateways=("gw1", "gw2")), a=SERVE, b=TRITON)
    assert gateway_table(plan["gateway"]).split("\n")[2:] == [
        "== gw1, gw2 (gateways)",
        "route     /v1, model chat: a:default 100 (host:deployment weight)",
        "route     /default/v2: b:default 100 (host:deployment weight)",
    ]
    assert "no plan for c, so" in gateway_table({"hosts": {}, "unknown": ["c"]})
    assert gateway_table({"hosts": {}, "unknown": []}) == ""


# --- what is refused, or not known


def test_no_gateway_is_configured_without_the_routes_to_every_host() -> None:
    gateways = replace(gateways_of("a"), unknown=["b"])
    assert fleet(gateways, a=SERVE)["gateway"] == {"hosts": {}, "unknown": ["b"]}
    plan = fleet(a=SERVE, b={**SERVE, "precision": "int3"})
    assert plan["gateway"] == {"hosts": {}, "unknown": ["b"]} and plan["hosts"]["b"]["endpoint"] == {}
    assert refused(plan, "a") == {}


def test_triton_deployments_of_one_name_must_be_one_model() -> None:
    plan = fleet(a=TRITON, b={**SMALL, "release": "1.2.1", "image": IMAGE})
    assert refused(plan, "a") == {}
    message = refused(plan, "b")["trtllm_model"]
    assert "SmolLM2-135M-Instruct here and mistralai/Mixtral-8x7B-Instruct-v0.1 on a" in message
    assert plan["hosts"]["b"]["message"].endswith(message)


def test_deployments_of_one_route_have_one_session_header() -> None:
    plan = fleet(a={**SERVE, "session_header": "X-Session"}, b=SERVE)
    assert refused(plan, "b") == {
        "trtllm_session_header": "must be the same for all deployments of chat: it is X-Session on a"
    }


def test_a_server_that_others_could_reach_is_refused() -> None:
    small = {**SMALL, "server": {**SMALL["server"], "address": "192.0.2.7"}}
    plan = fleet(a={**TRITON, "gpus": 4, "parallelism": {"tensor": 4}, "deployments": {"small": small}})
    assert list(refused(plan, "a")) == ["trtllm_deployments.small.server.address"]


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"authority": ""}, "trtllm_gateway_authority"),
        ({"authority": "/other"}, "trtllm_gateway_authority"),
        ({"keys": ""}, "trtllm_gateway_keys"),
    ],
)
def test_an_authority_and_keys_are_required(changes: dict[str, str], variable: str) -> None:
    gateways = gateways_of("a")
    changed = replace(gateways, by_name={"gw1": replace(gateways.by_name["gw1"], **changes)})
    assert list(refused(fleet(changed, a=SERVE), "a")) == [variable]


def test_mistakes_in_the_variables_of_a_gateway_refuse_every_host() -> None:
    gateways = replace(gateways_of("a", "b"), refusals=[Refusal("trtllm_gateway.prot", None, "is wrong")])
    plan = fleet(gateways, a=SERVE, b=SERVE)
    assert refused(plan, "a") == refused(plan, "b") == {"trtllm_gateway.prot": "is wrong"}


def test_ports_of_a_host_that_is_its_own_gateway_must_differ() -> None:
    own = gateways_of("a", gateways=("a",), a={"port": 8443, "metrics_port": 8002})
    plan = fleet(own, a=TRITON)
    assert refused(plan, "a") == {
        "trtllm_gateway.port": "is the port of trtllm_endpoint.port: choose another",
        "trtllm_server": "port 8002 is that of trtllm_gateway.metrics_port: choose another",
    }


def test_the_port_of_the_endpoint_is_not_that_of_a_server() -> None:
    plan = fleet(a={**TRITON, "server": {"http_port": 8443}})
    assert refused(plan, "a") == {"trtllm_server": "port 8443 is that of trtllm_endpoint.port: choose another"}


@pytest.mark.parametrize(("name", "value"), [("weight", 257), ("weight", -1), ("session_header", "X Session")])
def test_wrong_values_are_refused(name: str, value: Any) -> None:
    assert list(refused(fleet(a={**SERVE, name: value}), "a")) == [f"trtllm_{name}"]
