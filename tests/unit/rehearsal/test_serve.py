# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's trtllm-serve as a process, asked by OpenAI's client: one rank, without MPI."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    PROJECT,
    SMOLLM2,
    Serve,
    needs_model,
    serve,
)
from openai import BadRequestError, OpenAI

RECORDED = json.loads((PROJECT / "rehearsal/reference/smollm2-135m-instruct.json").read_text(encoding="utf-8"))
COMPLETIONS = RECORDED["completions"]
QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
LONG = [{"role": "user", "content": "word " * 400}]
ENDLESS: Any = {"stream": True, "extra_body": {"ignore_eos": True}}
GREEDY: dict[str, Any] = {"temperature": 0, "model": "any"}
CONFIG = """
guided_decoding_backend: xgrammar
return_perf_metrics: true
enable_iter_perf_stats: true
perf_metrics_max_requests: 10
max_num_tokens: 256
"""
# An explicit option takes precedence over max_num_tokens; a sequence of 8192 tokens does not fit into the cache.
LATE_CONFIG = """
return_perf_metrics: true
enable_iter_perf_stats: true
max_num_tokens: 9
kv_cache_config: {max_tokens: 1024}
"""

pytestmark = needs_model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("serve")
    config = folder / "config.yml"
    config.write_text(CONFIG, encoding="utf-8")
    options = ("--config", str(config), "--tool_parser", "qwen3", "--max_batch_size", "2", "--max_seq_len", "512")
    with serve(folder, SMOLLM2, *options) as server:
        yield server


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The latest version."""
    folder = tmp_path_factory.mktemp("late")
    config = folder / "config.yml"
    config.write_text(LATE_CONFIG, encoding="utf-8")
    options = ("--served_model_name", "smol", "--max_num_tokens", "256", "--max_batch_size", "1")
    with serve(folder, SMOLLM2, "--config", str(config), *options, version="1.3.0rc29") as server:
        yield server


@pytest.fixture
def client(server: Serve) -> OpenAI:
    return server.client()


@pytest.mark.parametrize("name", ["tutorial", "code"])
def test_greedy_tokens_are_those_of_transformers(server: Serve, name: str) -> None:
    recorded = COMPLETIONS[name]
    body = {**GREEDY, "prompt": recorded["prompt"], "max_tokens": 16, "detokenize": False}
    answer = server.post("/v1/completions", body).json()
    assert answer["choices"][0]["token_ids"] == recorded["output_ids"][:16]
    assert answer["usage"] == {
        "prompt_tokens": len(recorded["input_ids"]),
        "completion_tokens": 16,
        "total_tokens": len(recorded["input_ids"]) + 16,
    }


def test_a_chat_uses_the_models_template(client: OpenAI, server: Serve) -> None:
    recorded = COMPLETIONS["short_chat"]
    answer = client.chat.completions.create(messages=QUESTION, **GREEDY)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("The capital of France is Paris.", "stop")
    assert answer.usage and answer.usage.prompt_tokens == len(recorded["input_ids"])
    assert answer.model == "any" and [model.id for model in client.models.list()] == [SMOLLM2.name]


def test_a_stream_adds_up_to_the_answer_and_ends_with_the_usage(client: OpenAI) -> None:
    whole = client.chat.completions.create(messages=QUESTION, **GREEDY)
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    first, *inner, last = client.chat.completions.create(messages=QUESTION, **options, **GREEDY)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in inner)
    assert text == whole.choices[0].message.content
    assert inner[-1].choices[0].finish_reason == "stop"
    assert last.choices == [] and last.usage == whole.usage


def test_a_stream_without_options_has_no_usage_and_ends_with_done(server: Serve) -> None:
    body = {**GREEDY, "prompt": "Once", "max_tokens": 2, "stream": True}
    answer = server.post("/v1/completions", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert len(chunks) == 2 and all("usage" not in chunk for chunk in chunks)


def test_stop_words_end_the_answer_and_are_removed(client: OpenAI) -> None:
    answer = client.chat.completions.create(messages=QUESTION, stop=[" Paris"], **GREEDY)
    [choice] = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("The capital of France is", "stop")
    kept = client.chat.completions.create(
        messages=QUESTION, stop=" Paris", extra_body={"include_stop_str_in_output": True}, **GREEDY
    )
    assert kept.choices[0].message.content == "The capital of France is Paris"


def test_a_seed_repeats_a_sampled_answer(client: OpenAI) -> None:
    def sampled(seed: int) -> str:
        answer = client.completions.create(model="any", prompt="Once", max_tokens=8, temperature=1.5, seed=seed)
        return answer.choices[0].text

    assert sampled(1) == sampled(1)
    assert len({sampled(seed) for seed in (1, 2, 3)}) > 1


def test_several_choices_differ(client: OpenAI) -> None:
    answer = client.completions.create(model="any", prompt="Once", max_tokens=8, temperature=1.5, n=3, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.text for choice in answer.choices}) > 1
    assert answer.usage and (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 24)


def test_log_probabilities_are_of_the_chosen_and_the_most_likely_tokens(client: OpenAI) -> None:
    chat = client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=2, **GREEDY)
    assert chat.choices[0].logprobs and chat.choices[0].logprobs.content
    rows = chat.choices[0].logprobs.content
    assert "".join(row.token for row in rows) == "The capital of France is Paris."
    assert all(row.logprob == row.top_logprobs[0].logprob and len(row.top_logprobs) == 2 for row in rows)
    text = client.completions.create(prompt="Once", max_tokens=3, logprobs=1, **GREEDY).choices[0]
    assert text.logprobs and text.logprobs.tokens and "".join(text.logprobs.tokens) == text.text
    assert text.logprobs.text_offset == [0, *[len("".join(text.logprobs.tokens[:end])) for end in (1, 2)]]


def test_a_bias_forbids_a_token(server: Serve, client: OpenAI) -> None:
    paris = COMPLETIONS["short_chat"]["output_ids"][5]
    answer = client.chat.completions.create(messages=QUESTION, logit_bias={str(paris): -100}, max_tokens=8, **GREEDY)
    assert "Paris" not in (answer.choices[0].message.content or "")


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}, "population": {"type": "integer", "maximum": 99}},
    "required": ["city", "population"],
    "additionalProperties": False,
}


def test_a_schema_decides_the_form_of_an_answer(client: OpenAI) -> None:
    wanted: Any = {"type": "json_schema", "json_schema": SCHEMA}
    answer = client.chat.completions.create(messages=QUESTION, response_format=wanted, max_tokens=48, **GREEDY)
    found = json.loads(answer.choices[0].message.content or "")
    assert set(found) == {"city", "population"} and isinstance(found["population"], int)


CALL = r'<tool_call>\n\{"name": "weather", "arguments": \{"city": "(Paris|Berlin)"\}\}\n</tool_call>'
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
CALLING: Any = {"extra_body": {"response_format": {"type": "regex", "regex": CALL}}, "tools": TOOLS, **GREEDY}


def test_a_tool_call_is_parsed(client: OpenAI) -> None:
    [choice] = client.chat.completions.create(messages=QUESTION, **CALLING).choices
    assert choice.finish_reason == "tool_calls" and not choice.message.content
    assert choice.message.tool_calls
    [call] = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})


def test_a_tool_call_is_streamed(client: OpenAI) -> None:
    chunks = [*client.chat.completions.create(messages=QUESTION, stream=True, **CALLING)]
    deltas = [chunk.choices[0].delta for chunk in chunks]
    [call] = [call for delta in deltas for call in delta.tool_calls or []]
    assert call.function and call.function.arguments == '{"city": "Paris"}'
    assert "".join(delta.content or "" for delta in deltas) == ""
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_without_a_choice_of_tools_the_text_stays(client: OpenAI) -> None:
    [choice] = client.chat.completions.create(messages=QUESTION, tool_choice="none", **CALLING).choices
    assert "<tool_call>" in (choice.message.content or "") and not choice.message.tool_calls


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"nonsense": 1}, "nonsense\n  Extra inputs are not permitted"),
        ({"parallel_tool_calls": True}, "Extra inputs are not permitted"),
        ({"priority": 1.0}, "Extra inputs are not permitted"),
        ({"max_tokens": 3, "max_completion_tokens": 3}, "Extra inputs are not permitted"),
        ({"tool_choice": "required", "tools": TOOLS}, "tool_choice"),
        ({"top_logprobs": 2}, "logprobs must be true"),
        ({"stream_options": {"include_usage": True}}, "Stream options can only be defined when stream is true"),
        ({"n": 2}, "Greedy decoding in the LLM API does not allow multiple returns"),
        ({"response_format": {"type": "yaml"}}, "Unsupported response format: yaml"),
        ({"response_format": {"type": "json_schema"}}, "The 'json_schema' field is required"),
        ({"logit_bias": {"x": 1}}, "Invalid logit_bias key 'x'"),
        ({"messages": LONG}, "query length (0) should not exceed max_num_tokens (256)"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "needs a multimodal model"),
    ],
)
def test_an_error_has_upstreams_status_and_body(server: Serve, body: dict[str, Any], words: str) -> None:
    answer = server.post("/v1/chat/completions", {"messages": QUESTION, **GREEDY, **body})
    found = answer.json()
    assert words in found.pop("message")
    assert answer.status_code == 400
    assert found == {"object": "error", "type": "BadRequestError", "param": None, "code": 400}


@pytest.mark.parametrize("body", ['{"model": "any",', "", "[]"])
def test_a_malformed_body_is_an_error(server: Serve, body: str) -> None:
    answer = server.post("/v1/chat/completions", body)
    assert answer.status_code == 400 and answer.json()["object"] == "error"


@pytest.mark.long
def test_a_suffix_and_a_prompt_of_the_whole_length_are_refused(client: OpenAI, late: Serve) -> None:
    with pytest.raises(BadRequestError, match="suffix is not supported"):
        client.completions.create(prompt="Once", suffix="x", **GREEDY)
    with pytest.raises(BadRequestError, match=r"The prompt length \(300\) should not exceed max_num_tokens \(256\)"):
        late.client().completions.create(prompt=[1] * 300, **GREEDY)


def test_health_and_version(server: Serve) -> None:
    assert (server.get("/health").status_code, server.get("/health").text) == (200, "")
    assert server.get("/health_generate").text == "Generation health check OK"
    assert server.get("/version").json() == {"version": "1.2.1"}
    assert server.get("/energy_metrics").status_code == 404


def test_metrics_have_the_versions_names(server: Serve, late: Serve) -> None:
    for one in (server, late):
        one.get("/metrics")
        one.post("/v1/completions", {**GREEDY, "prompt": "Once", "max_tokens": 3})
    text = server.get("/prometheus/metrics").text
    labels = 'engine_type="undefined",finished_reason="length",model_name="undefined"'
    assert f"\nrequest_success_total{{{labels}}}" in text and "trtllm_" not in text
    text = late.get("/prometheus/metrics").text
    labels = 'engine_type="pytorch",finished_reason="length",model_name="smol"'
    assert f"\ntrtllm_request_success_total{{{labels}}}" in text
    assert "\ntrtllm_kv_cache_utilization{" in text and "\ntrtllm_prompt_tokens_total{" in text
    iterations = server.get("/metrics").json()
    assert len(iterations) == 3 and iterations[0]["kvCacheStats"]["usedNumBlocks"] == 1
    assert server.get("/metrics").json() == []
    assert server.get("/perf_metrics").json()


def test_a_late_version_differs(late: Serve) -> None:
    body = {**GREEDY, "messages": QUESTION}
    answer = late.post("/v1/chat/completions", {**body, "nonsense": 1})
    assert answer.status_code == 400 and set(answer.json()) == {"error"}
    answer = late.post("/v1/chat/completions", {**body, "chat_template": "x"})
    assert "--allow_request_chat_template" in answer.json()["message"]
    assert [model.id for model in late.client().models.list()] == ["smol"]


def test_an_aborted_stream_frees_its_slot(late: Serve) -> None:
    """The server has one slot."""
    for _attempt in range(3):
        stream = late.client().completions.create(prompt="Once", max_tokens=1000, **ENDLESS, **GREEDY)
        next(iter(stream))
        stream.close()
    answer = late.client().with_options(timeout=12).completions.create(prompt="Once", max_tokens=2, **GREEDY)
    assert answer.choices[0].finish_reason == "length"


def test_a_client_that_goes_away_frees_its_slot(late: Serve) -> None:
    body = {**GREEDY, "prompt": "Once", "max_tokens": 1000, "ignore_eos": True}
    with pytest.raises(requests.Timeout):
        requests.post(f"{late.url}/v1/completions", json=body, timeout=0.5)
    answer = late.client().with_options(timeout=12).completions.create(prompt="Once", max_tokens=2, **GREEDY)
    assert answer.choices[0].finish_reason == "length"


def test_a_sequence_that_the_cache_cannot_hold_fails_after_the_status(late: Serve) -> None:
    body = {**GREEDY, "messages": QUESTION, "stream": True}
    answer = late.post("/v1/chat/completions", body)
    *chunks, error, done, _end = answer.text.split("\n\n")
    assert (answer.status_code, len(chunks), done) == (200, 1, "data: [DONE]")
    found = json.loads(error.removeprefix("data: "))["error"]
    assert found["type"] == "server_error"
    assert found["message"].startswith("KV_CACHE_MANAGER requires 256 KV cache blocks, which exceeds its GPU-primary")
    assert late.post("/v1/chat/completions", {**body, "stream": False}).status_code == 400
    assert 'request_error_total{engine_type="pytorch",http_code="500"' in late.get("/prometheus/metrics").text


def test_requests_share_the_batch(client: OpenAI) -> None:
    """The second of two slots answers while the first is busy."""
    stream = client.completions.create(prompt="Once", max_tokens=400, **ENDLESS, **GREEDY)
    next(iter(stream))
    assert client.completions.create(prompt="Once", max_tokens=2, **GREEDY).choices[0].text
    stream.close()


@pytest.mark.long
def test_streams_end_before_the_server_does(tmp_path: Path) -> None:
    with serve(tmp_path, SMOLLM2) as server:
        stream = server.client().completions.create(prompt="Once", max_tokens=24, **ENDLESS, **GREEDY)
        chunks = [next(iter(stream))]
        server.process.send_signal(signal.SIGTERM)
        chunks += stream
        assert (len(chunks), chunks[-1].choices[0].finish_reason) == (24, "length")
        assert server.process.wait(timeout=60) in (0, -signal.SIGTERM)
