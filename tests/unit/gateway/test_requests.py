# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's requests: who may send which, what they cost, and what a wrong one is told."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import httpx2
import openai
import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import (
    BODY_BYTES,
    CEILING,
    TOKEN_SECONDS,
    Fleet,
    wait_for,
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()


def key(fleet: Fleet, **settings: object) -> str:
    """A key with these settings, and with counters of its own."""
    secret = f"sk-{time.monotonic_ns()}"
    fleet.set_keys(ApiKey(secret, hash_of(secret), **settings))  # type: ignore[arg-type]
    return secret


def code(response: httpx2.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"].endswith(".")
    return response.status_code, error["code"]


def test_the_official_client_works(fleet: Fleet) -> None:
    client = fleet.client()
    assert [model.id for model in client.models.list()] == ["chat"]
    answer = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "é"}], max_tokens=4)
    assert answer.choices[0].message.content == "0 1 2 3 "
    stream = client.chat.completions.create(model="chat", messages=[], max_tokens=4, stream=True)
    assert "".join(part.choices[0].delta.content or "" for part in stream) == "0 1 2 3 "


def test_the_official_client_knows_the_errors(fleet: Fleet) -> None:
    with pytest.raises(openai.AuthenticationError):
        fleet.client("sk-unknown").models.list()
    with pytest.raises(openai.NotFoundError, match="other"):
        fleet.client().chat.completions.create(model="other", messages=[])
    with pytest.raises(openai.BadRequestError, match="max_tokens"):
        fleet.client().chat.completions.create(model="chat", messages=[], max_tokens=-1)
    limited = key(fleet, requests_per_minute=1)
    fleet.client(limited).chat.completions.create(model="chat", messages=[])
    with pytest.raises(openai.RateLimitError) as error:
        fleet.client(limited).chat.completions.create(model="chat", messages=[])
    assert int(error.value.response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/v1/chat/%63ompletions"),
        ("POST", "/triton/v2/models/ensemble/../../../repository/index"),
        ("POST", "/triton/v2/repository/models/ensemble/load"),
        ("POST", "/triton/v2/systemsharedmemory/region/x/register"),
        ("GET", "/triton/v2/logging"),
        ("DELETE", "/v1/models"),
        ("PUT", "/v1/chat/completions"),
    ],
)
def test_everything_else_is_not_found(fleet: Fleet, method: str, path: str) -> None:
    before = [len(server.requests) for server in fleet.models.values()]
    assert code(fleet.request(method, path, "{}" if method == "POST" else None)) == (404, "not_found")
    assert [len(server.requests) for server in fleet.models.values()] == before


def test_triton_is_reached_below_the_name_of_the_deployment(fleet: Fleet) -> None:
    path = "/triton/v2/models/ensemble/generate"
    assert fleet.request("POST", path, '{"text_input": "x", "max_tokens": 2}').status_code == 200
    assert fleet.request("GET", "/triton/v2/health/ready").status_code == 200
    assert fleet.request("GET", "/triton/v2/models/ensemble/ready").status_code == 200
    assert fleet.request("POST", "/triton/v2/models/ensemble/infer", b"\x00\x01").status_code == 200
    served = [entry for host in fleet.HOSTS for entry in fleet.models[host, "triton"].requests]
    assert {entry["path"] for entry in served} == {"/v2/models/ensemble/generate", "/v2/models/ensemble/infer"}
    # A name in the wrong API is no route.
    assert code(fleet.request("POST", "/chat/v2/models/ensemble/generate", "{}")) == (404, "model_not_found")
    assert code(fleet.chat('{"model": "triton"}')) == (404, "model_not_found")


LONG = "b" * 90_000
ACCEPTED = [
    '{"model": "chat"}',
    ' \n{"model":"chat","max_tokens":null,"stream":null,"n":null}\t',
    f'{{"prompt": "{LONG}", "model": "chat"}}',
    '{"model": "chat", "messages": [{"content": "\\u00e9\\ud83d\\ude00\\n \\"}", "n": 7, "n": 8}], "max_tokens": 1}',
    '{"model": "chat", "a": [1, -2.5e+7, true, {}, [], ""], "max_completion_tokens": 5, "max_tokens": 5}',
]
REFUSED = {
    '{"model": "chat", "max_tokens": 1e5}': "max_tokens",
    '{"model": "chat", "max_tokens": 1, "max_tokens": 100000}': "more than once",
    '{"max_tokens": 1, "model": "chat", "model": "chat"}': "more than once",
    '{"model": "chat", "max_tokens": -90}': "max_tokens",
    '{"model": "chat", "max_tokens": 0}': "max_tokens",
    '{"model": "chat", "max_tokens": 01}': "comma",
    '{"model": "chat", "max_tokens": 5.0}': "max_tokens",
    '{"model": "chat", "max_tokens": "5"}': "max_tokens",
    '{"model": "chat", "max_tokens": true}': "max_tokens",
    '{"model": "chat", "max_tokens": 99999999999999999999}': "max_tokens",
    '{"model": "chat", "max_completion_tokens": [1]}': "max_completion_tokens",
    '{"model": "chat", "n": 0}': "n must be",
    '{"model": "chat", "best_of": 1.5}': "best_of",
    '{"model": "chat", "stream": "yes"}': "stream",
    '{"m\\u006fdel": "chat"}': "escape",
    '{"model": "ch\\u0061t"}': "model must be a string",
    '{"model": 5}': "model must be a string",
    '{"model": ["chat"]}': "model must be a string",
    '{"model": "chat"} {}': "after",
    '{"model": "chat",}': "key",
    '{"model": "chat" "n": 1}': "comma",
    '{model: "chat"}': "key",
    "{'model': 'chat'}": "key",
    '{"model": "chat", "a": NaN}': "unexpected",
    '{"model": "chat", "a": "\x01"}': "control",
    '{"model": "chat", "a": "\\x"}': "escape",
    '{"model": "chat", "a": "\\u12g4"}': "escape",
    '{"model": "chat", "a": "': "does not end",
    '\ufeff{"model": "chat"}': "not a JSON object",
    "": "not a JSON object",
    "[]": "not a JSON object",
    '"chat"': "not a JSON object",
    '{"a":' * 200 + "1" + "}" * 200: "nested",
    '{"model": "chat", "n": 1000000000, "prompt": ["a", "b"]}': "n and the number of prompts",
}


@pytest.mark.parametrize("text", ACCEPTED, ids=range(len(ACCEPTED)))
def test_valid_bodies_reach_the_server_unchanged(fleet: Fleet, text: str) -> None:
    assert fleet.chat(text).status_code == 200
    sent = [
        entry for host in fleet.HOSTS for entry in fleet.models[host, "chat"].requests if entry["text"] == text.encode()
    ]
    assert len(sent) == 1
    assert "authorization" not in sent[0]["headers"] and sent[0]["headers"]["x-request-id"]


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_bodies_that_can_be_read_in_two_ways_are_refused(fleet: Fleet, text: str) -> None:
    response = fleet.chat(text.encode())
    assert code(response) == (400, "invalid_body")
    assert REFUSED[text] in response.json()["error"]["message"]


def test_a_body_that_is_not_utf_8_is_refused(fleet: Fleet) -> None:
    assert code(fleet.chat(b'{"model": "\xff"}')) == (400, "invalid_body")


def test_the_longest_body_is_routed_whatever_the_order_of_its_keys(fleet: Fleet) -> None:
    text = '{{"prompt": "{}", "model": "chat", "max_tokens": 2}}'
    longest = text.format("b" * (BODY_BYTES - len(text) + 4))
    assert len(longest) == BODY_BYTES
    assert fleet.chat(longest).status_code == 200
    assert code(fleet.chat(longest + " ")) == (413, "request_too_large")


def test_bodies_without_an_announced_length_have_the_same_limit(fleet: Fleet) -> None:
    assert fleet.chat(iter([b'{"model": ', b'"chat"}'])).status_code == 200  # type: ignore[arg-type]
    assert code(fleet.chat(b"x" * 1000 for _number in range(BODY_BYTES // 1000 + 100))) == (413, "request_too_large")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, CEILING),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 9}, 9),
        ({"max_tokens": CEILING * 9}, CEILING),
        ({"max_tokens": 7, "n": 3}, 21),
        ({"max_tokens": 7, "n": 3, "best_of": 4}, 28),
        ({"max_tokens": 7, "prompt": ["a", "b", "c"]}, 21),
        ({"max_tokens": 7, "prompt": [1, 2, 3]}, 7),
        ({"max_tokens": 7, "prompt": [[1, 2], [3]]}, 14),
        ({"max_tokens": 7, "prompt": []}, 7),
    ],
)
def test_a_request_reserves_what_it_allows(fleet: Fleet, body: dict[str, object], tokens: int) -> None:
    secret = key(fleet, tokens_per_minute=1_000_000)
    response = fleet.chat(json.dumps({"model": "chat", **body}), secret)
    assert response.status_code == 200
    wait_for(lambda: fleet.access_log()[-1]["key"] == secret)
    assert int(fleet.access_log()[-1]["tokens_reserved"]) == tokens


def test_tokens_of_a_minute(fleet: Fleet) -> None:
    secret = key(fleet, tokens_per_minute=100)
    answers = [fleet.chat('{"model": "chat", "max_tokens": 40}', secret) for _number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert code(answers[2]) == (429, "too_many_tokens") and int(answers[2].headers["retry-after"]) > 0
    # A refused request costs nothing.
    assert fleet.chat('{"model": "chat", "max_tokens": 20}', secret).status_code == 200
    too_large = fleet.chat('{"model": "chat"}', secret)
    assert code(too_large) == (429, "request_exceeds_budget") and "retry-after" not in too_large.headers


def test_requests_of_a_minute(fleet: Fleet) -> None:
    secret = key(fleet, requests_per_minute=2)
    answers = [fleet.chat('{"model": "chat"}', secret) for _number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert fleet.client(secret).models.list().data


def test_limits_hold_for_requests_at_the_same_time(fleet: Fleet) -> None:
    secret = key(fleet, requests_per_minute=5)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(fleet.chat('{"model": "chat"}', secret).status_code))
        for _number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 5 + [429] * 7


def test_requests_at_once(fleet: Fleet) -> None:
    secret = key(fleet, at_once=1)
    client = fleet.client(secret)
    stream = iter(client.chat.completions.create(model="chat", messages=[], max_tokens=40, stream=True))
    next(stream)
    busy = fleet.chat('{"model": "chat"}', secret)
    assert code(busy) == (429, "too_many_requests_at_once") and busy.headers["retry-after"] == "1"
    assert len(list(stream)) == 39
    wait_for(lambda: fleet.chat('{"model": "chat"}', secret).status_code == 200)


def test_models_of_a_key(fleet: Fleet) -> None:
    chat, triton = key(fleet, models=("chat",)), "sk-triton"
    fleet.set_keys(ApiKey("c", hash_of(chat), models=("chat",)), ApiKey("t", hash_of(triton), models=("triton", "cha")))
    assert [model.id for model in fleet.client(chat).models.list()] == ["chat"]
    assert fleet.client(triton).models.list().data == []
    # Neither learns whether a model that it may not use exists.
    assert code(fleet.chat('{"model": "chat"}', triton)) == (404, "model_not_found")
    assert code(fleet.request("POST", "/triton/v2/models/m/generate", "{}", chat)) == (404, "model_not_found")
    assert fleet.request("POST", "/triton/v2/models/m/generate", "{}", triton).status_code == 200


def test_expired_and_revoked_keys(fleet: Fleet) -> None:
    assert code(fleet.chat("{}", key(fleet, expires="2020-01-01"))) == (401, "expired_api_key")
    secret = key(fleet, expires="2100-01-01")
    assert fleet.chat('{"model": "chat"}', secret).status_code == 200
    fleet.set_keys()
    assert code(fleet.chat('{"model": "chat"}', secret)) == (401, "invalid_api_key")


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic sk-unlimited", "Bearer sk-unlimited x"])
def test_other_authorization_is_refused(fleet: Fleet, value: str) -> None:
    response = fleet.request("GET", "/v1/models", Authorization=value)
    assert code(response) == (401, "invalid_api_key")


def test_keys_change_without_cutting_streams(fleet: Fleet) -> None:
    with fleet.streams(8, 40):
        for number in range(20):
            secret = key(fleet, requests_per_minute=number)
            assert fleet.request("GET", "/v1/models", key=secret).status_code == 200
        fleet.set_keys()


def test_the_log_names_the_key_but_never_shows_key_prompt_or_answer(fleet: Fleet) -> None:
    secret = key(fleet)
    answer = fleet.chat('{"model": "chat", "prompt": "CANARY-PROMPT", "stream": true}', secret)
    refused = fleet.chat('{"model": "CANARY\\n\\"}', secret)
    raw(fleet, b'GET /v1/x"y\\%0a HTTP/1.0\r\n\r\n')
    wait_for(lambda: any(entry["path"] == '/v1/x"y\\%0a' for entry in fleet.access_log()))
    entries = [entry for entry in fleet.access_log() if entry["key"] == secret]
    assert entries[0]["model"] == "chat" and entries[0]["status"] == 200 and entries[0]["server"].startswith("chat/gpu")
    assert entries[0]["stream"] == "true"
    assert [entry["id"] for entry in entries] == [each.headers["x-request-id"] for each in (answer, refused)]
    log = fleet.gateway.log.read_text()
    assert "CANARY-PROMPT" not in log and fleet.KEY not in log and hash_of(secret) not in log


def raw(fleet: Fleet, *parts: bytes, pause: float = 0.0) -> bytes:
    """What the gateway answers to these bytes.

    It may answer, and close, before all of them were sent.
    """
    context = fleet.context()
    with socket.create_connection(("localhost", fleet.port)) as plain, context.wrap_socket(
        plain, server_hostname="localhost"
    ) as connection:
        connection.settimeout(20)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        answer = b""
        while True:
            try:
                more = connection.recv(65536)
            except (ConnectionResetError, ssl.SSLError):
                more = b""
            answer += more
            if not more:
                return answer


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sk-unlimited\r\n"
BODY = b'{"model": "chat"}'


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"Content-Length: 17\r\nContent-Length: 5\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 17\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n" + BODY,
        HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
        HEAD + b"Content-Length : 17\r\n\r\n" + BODY,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + BODY,
        HEAD + b"X: 1\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01nonsense\r\n\r\n",
    ],
    ids=range(7),
)
def test_malformed_requests_are_refused(fleet: Fleet, request_: bytes) -> None:
    before = sum(len(server.requests) for server in fleet.models.values())
    answer = raw(fleet, request_)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer[:200]
    assert sum(len(server.requests) for server in fleet.models.values()) == before


def test_long_headers_are_refused(fleet: Fleet) -> None:
    answer = raw(fleet, HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ") and b'"headers_too_large"' in answer


def test_a_smuggled_request_is_not_passed_on(fleet: Fleet) -> None:
    """With both lengths the chunks count, and what follows is a request of its own, without a key."""
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(fleet, HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ") and b" 200 " not in answer


@pytest.mark.long
@pytest.mark.parametrize(
    "parts", [[b"POST /v1/chat"], [HEAD], [HEAD + b"Content-Length: 99\r\n\r\n{"]], ids=["line", "headers", "body"]
)
def test_slow_clients_are_cut_off(fleet: Fleet, parts: list[bytes]) -> None:
    assert raw(fleet, *parts).startswith(b"HTTP/1.1 408 ")


@pytest.mark.long
def test_a_client_may_wait_longer_than_it_may_be_silent(fleet: Fleet) -> None:
    """The first token comes after longer than the client's time limit, and so does the next one."""
    server = fleet.models["gpu1", "chat"]
    fleet.gateway.runtime.change("set server chat/gpu2:chat state drain")
    server.token_seconds = 5.0
    try:
        stream = fleet.client().chat.completions.create(model="chat", messages=[], max_tokens=2, stream=True)
        assert len(list(stream)) == 2
        server.wait_seconds = 5.0
        assert fleet.chat('{"model": "chat", "max_tokens": 1}').status_code == 200
    finally:
        server.token_seconds, server.wait_seconds = TOKEN_SECONDS, 0.0
        fleet.gateway.runtime.change("set server chat/gpu2:chat state ready")


def test_a_huge_body_is_refused_before_it_has_arrived(fleet: Fleet) -> None:
    answer = raw(fleet, HEAD + b"Content-Length: 1073741824\r\n\r\n", b"x" * (BODY_BYTES + 65536))
    assert answer.startswith(b"HTTP/1.1 413 ") and b'"request_too_large"' in answer


def test_a_client_that_still_sends_reads_why_it_is_refused(fleet: Fleet) -> None:
    body = [b"x" * BODY_BYTES] * 4
    answer = raw(fleet, HEAD + b"Content-Length: 1073741824\r\n\r\n", *body, pause=0.2)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_plain_http_is_not_served(fleet: Fleet) -> None:
    with socket.create_connection(("localhost", fleet.port)) as plain:
        plain.settimeout(20)
        plain.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in plain.recv(65536)


def wrong_name(fleet: Fleet) -> None:
    """The client notices: the certificate is not for the name that it asks for."""
    with socket.create_connection(("localhost", fleet.port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        fleet.context().wrap_socket(plain, server_hostname="other.example.com")


def test_a_wrong_name_is_refused_by_the_client(fleet: Fleet) -> None:
    wrong_name(fleet)
    assert fleet.chat('{"model": "chat"}').status_code == 200


@pytest.mark.long
def test_bad_input_cuts_no_stream(fleet: Fleet) -> None:
    """All kinds of it, while others use the gateway."""
    with fleet.streams(8, 150):
        statuses = {fleet.chat(text.encode()).status_code for text in REFUSED}
        shapes = [
            HEAD + b"Content-Length: 17\r\nContent-Length: 5\r\n\r\n" + BODY,
            HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
            HEAD + b"Content-Length: 1073741824\r\n\r\n" + b"x" * (BODY_BYTES + 65536),
            b"POST /v1/chat",
        ]
        for shape in shapes:
            statuses.add(int(raw(fleet, shape).split()[1]))
        wrong_name(fleet)
        assert fleet.chat('{"model": "chat"}').status_code == 200
    assert statuses == {400, 408, 413, 431}


def test_old_tls_is_refused(fleet: Fleet) -> None:
    context = fleet.context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("localhost", fleet.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_metrics_are_for_the_operator(fleet: Fleet) -> None:
    answer = httpx2.get(f"http://127.0.0.1:{fleet.metrics_port('gateway1')}/metrics")
    assert 'haproxy_server_status{proxy="chat",server="gpu1:chat"' in answer.text
    assert httpx2.get(f"http://127.0.0.1:{fleet.metrics_port('gateway1')}/").status_code == 404
