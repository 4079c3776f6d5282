# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that the control node reads: recorded facts and config.json, from files and from a hub."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request import _files
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files import (
    InputError,
    facts_from_file,
    read_benchmarks,
    read_facts,
    saved_facts,
    with_config,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, host_of, host_plan, shape_of

FACTS = {"gpus": [{"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960}], "driver_version": "580.95.05"}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 576,
    "intermediate_size": 1536,
    "max_position_embeddings": 8192,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "vocab_size": 49152,
}


def file(folder: Path, content: Any, name: str = "file") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


# --- facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump])
def test_facts_of_several_hosts_are_by_host(tmp_path: Path, form: Any) -> None:
    other = {**FACTS, "processors": 4}
    path = file(tmp_path, form({"hosts": {"one": FACTS, "two": other, "three": FACTS}}))
    assert facts_from_file(path, ["two", "one"]) == {"two": other, "one": FACTS}


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump])
def test_facts_of_one_host_go_for_all(tmp_path: Path, form: Any) -> None:
    assert facts_from_file(file(tmp_path, form(FACTS)), ["one", "two"]) == {"one": FACTS, "two": FACTS}


def test_the_modules_result_is_accepted_as_facts(tmp_path: Path) -> None:
    returned = {"changed": False, "host_facts": {"processors": 8}}
    assert facts_from_file(file(tmp_path, returned, "one"), ["a"]) == {"a": {"processors": 8}}
    assert facts_from_file(file(tmp_path, {"hosts": {"a": returned}}, "many"), ["a"]) == {"a": {"processors": 8}}


@pytest.mark.parametrize("hosts", [{"one": FACTS}, [], None, "one"])
def test_hosts_that_are_not_in_the_file_are_left_out(tmp_path: Path, hosts: Any) -> None:
    assert facts_from_file(file(tmp_path, {"hosts": hosts}), ["two"]) == {}


@pytest.mark.parametrize("content", ["a: [", "\0", "2024-13-45", "'", "{1: 2", "!!python/object:os.system {}"])
def test_a_file_that_is_neither_json_nor_yaml_is_named(tmp_path: Path, content: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(InputError, match=rf"trtllm_host_facts_file = '{path}': cannot be read"):
        facts_from_file(path, ["one"])


@pytest.mark.parametrize("path", ["/no/such/file", "/", "\0", ""])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        facts_from_file(path, ["one"])


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        facts_from_file(str(tmp_path / "file"), ["one"])


def test_what_was_recorded_before_is_by_host(tmp_path: Path) -> None:
    assert saved_facts(None) == saved_facts("") == saved_facts(str(tmp_path / "none")) == {}
    assert saved_facts(file(tmp_path, {"hosts": {"one": FACTS}})) == {"one": FACTS}


@pytest.mark.parametrize("content", [FACTS, {"hosts": ["one"]}, ["one"], "plain text"])
def test_a_file_that_is_no_record_is_not_overwritten(tmp_path: Path, content: Any) -> None:
    with pytest.raises(
        InputError, match=r"trtllm_host_facts_save = .* does not contain facts by host.*use another file"
    ):
        saved_facts(file(tmp_path, content))


def test_a_shape_applies_to_every_host() -> None:
    facts = read_facts(["one", "two"], None, "BM.GPU4.8", CATALOGUE)
    assert list(facts) == ["one", "two"] and len(facts["one"]["gpus"]) == 8
    assert read_facts(["one"], None, None, CATALOGUE) == {}


def test_a_file_of_one_host_applies_to_every_host(tmp_path: Path) -> None:
    assert read_facts(["one"], file(tmp_path, FACTS), None, CATALOGUE) == {"one": FACTS}


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"trtllm_host_shape = 'BM.GPU.4.8': is not .*did you mean BM.GPU4.8\?.*rehearsal"
    ):
        read_facts(["one"], None, "BM.GPU.4.8", CATALOGUE)


# --- config.json ------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """Answers like a hub; `asked` has the requests."""

    asked: ClassVar[list[tuple[str, str | None]]] = []
    sent: ClassVar[int] = 0

    def do_GET(self) -> None:
        token = self.headers.get("Authorization")
        self.asked.append((self.path, token))
        if "garbage" in self.path:
            self.wfile.write(b"this is not HTTP\r\n\r\n")
        elif "gated" in self.path and token != "Bearer secret":
            self.answer(401, b"{}")
        elif "stored" in self.path:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/absent")
            self.end_headers()
        elif "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", self.path.replace("moved", "elsewhere"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "dripping" in self.path:
            self.drip("headers" in self.path)
        elif "endless" in self.path:
            self.end_headers_and_send(itertools.repeat(b" " * (1 << 16), 1000))
        elif "nested" in self.path:
            self.answer(200, (b"[" if "lists" in self.path else b'{"a":') * 100_000)
        elif "absent" in self.path:
            self.answer(404, b"Entry not found")
        else:
            self.answer(200, b"<html>" if "html" in self.path else json.dumps(CONFIG).encode())

    def drip(self, headers: bool) -> None:
        """Each byte arrives in time, but there is no end to them."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " if headers else b"\r\n"))
        self.send_all(b"1" for _number in range(100) if not time.sleep(0.05))

    def end_headers_and_send(self, blocks: Iterable[bytes]) -> None:
        self.send_response(200)
        self.end_headers()
        self.send_all(blocks)

    def send_all(self, blocks: Iterable[bytes]) -> None:
        with contextlib.suppress(OSError):
            for block in blocks:
                self.wfile.write(block)
                Hub.sent += len(block)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log requests."""


@pytest.fixture(name="hub", scope="module")
def fixture_hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def request_to(endpoint: str, repository: str, **model: Any) -> dict[str, Any]:
    return {
        "model": {"repository": repository, "revision": "refs/pr/1", **model},
        "weights": {"endpoint": f"{endpoint}/"},
    }


def test_config_json_is_read_from_the_hub_that_the_weights_come_from(hub: str) -> None:
    request = request_to(hub, "me/tiny")
    completed = with_config(request, None)
    assert Hub.asked[-1] == ("/me/tiny/resolve/refs%2Fpr%2F1/config.json", None)
    assert shape_of(completed["model"]).stored == 134_515_008
    assert "config" not in request["model"]


def test_text_from_the_command_line_can_name_the_hub(hub: str) -> None:
    request = {"model": '{"repository": "me/text", "revision": "main"}', "weights": f'{{"endpoint": "{hub}"}}'}
    assert with_config(request, None)["model"]["config"] == CONFIG


def test_a_fleet_asks_the_hub_once(hub: str) -> None:
    for repository in ("me/shared", "me/absent-for-all"):
        before = len(Hub.asked)
        request = request_to(hub, repository)
        hosts = {name: host_of({}, deployments={"second": request}, **request) for name in "abc"}
        plans = plan_fleet(hosts, CATALOGUE)["hosts"]
        assert len(Hub.asked) == before + 1
        assert plans["a"]["refusals"] == plans["c"]["refusals"] and plans["a"]["refusals"]


def test_the_token_does_not_follow_a_redirect(hub: str, tmp_path: Path) -> None:
    token = file(tmp_path, "secret\n", "token")
    assert with_config(request_to(hub, "me/moved"), token)["model"]["config"] == CONFIG
    assert [given for _path, given in Hub.asked[-2:]] == ["Bearer secret", None]


def test_a_gated_model_requires_the_token(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"401.*trtllm_model.shape"):
        with_config(request_to(hub, "me/gated"), None)
    monkeypatch.setenv("HOME", str(tmp_path))
    file(tmp_path, "secret\n", "token")
    assert with_config(request_to(hub, "me/gated"), "~/token")["model"]["config"] == CONFIG


def test_the_token_is_not_in_messages(hub: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as failure:
        with_config(request_to(hub, "me/absent"), file(tmp_path, "secret"))
    assert "404" in str(failure.value) and "secret" not in str(failure.value)


@pytest.mark.parametrize("repository", ["me/html", "me/garbage"])
def test_an_answer_that_is_no_config_names_the_way_out(hub: str, repository: str) -> None:
    with pytest.raises(InputError, match=r"(?s)the model's shape cannot be read from .*set trtllm_model.shape"):
        with_config(request_to(hub, repository), None)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://a b", "x", "http://[", "http://h:port"])
def test_a_hub_that_cannot_be_asked_names_the_way_out(endpoint: str) -> None:
    with pytest.raises(InputError, match="the model's shape cannot be read from"):
        with_config(request_to(endpoint, "me/tiny"), None)


def test_a_missing_token_file_is_named(hub: str) -> None:
    with pytest.raises(InputError, match="/no/such/token"):
        with_config(request_to(hub, "me/tiny2"), "/no/such/token")


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump])
def test_config_json_can_be_a_file(tmp_path: Path, form: Any) -> None:
    model = {"repository": "me/tiny", "revision": "main", "config": file(tmp_path, form(CONFIG))}
    assert with_config({"model": model}, None)["model"]["config"] == CONFIG
    with pytest.raises(InputError, match="/no/such"):
        with_config({"model": {**model, "config": "/no/such"}}, None)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"model": "mixtral-8x7b"},
        {"model": {"preset": "mixtral-8x7b"}},
        {"model": {"repository": "me/x", "revision": "main", "shape": {}}},
        {"model": {"repository": "me/x", "revision": "main", "config": CONFIG}},
        {"model": {"repository": "me/x"}},
        {"model": {"repository": 1, "revision": []}},
        {"model": {"repository": "me/x", "revision": "main"}, "weights": {"offline": True}},
        {"model": {"repository": "me/x", "revision": "main"}, "weights": {"path": "/srv/x"}},
    ],
)
def test_no_hub_is_asked_without_need(request_: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files.open_url", None)
    assert with_config(request_, None) == request_


def test_an_unreadable_model_shape_is_refused_with_other_problems() -> None:
    request = {"model": {"repository": "me/x", "revision": "main", "config": "/no/such"}, "precision": "int3"}
    plan = host_plan(**request)
    assert [entry["variable"] for entry in plan["refusals"]] == ["trtllm_model.config", "trtllm_precision"]
    named = host_plan(deployments={"small": request})["refusals"]
    assert [entry["variable"] for entry in named] == [
        "trtllm_deployments.small.model.config",
        "trtllm_deployments.small.precision",
    ]
    assert plan["refusals"][0]["value"] == "/no/such"


def test_a_host_to_which_the_hub_redirects_is_named(hub: str) -> None:
    with pytest.raises(
        InputError, match=r"/me/stored/.*config\.json: localhost:\d+ responds HTTP Error 404: Not Found; set"
    ):
        with_config(request_to(hub, "me/stored"), None)


@pytest.mark.parametrize("part", ["body", "headers"])
def test_a_dripping_hub_is_not_waited_for(hub: str, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(_files, "MAX_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"no complete response within 0\.5 s; set trtllm_model\.shape"):
        with_config(request_to(hub, f"me/dripping-{part}"), None)


def test_an_endless_response_is_not_read_to_its_end(hub: str) -> None:
    with pytest.raises(InputError, match="the response has more than 1048576 bytes; set trtllm_model"):
        with_config(request_to(hub, "me/endless"), None)
    assert Hub.sent < 32 << 20


@pytest.mark.parametrize("kind", ["lists", "mappings"])
def test_a_deeply_nested_response_is_refused(hub: str, kind: str) -> None:
    with pytest.raises(InputError, match="recursion"):
        with_config(request_to(hub, f"me/nested-{kind}"), None)


def test_a_deeply_nested_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: .*recursion"):
        facts_from_file(file(tmp_path, "[" * 100_000), ["one"])


# --- benchmarks -------------------------------------------------------------------------------------------------------

ROW = {"at_once": 8, "tokens_per_second": 410.5, "first_token": 0.062, "between_tokens": 0.019}
BENCHMARK = {"prompt_tokens": 512, "answer_tokens": 256, "rows": [ROW]}


def test_benchmarks_are_by_key_and_other_fields_are_ignored(tmp_path: Path) -> None:
    path = file(tmp_path, {"aa": {**BENCHMARK, "tool": "aiperf"}})
    assert read_benchmarks(path) == {"aa": BENCHMARK}
    assert read_benchmarks(None) == {}


def test_a_benchmark_without_a_stream_has_no_times_of_tokens(tmp_path: Path) -> None:
    row = {"at_once": 8, "tokens_per_second": 410.5, "first_token": None, "between_tokens": None}
    given = {**BENCHMARK, "rows": [{name: value for name, value in row.items() if value is not None}]}
    assert read_benchmarks(file(tmp_path, {"aa": given})) == {"aa": {**BENCHMARK, "rows": [row]}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "must contain a mapping"),
        ({"aa": []}, "trtllm_benchmarks.prompt_tokens: must be a whole number"),
        ({"aa": {**BENCHMARK, "rows": {}}}, "trtllm_benchmarks.rows: must be a list"),
        ({"aa": {**BENCHMARK, "rows": ["x"]}}, "trtllm_benchmarks.rows.at_once"),
        ({"aa": {**BENCHMARK, "rows": [{**ROW, "first_token": -1}]}}, "trtllm_benchmarks.rows.first_token"),
        ('{"aa": {"prompt_tokens": 1, "answer_tokens": 1, "rows": [{"tokens_per_second": NaN}]}}', "tokens_per_second"),
        ("{", "cannot be read"),
    ],
)
def test_wrong_benchmarks_are_refused(content: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trtllm_benchmarks") as caught:
        read_benchmarks(file(tmp_path, content))
    assert expected in str(caught.value)
