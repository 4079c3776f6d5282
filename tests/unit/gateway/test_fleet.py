# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients notice while hosts are drained, die and come back, and the gateway changes. And who may reach a host."""

from __future__ import annotations

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import haproxy_map, haproxy_server
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    read_authority,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, HAProxy, free_port, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import failure, run_module

CHAT = '{"model": "chat", "max_tokens": 2}'


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


def served_by(fleet: Fleet, host: str) -> int:
    return len(fleet.models[host, "chat"].requests)


class Gateway:
    """The module haproxy_server."""

    def __init__(self, fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        folder = fleet.gateway.folder
        self.options = {"socket": str(folder / "socket"), "states_file": str(folder / "states.map")}

    def set(self, host: str, state: str, **options: Any) -> dict[str, Any]:
        result = run_module(haproxy_server, self.capsys, host=host, state=state, **self.options, **options)
        assert not result.get("failed"), result
        return result

    def failure(self, host: str, state: str, **options: Any) -> str:
        return failure(haproxy_server, self.capsys, host=host, state=state, **self.options, **options)


@pytest.fixture
def gateway(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> Gateway:
    return Gateway(fleet, capsys)


def test_a_drained_host_loses_no_stream_and_gets_no_request(fleet: Fleet, gateway: Gateway) -> None:
    with fleet.streams(8, 40):
        assert served_by(fleet, "gpu1") == served_by(fleet, "gpu2") == 4
        result = gateway.set("gpu1", "drain", wait=30)
        assert result["changed"] and result["in_flight"] == 0 and result["waited_seconds"] > 0.5
    assert {fleet.chat(CHAT).status_code for _number in range(4)} == {200}
    assert served_by(fleet, "gpu1") == 4
    assert not gateway.set("gpu1", "drain")["changed"]
    assert gateway.set("gpu1", "ready")["changed"]
    for _number in range(4):
        assert fleet.chat(CHAT).status_code == 200
    assert served_by(fleet, "gpu1") > 4


def test_waiting_has_an_end_and_says_what_is_left(fleet: Fleet, gateway: Gateway) -> None:
    with fleet.streams(2, 60):
        assert "gpu1 still has 1 requests under way" in gateway.failure("gpu1", "drain", wait=1)


def test_states_survive_a_reload_and_a_restart(fleet: Fleet, gateway: Gateway) -> None:
    gateway.set("gpu1", "drain")
    gateway.set("gpu2", "maint", deployment="triton")

    def states() -> dict[tuple[str, str], str]:
        return {(server.backend, server.name): server.state for server in fleet.gateway.runtime.servers()}

    expected = {
        ("chat", "gpu1:chat"): "drain",
        ("chat", "gpu2:chat"): "ready",
        ("triton", "gpu1:triton"): "drain",
        ("triton", "gpu2:triton"): "maint",
    }
    assert states() == expected
    fleet.gateway.reload()
    assert states() == expected
    fleet.gateway.stop()
    fleet.gateway.start()
    assert states() == expected


def test_an_unknown_host_is_named(fleet: Fleet, gateway: Gateway) -> None:
    assert "it has gpu1:chat, gpu1:triton" in gateway.failure("gpu3", "drain")


def test_check_mode_changes_nothing(fleet: Fleet, gateway: Gateway) -> None:
    assert gateway.set("gpu1", "drain", check=True)["changed"]
    assert {server.state for server in fleet.gateway.runtime.servers()} == {"ready"}
    assert (fleet.gateway.folder / "states.map").read_text() == ""


def test_a_reload_cuts_no_stream(fleet: Fleet) -> None:
    with fleet.streams(50, 40):
        fleet.gateway.reload()
        assert fleet.chat(CHAT).status_code == 200
    assert fleet.chat(CHAT).status_code == 200


def test_a_reload_of_an_endpoint_cuts_no_stream(fleet: Fleet) -> None:
    with fleet.streams(10, 40):
        fleet.endpoints["gpu1"].reload()
        for _number in range(4):
            assert fleet.chat(CHAT).status_code == 200


def test_when_a_host_dies_only_requests_that_it_had_begun_fail(fleet: Fleet) -> None:
    client = fleet.client()
    streams = [
        iter(client.chat.completions.create(model="chat", messages=[], max_tokens=40, stream=True))
        for _number in range(4)
    ]
    for stream in streams:
        next(stream)
    fleet.endpoints["gpu1"].kill()
    began = time.monotonic()
    assert [fleet.chat(CHAT).status_code for _number in range(8)] == [200] * 8
    assert time.monotonic() - began < 2
    lengths = []
    for stream in streams:
        try:
            lengths.append(1 + len(list(stream)))
        except (httpx2.HTTPError, openai.APIConnectionError):
            lengths.append(0)
    assert lengths.count(40) == 2
    # A request that had begun was not sent to another host.
    assert served_by(fleet, "gpu2") == 2 + 8


def test_a_dead_model_server_is_taken_out_and_its_requests_go_elsewhere(fleet: Fleet) -> None:
    fleet.models["gpu1", "chat"].shutdown()
    fleet.models["gpu1", "chat"].server_close()
    assert [fleet.chat(CHAT).status_code for _number in range(8)] == [200] * 8
    statuses = {server.name: server.status for server in fleet.gateway.runtime.servers()}
    assert statuses["gpu1:triton"] == "UP"
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN")


def server_status(fleet: Fleet, name: str) -> str:
    return {server.name: server.status.split()[0] for server in fleet.gateway.runtime.servers()}[name]


def test_an_unhealthy_model_server_is_taken_out_and_comes_back(fleet: Fleet) -> None:
    fleet.models["gpu1", "chat"].status = 503
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 15)
    fleet.models["gpu1", "chat"].status = 200
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "UP", 15)


def test_a_deployment_is_taken_out_on_its_host(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fleet.folder / "gpu1"
    options = {"path": str(folder / "rotation.map"), "socket": str(folder / "socket"), "purge": False}
    result = run_module(haproxy_map, capsys, entries={"chat": "out"}, **options)
    assert result["changed"] and result["applied"]
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 15)
    assert server_status(fleet, "gpu1:triton") == "UP"
    assert not run_module(haproxy_map, capsys, entries={"chat": "out"}, **options)["changed"]
    run_module(haproxy_map, capsys, entries={"chat": "in"}, **options)
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "UP", 15)
    assert (folder / "rotation.map").read_text() == "chat in\n"


def test_without_a_host_the_answer_is_503_with_a_time_to_wait(fleet: Fleet, gateway: Gateway) -> None:
    for host in fleet.HOSTS:
        gateway.set(host, "maint")
    answer = fleet.chat(CHAT)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "unavailable"


def test_the_queue_is_bounded(fleet: Fleet) -> None:
    """At most one request on each host and four in the queue, see the fleet's routes; the others are told to wait."""
    for host in fleet.HOSTS:
        fleet.gateway.runtime.change(f"set maxconn server chat/{host}:chat 1")
    answers: list[int] = []
    long = '{"model": "chat", "max_tokens": 30, "stream": true}'
    threads = [threading.Thread(target=lambda: answers.append(fleet.chat(long).status_code)) for _number in range(12)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 6 + [503] * 6


# --- several gateways -----------------------------------------------------------------------------------------------


@pytest.fixture
def other(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[HAProxy]:
    """A second gateway. The first one is restarted, because both have the options of the test."""
    fleet.gateway.stop()
    peers = {name: {"name": name, "address": "127.0.0.1", "port": free_port()} for name in ("gateway1", "gateway2")}
    own = {
        name: {
            "gateway_peers": [peer for peer in peers.values() if peer["name"] != name],
            "gateway_peer_address": "127.0.0.1",
            "gateway_peer_port": peers[name]["port"],
        }
        for name in peers
    }
    options = {name: {**(own[name] if request.param == "peers" else {"gateway_share": 2})} for name in peers}
    shutil.rmtree(fleet.gateway.folder)
    fleet.gateway = fleet.start_gateway("gateway1", fleet.port, **options["gateway1"])
    second = fleet.start_gateway("gateway2", free_port(), **options["gateway2"])
    yield second
    second.stop()


def port_of(gateway: HAProxy) -> int:
    return int(re.findall(r"bind 127\.0\.0\.1:(\d+) ssl .* alpn", gateway.config.read_text())[0])


@pytest.mark.parametrize("other", ["peers"], indirect=True)
def test_a_standby_continues_with_the_counters(fleet: Fleet, other: HAProxy) -> None:
    key = ApiKey("search", hash_of("sk-search"), tokens_per_minute=100)
    for gateway in (fleet.gateway, other):
        fleet.set_keys(key, gateway=gateway)
    text = '{"model": "chat", "max_tokens": 40}'
    assert [fleet.chat(text, "sk-search").status_code for _number in range(2)] == [200, 200]
    time.sleep(1)
    assert fleet.chat(text, "sk-search", port_of(other)).status_code == 429


@pytest.mark.parametrize("other", ["share"], indirect=True)
def test_two_active_gateways_enforce_the_limit_together(fleet: Fleet, other: HAProxy) -> None:
    key = ApiKey("search", hash_of("sk-search"), requests_per_minute=6, tokens_per_minute=1000)
    for gateway in (fleet.gateway, other):
        fleet.set_keys(key, gateway=gateway)
    answers = [
        fleet.chat(CHAT, "sk-search", port).status_code for port in (fleet.port, port_of(other)) for _number in range(5)
    ]
    assert answers == [200, 200, 200, 429, 429] * 2


def test_weights_share_the_requests_of_a_model(fleet: Fleet) -> None:
    fleet.gateway.runtime.change("set server chat/gpu1:chat weight 0")
    assert [fleet.chat(CHAT).status_code for _number in range(6)] == [200] * 6
    assert served_by(fleet, "gpu1") == 0


# --- who may reach a host ---------------------------------------------------------------------------------------------


def ask(fleet: Fleet, path: str, certificate: Path | None, **headers: str) -> int:
    url = f"https://localhost:{fleet.ports['gpu1']}{path}"
    with httpx2.Client(verify=fleet.context(certificate)) as client:
        return client.get(url, headers={"X-Trtllm-Server": "gpu1:chat", **headers}).status_code


def test_certificates_open_what_their_purpose_is(fleet: Fleet, tmp_path: Path) -> None:
    gateway = fleet.certificate(tmp_path / "g.pem", "gateway1", "gateway")
    monitoring = fleet.certificate(tmp_path / "m.pem", "prometheus", "monitoring")
    server = fleet.certificate(tmp_path / "s.pem", "gateway1", "server")
    assert ask(fleet, "/health", gateway) == 200
    assert ask(fleet, "/rotation", gateway) == 200
    assert ask(fleet, "/chat/metrics", gateway) == 200
    assert ask(fleet, "/chat/metrics", monitoring) == 200
    assert ask(fleet, "/health", monitoring) == 403
    assert ask(fleet, "/rotation", monitoring) == 403
    assert ask(fleet, "/other/metrics", monitoring) == 403
    for certificate in (server, None):
        with pytest.raises(httpx2.TransportError):
            ask(fleet, "/health", certificate)


def test_foreign_and_expired_certificates_are_refused(fleet: Fleet, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pem"
    other = read_authority(*new_authority("test", fleet.now))
    foreign.write_bytes(issue(other, Wanted("gateway1", "gateway", ("gateway1",), 400, 0), fleet.now))
    expired = fleet.certificate(tmp_path / "expired.pem", "gateway1", "gateway", days=0)
    for certificate in (foreign, expired):
        with pytest.raises(httpx2.TransportError):
            ask(fleet, "/health", certificate)


def test_a_removed_gateway_is_refused_at_once_on_an_open_connection(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = fleet.certificate(tmp_path / "g.pem", "gateway1", "gateway")
    folder = fleet.folder / "gpu1"
    url, headers = f"https://localhost:{fleet.ports['gpu1']}/health", {"X-Trtllm-Server": "gpu1:chat"}
    with httpx2.Client(verify=fleet.context(certificate)) as client:
        assert client.get(url, headers=headers).status_code == 200
        run_module(
            haproxy_map,
            capsys,
            path=str(folder / "clients.map"),
            socket=str(folder / "socket"),
            entries={"other": "yes"},
        )
        assert client.get(url, headers=headers).status_code == 403


def test_the_gateway_does_not_trust_another_host_in_the_place_of_one(fleet: Fleet) -> None:
    fleet.certificate(fleet.folder / "gpu1/certificate.pem", "gpu9", "server")
    fleet.endpoints["gpu1"].reload()
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 15)
    assert [fleet.chat(CHAT).status_code for _number in range(4)] == [200] * 4
    assert served_by(fleet, "gpu1") == 0


def test_a_renewed_certificate_needs_a_reload_only(fleet: Fleet) -> None:
    def served() -> dict[str, Any]:
        plain = socket.create_connection(("localhost", fleet.port))
        with fleet.context().wrap_socket(plain, server_hostname="localhost") as connection:
            return dict(connection.getpeercert() or {})

    before = served()
    with fleet.streams(4, 40):
        fleet.certificate(fleet.gateway.folder / "certificate.pem", "api", "server", days=500)
        fleet.gateway.reload()
        # The old process accepts connections until the new one has started.
        wait_for(lambda: served()["serialNumber"] != before["serialNumber"])
