# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads of hosts and gateways with its certificate, and others do not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of, map_entries
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import CEILING, Fleet, ModelServer, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import PROJECT, exporters
from prometheus_client.parser import text_string_to_metric_families

ALL = "0.0.0.0"
PREFIX = "trtllm_gateway_key_"
CHAT = '{"model": "chat", "max_tokens": 40}'
LIMITED = ApiKey("limited", hash_of("sk-limited"), requests_per_minute=3, tokens_per_minute=1000)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    exporter = ModelServer(0)
    fleet = Fleet(tmp_path, exporters=[{"name": "node", "port": exporter.port}], gateway_metrics_address=ALL)
    yield fleet
    fleet.close()
    exporter.shutdown()


def read(fleet: Fleet, port: int, path: str, purpose: str) -> httpx2.Response:
    name = "gateway1" if purpose == "gateway" else "prometheus"
    certificate = fleet.certificate(fleet.folder / f"{purpose}.pem", name, purpose)
    with httpx2.Client(verify=fleet.context(certificate)) as client:
        return client.get(f"https://localhost:{port}{path}")


def test_an_endpoint_has_its_own_metrics_and_those_of_exporters(fleet: Fleet) -> None:
    port = fleet.ports["gpu1"]
    own = read(fleet, port, "/metrics", "monitoring")
    assert own.status_code == 200 and 'haproxy_frontend_status{proxy="endpoint",state="UP"} 1' in own.text
    assert read(fleet, port, "/metrics/node", "monitoring").text == "metrics 1\n"
    assert read(fleet, port, "/metrics/dcgm", "monitoring").status_code == 403
    for path in ("/metrics", "/metrics/node"):
        assert read(fleet, port, path, "gateway").status_code == 403


def test_a_gateway_wants_a_certificate_if_others_can_connect(fleet: Fleet) -> None:
    port = fleet.metrics_port("gateway1")
    answer = read(fleet, port, "/metrics", "monitoring")
    assert answer.status_code == 200 and 'haproxy_backend_active_servers{proxy="chat"} 2' in answer.text
    assert read(fleet, port, "/metrics", "gateway").status_code == 403
    # The certificate of a host is not for clients.
    with pytest.raises(httpx2.TransportError):
        read(fleet, port, "/metrics", "server")
    with pytest.raises(httpx2.TransportError), httpx2.Client(verify=fleet.context()) as client:
        client.get(f"https://localhost:{port}/metrics")


def test_a_connection_without_a_request_is_no_refused_request(fleet: Fleet) -> None:
    """Otherwise the blackbox exporter makes a gateway without clients look as if it refused all of them."""
    for _number in range(3):
        with socket.create_connection(("localhost", fleet.port)) as plain:
            fleet.context().wrap_socket(plain, server_hostname="localhost").close()
    assert fleet.request("GET", "/v1/models", key="sk-wrong").status_code == 401
    metrics = read(fleet, fleet.metrics_port("gateway1"), "/metrics", "monitoring").text
    assert 'haproxy_frontend_http_responses_total{proxy="clients",code="4xx"} 1' in metrics
    assert len(fleet.access_log()) == 1


def key_metrics(fleet: Fleet) -> dict[str, dict[str, int]]:
    """The values by key, of which the gateway's metrics have the name only."""
    answer = read(fleet, fleet.metrics_port("gateway1"), "/metrics/keys", "monitoring")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            assert sample.labels.keys() == {"key"} and family.documentation
            assert family.type == ("counter" if sample.name.endswith("_total") else "gauge")
            found.setdefault(sample.labels["key"], {})[sample.name.removeprefix(PREFIX)] = int(sample.value)
    return found


def test_the_metrics_of_keys_are_known(fleet: Fleet) -> None:
    """To the tests of dashboards, and to readers."""
    fleet.set_keys(LIMITED)
    exported = {PREFIX + name for name in key_metrics(fleet)["limited"]}
    assert exported == exporters()["gateway"].keys()
    page = (PROJECT / "docs/observability.md").read_text(encoding="utf-8")
    assert [name for name in exported if f"`{name}`" not in page] == []


def test_requests_and_reserved_tokens_are_counted_by_key(fleet: Fleet) -> None:
    fleet.set_keys(LIMITED)
    limits = {"max_requests_per_minute": 3, "max_tokens_per_minute": 1000}
    nothing = {"requests_total": 0, "tokens_reserved_total": 0}
    # Keys that have not been used are there as well: Prometheus would not notice the first request of a new series.
    assert key_metrics(fleet) == {"all": nothing, "limited": {**nothing, **limits}}
    assert [fleet.chat(CHAT, "sk-limited").status_code for _number in range(4)] == [200, 200, 200, 429]
    assert fleet.chat('{"model": "chat", "max_tokens": 7, "n": 3}').status_code == 200
    assert fleet.request("POST", "/triton/v2/models/ensemble/infer", b"{}").status_code == 200
    # Neither costs anything.
    assert fleet.request("GET", "/triton/v2/health/ready").status_code == 200
    assert fleet.chat("{").status_code == 400
    assert key_metrics(fleet) == {
        "all": {"requests_total": 2, "tokens_reserved_total": 21 + CEILING},
        "limited": {"requests_total": 3, "tokens_reserved_total": 120, **limits},
    }


def test_the_keys_in_the_file_are_those_that_are_exported(fleet: Fleet) -> None:
    rotated = replace(LIMITED, hash=hash_of("sk-rotated"))
    fleet.set_keys(LIMITED, rotated)
    for key in ("sk-limited", "sk-rotated"):
        assert fleet.chat(CHAT, key).status_code == 200
    assert key_metrics(fleet)["limited"]["requests_total"] == 2
    run = ApiKey("run-of-ansible", hash_of("sk-run"))
    fleet.gateway.runtime.replace_map(str(fleet.gateway.folder / "run_keys.map"), map_entries([run]))
    assert fleet.chat(CHAT, "sk-run").status_code == 200
    assert key_metrics(fleet).keys() == {"all", "limited"}
    # A key that is issued now does not continue with what a run with the same name has used.
    fleet.set_keys(replace(run, hash=hash_of("sk-other")))
    assert key_metrics(fleet)["run-of-ansible"]["requests_total"] == 0
    assert key_metrics(fleet).keys() == {"all", "run-of-ansible"}


def test_nobody_else_can_read_the_names_of_keys(fleet: Fleet) -> None:
    port = fleet.metrics_port("gateway1")
    assert read(fleet, port, "/metrics/keys", "gateway").status_code == 403
    assert fleet.request("GET", "/metrics/keys").status_code == 404


def test_after_a_reload_the_counters_begin_at_0(fleet: Fleet) -> None:
    """Prometheus knows that: a counter that is lower than before has begun again."""
    assert fleet.chat(CHAT).status_code == 200
    assert key_metrics(fleet)["all"]["requests_total"] == 1
    fleet.gateway.reload()
    # The old process may still accept connections for a moment.
    wait_for(lambda: key_metrics(fleet)["all"] == {"requests_total": 0, "tokens_reserved_total": 0})


def test_without_its_file_the_scrape_fails(fleet: Fleet) -> None:
    (fleet.gateway.folder / "keys.map").unlink()
    assert read(fleet, fleet.metrics_port("gateway1"), "/metrics/keys", "monitoring").status_code == 500
    assert fleet.chat(CHAT).status_code == 200


def test_a_gateway_of_several_exports_its_part_of_the_limits(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, gateway_metrics_address=ALL, gateway_share=2)
    try:
        fleet.set_keys(LIMITED, ApiKey("small", hash_of("sk-small"), requests_per_minute=1))
        found = key_metrics(fleet)
        assert (found["limited"]["max_requests_per_minute"], found["limited"]["max_tokens_per_minute"]) == (1, 500)
        assert [fleet.chat(CHAT, "sk-limited").status_code for _number in range(2)] == [200, 429]
        assert found["small"]["max_requests_per_minute"] == 1 and "max_tokens_per_minute" not in found["small"]
    finally:
        fleet.close()
