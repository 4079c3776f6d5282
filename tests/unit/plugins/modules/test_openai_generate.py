# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a server with the OpenAI API: of the rehearsal's trtllm-serve, and of a stub with faults."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import openai_generate
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.openai_stub import USAGE, WORDS, OpenAiStub
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    SMOLLM2,
    needs_model,
    needs_server,
    serve,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import STALL, as_json

Generate = t.Callable[..., Result]


@pytest.fixture(name="stub")
def fixture_stub() -> t.Iterator[OpenAiStub]:
    with OpenAiStub() as stub:
        yield stub


@pytest.fixture(name="generate")
def fixture_generate(stub: OpenAiStub, capsys: pytest.CaptureFixture[str]) -> Generate:
    def run(**arguments: t.Any) -> Result:
        defaults = {"url": stub.url, "model": "smol", "prompt": "What is it?", "timeout": 5, "max_seq_len": 512}
        return run_module(openai_generate, capsys, **{**defaults, "log_patterns": log_patterns_option(), **arguments})

    return run


def test_an_answer_is_returned_plain_and_streamed(generate: Generate, stub: OpenAiStub) -> None:
    result = generate(pattern="(?i)cloud")
    assert not result.get("failed") and result["text"] == result["streamed"]["text"] == "".join(WORDS)
    assert (result["tokens"], result["usage"], result["finish_reason"]) == (9, USAGE, "stop")
    assert [route for route, _body in stub.requests].count("POST /v1/chat/completions") == 4
    assert len(stub.requests) == 5  # and one long prompt


@pytest.mark.parametrize("version", [pytest.param("1.2.1", marks=pytest.mark.long), "1.3.0rc29"])
@needs_server
@needs_model
def test_the_rehearsed_server_is_proved(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(tmp_path, SMOLLM2, "--max_seq_len", "192", "--max_batch_size", "2", version=version) as server:
        asked = {"url": server.url, "model": SMOLLM2.name, "max_seq_len": 192, "log_patterns": log_patterns_option()}
        prompt = "What is the capital of France? Answer in one word."
        chat = run_module(openai_generate, capsys, prompt=prompt, pattern="Paris", **asked)
        assert not chat.get("failed"), chat
        assert chat["streamed"]["usage"] == chat["usage"] and chat["usage"]["completion_tokens"] == chat["tokens"] > 3
        plain = run_module(openai_generate, capsys, prompt="Once upon a time", chat=False, max_tokens=16, **asked)
        assert not plain.get("failed"), plain
        assert plain["finish_reason"] == "length" and plain["tokens"] == 16
        # The long prompt is only refused because of its length. A server that takes it fills the whole sequence.
        short = run_module(openai_generate, capsys, prompt=prompt, **{**asked, "max_seq_len": 4})
        assert "a prompt that is too long gave status 200" in short["msg"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ["  "]}, "unexpected answer: it is empty"),
        ({"words": ["What is it?"]}, "it only repeats the prompt"),
        ({"words": ["no"] + [" no"] * 8}, "it only repeats 'no'"),
        ({"field": "reasoning_content"}, "it has only reasoning and no content"),
        ({"usage": {}}, "its usage does not add up"),
        ({"usage": {**USAGE, "total_tokens": 9}}, "its usage does not add up"),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 90, "total_tokens": 95}}, "at most 64 requested"),
        ({"streamed": [word + " " for word in WORDS]}, "unexpected stream: the streamed text has other spaces"),
        ({"streamed": ["Fog", *WORDS[1:]]}, "unexpected stream: the streamed text differs"),
        ({"ending": ""}, "the stream ended without [DONE]"),
        (
            {"ending": 'data: {"error": {"message": "KV_CACHE_MANAGER requires 9"}}\n\n'},
            "KV_CACHE_MANAGER",
        ),
        ({"ending": STALL}, "did not respond in time"),
        ({"ending": "data: {\n\n"}, "an event of the stream is not JSON"),
    ],
)
def test_a_faulty_answer_fails(generate: Generate, stub: OpenAiStub, changes: dict[str, t.Any], message: str) -> None:
    for name, value in changes.items():
        setattr(stub, name, value)
    result = generate(timeout=1 if STALL in changes.values() else 30)
    assert result.get("failed") and message in result["msg"]


def test_a_server_that_accepts_mistakes_fails(generate: Generate, stub: OpenAiStub) -> None:
    healthy = stub.chat
    stub.routes["POST /v1/chat/completions"] = lambda asked: healthy(
        {**asked, "no_such_field": 1}
        if not asked
        else {name: value for name, value in asked.items() if name != "no_such_field"}
    )
    assert "an unknown field gave status 200, not 400" in generate()["msg"]
    stub.routes["POST /v1/chat/completions"] = lambda asked: healthy(asked or {"messages": []})
    assert "malformed JSON gave status 200, not 400" in generate()["msg"]


def test_reasoning_is_not_an_answer(generate: Generate, stub: OpenAiStub) -> None:
    stub.words = ["<think>", "So", "</think>", *WORDS]
    assert "its content has reasoning" in generate(reasoning=True)["msg"]
    assert not generate(reasoning=False).get("failed")
    stub.words, stub.field = WORDS, "reasoning_content"
    assert generate(reasoning=True)["msg"].count("no content: allow more tokens") == 1
    assert "a reasoning parser that was not expected" in generate(reasoning=False)["msg"]


def test_an_error_is_reported_in_the_servers_words(generate: Generate, stub: OpenAiStub) -> None:
    error = {"object": "error", "message": "tokenizer.chat_template is not set", "code": 400}
    stub.routes["POST /v1/chat/completions"] = as_json(error, status=400)
    assert "returned no answer: tokenizer.chat_template is not set" in generate()["msg"]


def test_only_the_expected_text_is_accepted(generate: Generate) -> None:
    assert "does not match 'fog'" in generate(pattern="fog")["msg"]
    assert "9 tokens were returned, not 10 or more" in generate(min_tokens=10)["msg"]
    assert "is not a regular expression" in generate(pattern="(")["msg"]
