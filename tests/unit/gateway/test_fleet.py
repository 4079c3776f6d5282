# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients notice while hosts are drained, die and come back, and the gateway changes. And who may reach a host."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._rotation import ready_others
from ansible_collections.tritonops.trtllm.plugins.modules import haproxy_certificate_info, haproxy_map, haproxy_server
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    read_authority,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, HAProxy, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import failure, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port

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


@pytest.mark.long
def test_a_drained_host_loses_no_stream_and_gets_no_request(fleet: Fleet, gateway: Gateway) -> None:
    with fleet.streams(8, 100):
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


@pytest.mark.long
def test_a_host_is_drained_and_restarted_under_streams(fleet: Fleet, gateway: Gateway) -> None:
    with fleet.streams(8, 60):
        gateway.set("gpu1", "drain", wait=30)
        fleet.endpoints["gpu1"].stop()
        fleet.endpoints["gpu1"].start()
        gateway.set("gpu1", "ready")
        assert {fleet.chat(CHAT).status_code for _number in range(4)} == {200}
    before = served_by(fleet, "gpu1")
    wait_for(lambda: fleet.chat(CHAT).status_code == 200 and served_by(fleet, "gpu1") > before)


@pytest.mark.long
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


def test_a_removed_host_is_forgotten_when_haproxy_starts_again(fleet: Fleet, gateway: Gateway) -> None:
    """In the running HAProxy it stays out of rotation."""
    for host in fleet.HOSTS:
        gateway.set(host, "drain")
    assert gateway.set("gpu1", "absent", check=True)["changed"]
    assert gateway.set("gpu1", "absent", deployment="triton")["changed"]
    kept = (fleet.gateway.folder / "states.map").read_text()
    assert kept == "gpu1:chat drain\ngpu2:chat drain\ngpu2:triton drain\n"
    assert gateway.set("gpu1", "absent")["changed"] and not gateway.set("gpu1", "absent")["changed"]
    assert {server.state for server in fleet.gateway.runtime.servers()} == {"drain"}
    fleet.gateway.reload()
    expected = {"gpu1:chat": "ready", "gpu1:triton": "ready", "gpu2:chat": "drain", "gpu2:triton": "drain"}
    # The old process accepts connections until the new one has started.
    wait_for(lambda: {server.name: server.state for server in fleet.gateway.runtime.servers()} == expected)


def test_an_unknown_host_is_named(fleet: Fleet, gateway: Gateway) -> None:
    assert "it has gpu1:chat, gpu1:triton" in gateway.failure("gpu3", "drain")


def test_check_mode_changes_nothing(fleet: Fleet, gateway: Gateway) -> None:
    assert gateway.set("gpu1", "drain", check=True)["changed"]
    assert {server.state for server in fleet.gateway.runtime.servers()} == {"ready"}
    assert (fleet.gateway.folder / "states.map").read_text() == ""


@pytest.mark.long
def test_a_reload_cuts_no_stream(fleet: Fleet) -> None:
    with fleet.streams(50, 40):
        fleet.gateway.reload()
        assert fleet.chat(CHAT).status_code == 200
    assert fleet.chat(CHAT).status_code == 200


@pytest.mark.long
def test_a_reload_of_an_endpoint_cuts_no_stream(fleet: Fleet) -> None:
    with fleet.streams(10, 40):
        fleet.endpoints["gpu1"].reload()
        for _number in range(4):
            assert fleet.chat(CHAT).status_code == 200


@pytest.mark.long
def test_when_a_host_dies_only_requests_that_it_had_begun_fail(fleet: Fleet) -> None:
    client = fleet.client()
    streams = [
        iter(client.chat.completions.create(model="chat", messages=[], max_tokens=100, stream=True))
        for _number in range(4)
    ]
    for stream in streams:
        next(stream)
    fleet.endpoints["gpu1"].kill()
    at_once, later = seconds_of_chats(fleet, 8), seconds_of_chats(fleet, 8)
    # No request waited for the dead host.
    assert at_once < 2 * later + 2
    lengths = []
    for stream in streams:
        try:
            lengths.append(1 + len(list(stream)))
        except (httpx2.HTTPError, openai.APIConnectionError):
            lengths.append(0)
    assert lengths.count(100) == 2
    # A request that had begun was not sent to another host.
    assert served_by(fleet, "gpu2") == 2 + 2 * 8


def seconds_of_chats(fleet: Fleet, count: int) -> float:
    began = time.monotonic()
    assert [fleet.chat(CHAT).status_code for _number in range(count)] == [200] * count
    return time.monotonic() - began


@pytest.mark.long
def test_a_dead_model_server_is_taken_out_and_its_requests_go_elsewhere(fleet: Fleet) -> None:
    fleet.models["gpu1", "chat"].shutdown()
    fleet.models["gpu1", "chat"].server_close()
    assert [fleet.chat(CHAT).status_code for _number in range(8)] == [200] * 8
    statuses = {server.name: server.status for server in fleet.gateway.runtime.servers()}
    assert statuses["gpu1:triton"] == "UP"
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN")


def server_status(fleet: Fleet, name: str) -> str:
    return {server.name: server.status.split()[0] for server in fleet.gateway.runtime.servers()}[name]


@pytest.mark.long
def test_an_unhealthy_model_server_is_taken_out_and_comes_back(fleet: Fleet) -> None:
    fleet.models["gpu1", "chat"].status = 503
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 60)
    fleet.models["gpu1", "chat"].status = 200
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "UP", 60)


@pytest.mark.long
def test_a_deployment_is_taken_out_on_its_host(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fleet.folder / "gpu1"
    options = {"path": str(folder / "rotation.map"), "socket": str(folder / "socket"), "purge": False}
    result = run_module(haproxy_map, capsys, entries={"chat": "out"}, **options)
    assert result["changed"] and result["applied"]
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 60)
    assert server_status(fleet, "gpu1:triton") == "UP"
    assert not run_module(haproxy_map, capsys, entries={"chat": "out"}, **options)["changed"]
    run_module(haproxy_map, capsys, entries={"chat": "in"}, **options)
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "UP", 60)
    assert (folder / "rotation.map").read_text() == "chat in\n"


def test_without_a_host_the_answer_is_503_with_a_time_to_wait(fleet: Fleet, gateway: Gateway) -> None:
    for host in fleet.HOSTS:
        gateway.set(host, "maint")
    answer = fleet.chat(CHAT)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "unavailable"


@pytest.mark.long
def test_an_answer_that_does_not_come_in_time(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, gateway_answer_timeout=1)
    servers = [fleet.models[host, "chat"] for host in fleet.HOSTS]
    try:
        for server in servers:
            server.may_answer.clear()
        answer = fleet.chat(CHAT)
        assert answer.status_code == 504 and int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == "timeout"
        # A server had begun it.
        assert sum(len(server.requests) for server in servers) == 1
        # A stream that is silent for so long ends.
        for server in servers:
            server.may_answer.set()
            server.token_seconds = 4.0
        stream = iter(fleet.client().chat.completions.create(model="chat", messages=[], max_tokens=2, stream=True))
        next(stream)
        began = time.monotonic()
        with pytest.raises((httpx2.HTTPError, openai.APIConnectionError)):
            list(stream)
        assert time.monotonic() - began < 3
    finally:
        fleet.close()


def test_no_connection_to_a_model_server_is_used_again(fleet: Fleet) -> None:
    """The server could close it under the request, whose client would get 502."""
    with httpx2.Client(verify=fleet.context(), headers={"Authorization": f"Bearer {fleet.KEY}"}) as client:
        for _number in range(6):
            assert client.post(f"{fleet.url}/v1/chat/completions", content=CHAT).status_code == 200
    connections = [entry["connection"] for host in fleet.HOSTS for entry in fleet.models[host, "chat"].requests]
    assert len(set(connections)) == 6


def test_no_request_is_lost_with_an_idle_connection(fleet: Fleet) -> None:
    """A reload must not close a connection that is kept, on either leg, at the moment of its next request."""
    results: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        with httpx2.Client(verify=fleet.context(), headers={"Authorization": f"Bearer {fleet.KEY}"}) as client:
            while not done.is_set():
                try:
                    results.append(client.post(f"{fleet.url}/v1/chat/completions", content=CHAT).status_code)
                except httpx2.HTTPError as exc:
                    results.append(exc)

    threads = [threading.Thread(target=ask) for _number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(6):
        # Some before and after each reload.
        wait_for(lambda number=number: len(results) > 8 * number, 60)  # type: ignore[misc]
        [*fleet.endpoints.values(), fleet.gateway][number % 3].reload()
    done.set()
    for thread in threads:
        thread.join()
    assert set(results) == {200}


def test_the_queue_is_bounded(fleet: Fleet) -> None:
    """At most one request on each host and four in the queue, see the fleet's routes; the others are told to wait."""
    for host in fleet.HOSTS:
        fleet.gateway.runtime.change(f"set maxconn server chat/{host}:chat 1")
        fleet.models[host, "chat"].token_seconds = 1
    answers: list[int] = []
    long = '{"model": "chat", "max_tokens": 30, "stream": true}'
    threads = [threading.Thread(target=lambda: answers.append(fleet.chat(long).status_code)) for _number in range(12)]
    for thread in threads:
        thread.start()
    # The others end when all of these have their answer.
    wait_for(lambda: len(answers) == 6)
    for host in fleet.HOSTS:
        fleet.models[host, "chat"].token_seconds = 0
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
    if request.param == "peers":
        # If both connect at the same time, HAProxy tries again after seconds.
        wait_for(lambda: "last_status=ESTA" in second.runtime.run("show peers"), 60)
    yield second
    second.stop()


def port_of(gateway: HAProxy) -> int:
    return int(re.findall(r"bind 127\.0\.0\.1:(\d+) .* alpn h2", gateway.config.read_text())[0])


@pytest.mark.long
@pytest.mark.parametrize("other", ["peers"], indirect=True)
def test_a_standby_continues_with_the_counters(fleet: Fleet, other: HAProxy) -> None:
    key = ApiKey("search", hash_of("sk-search"), tokens_per_minute=100)
    for gateway in (fleet.gateway, other):
        fleet.set_keys(key, gateway=gateway)
    text = '{"model": "chat", "max_tokens": 40}'
    assert [fleet.chat(text, "sk-search").status_code for _number in range(2)] == [200, 200]
    wait_for(lambda: "gpc1_rate(60000)=80" in other.runtime.run("show table keys"))
    assert fleet.chat(text, "sk-search", port_of(other)).status_code == 429


@pytest.mark.long
@pytest.mark.parametrize("other", ["peers"], indirect=True)
def test_peers_want_a_certificate_of_the_authority(fleet: Fleet, other: HAProxy, tmp_path: Path) -> None:
    port = int(re.findall(r"bind 127\.0\.0\.1:(\d+) ssl .* verify required\n", other.config.read_text())[0])
    foreign = tmp_path / "foreign.pem"
    authority = read_authority(*new_authority("test", fleet.now))
    foreign.write_bytes(issue(authority, Wanted("gateway1", "gateway", ("gateway1",), 400, 0), fleet.now))
    own = fleet.certificate(tmp_path / "own.pem", "gateway1", "gateway")

    def hello(certificate: Path | None) -> bytes:
        context = fleet.context(certificate)
        with socket.create_connection(("localhost", port)) as plain, context.wrap_socket(
            plain, server_hostname="gateway2"
        ) as connection:
            connection.settimeout(10)
            connection.sendall(b"HAProxyS 2.1\nnobody\n")
            return connection.recv(100)

    for certificate in (None, foreign):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            hello(certificate)
    # The protocol of peers answers: this is not the name of the gateway.
    assert hello(own).startswith(b"503")


@pytest.mark.parametrize("other", ["share"], indirect=True)
def test_two_active_gateways_enforce_the_limit_together(fleet: Fleet, other: HAProxy) -> None:
    key = ApiKey("search", hash_of("sk-search"), requests_per_minute=6, tokens_per_minute=1000)
    for gateway in (fleet.gateway, other):
        fleet.set_keys(key, gateway=gateway)
    answers = [
        fleet.chat(CHAT, "sk-search", port).status_code for port in (fleet.port, port_of(other)) for _number in range(5)
    ]
    assert answers == [200, 200, 200, 429, 429] * 2


@pytest.mark.parametrize("other", ["share"], indirect=True)
def test_a_limit_that_cannot_be_divided_stays_a_limit(fleet: Fleet, other: HAProxy) -> None:
    fleet.set_keys(ApiKey("search", hash_of("sk-search"), requests_per_minute=1))
    assert [fleet.chat(CHAT, "sk-search").status_code for _number in range(3)] == [200, 429, 429]
    fleet.set_keys(ApiKey("free", hash_of("sk-free")))
    assert [fleet.chat(CHAT, "sk-free").status_code for _number in range(3)] == [200, 200, 200]


def test_weights_share_the_requests_of_a_model(fleet: Fleet) -> None:
    fleet.gateway.runtime.change("set server chat/gpu1:chat weight 0")
    assert [fleet.chat(CHAT).status_code for _number in range(6)] == [200] * 6
    assert served_by(fleet, "gpu1") == 0


@pytest.mark.long
def test_requests_under_way_have_the_proportion_of_the_weights(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, weights={"gpu1": 50, "gpu2": 150})
    try:
        with fleet.streams(8, 60):
            assert [served_by(fleet, host) for host in fleet.HOSTS] == [2, 6]
    finally:
        fleet.close()


def test_a_session_stays_on_its_host(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, session_header="X-Session")
    try:
        hosts = set()
        for session in map(str, range(12)):
            before = served_by(fleet, "gpu1")
            for _number in range(4):
                answer = fleet.request("POST", "/v1/chat/completions", CHAT, **{"X-Session": session})
                assert answer.status_code == 200
            served = served_by(fleet, "gpu1") - before
            assert served in (0, 4)
            hosts.add(served)
        assert hosts == {0, 4}
    finally:
        fleet.close()


# --- who may reach a host ---------------------------------------------------------------------------------------------


def ask(fleet: Fleet, path: str, certificate: Path | None, **headers: str) -> int:
    url = f"https://localhost:{fleet.ports['gpu1']}{path}"
    with httpx2.Client(verify=fleet.context(certificate)) as client:
        return client.get(url, headers={"X-Trtllm-Server": "gpu1:chat", **headers}).status_code


@pytest.mark.long
def test_a_host_knows_how_many_others_the_gateway_has(fleet: Fleet) -> None:
    """Hosts that are down or drained do not count."""

    def others(host: str) -> int:
        return ready_others(fleet.endpoints[host].runtime.path, "chat")

    wait_for(lambda: [others(host) for host in fleet.HOSTS] == [1, 1], 60)
    fleet.models["gpu1", "chat"].status = 503
    wait_for(lambda: [others(host) for host in fleet.HOSTS] == [1, 0], 60)
    fleet.models["gpu1", "chat"].status = 200
    wait_for(lambda: [others(host) for host in fleet.HOSTS] == [1, 1], 60)
    fleet.gateway.runtime.change("set server chat/gpu1:chat state drain")
    wait_for(lambda: others("gpu2") == 0, 60)
    fleet.gateway.runtime.change("set server chat/gpu2:chat state drain")
    wait_for(lambda: [others(host) for host in fleet.HOSTS] == [0, 0], 60)
    assert ready_others("/nowhere", "chat") == 0


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


@pytest.mark.long
def test_a_client_can_read_the_answer_of_an_endpoint_without_a_server(fleet: Fleet, tmp_path: Path) -> None:
    """It passes through the gateway if no other host has taken the request."""
    gateway = fleet.certificate(tmp_path / "g.pem", "gateway1", "gateway")
    fleet.models["gpu1", "chat"].shutdown()
    fleet.models["gpu1", "chat"].server_close()
    with httpx2.Client(verify=fleet.context(gateway)) as client:
        url = f"https://localhost:{fleet.ports['gpu1']}/v1/chat/completions"
        answer = client.post(url, headers={"X-Trtllm-Server": "gpu1:chat"}, content=CHAT)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["code"] == "unavailable"


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


@pytest.mark.long
def test_the_gateway_does_not_trust_another_host_in_the_place_of_one(fleet: Fleet) -> None:
    fleet.certificate(fleet.folder / "gpu1/certificate.pem", "gpu9", "server")
    fleet.endpoints["gpu1"].reload()
    wait_for(lambda: server_status(fleet, "gpu1:chat") == "DOWN", 60)
    assert [fleet.chat(CHAT).status_code for _number in range(4)] == [200] * 4
    assert served_by(fleet, "gpu1") == 0


@pytest.mark.long
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


def test_certificates_in_use_are_reported_and_warned_of(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fleet.gateway.folder

    def report() -> dict[str, Any]:
        return run_module(haproxy_certificate_info, capsys, socket=str(folder / "socket"))

    result = report()
    found = {
        (Path(entry["path"]).name, entry["kind"], entry["subject"], entry["days_left"])
        for entry in result["certificates"]
    }
    assert found == {
        ("certificate.pem", "certificate", "/OU=server/CN=api", 399),
        ("client.pem", "certificate", "/OU=gateway/CN=gateway1", 399),
        ("ca.pem", "authority", "/CN=test", 3649),
    }
    assert not result["changed"] and "warnings" not in result
    # What counts is what HAProxy uses.
    fleet.certificate(folder / "client.pem", "gateway1", "gateway", days=29)
    assert "warnings" not in report()
    fleet.gateway.reload()
    # The old process accepts connections until the new one has started.
    wait_for(lambda: "warnings" in report())
    (warning,) = report()["warnings"]
    assert f"{folder / 'client.pem'}: the certificate /OU=gateway/CN=gateway1 expires in 28 days" in str(warning)
