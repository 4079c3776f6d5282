# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completions of several prompts: by the rehearsal's trtllm-serve, and by stubs of it and of Triton."""

from __future__ import annotations

import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._prompts import WARM_UP
from ansible_collections.tritonops.trtllm.plugins.modules import completions_info
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import failure, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.openai_stub import OpenAiStub, refused
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    SMOLLM2,
    needs_model,
    needs_server,
    serve,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import TritonStub, as_events, as_json

PROMPTS = ["The capital of France is", "Water boils at 100 degrees Celsius. It freezes at"]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("version", [pytest.param("1.2.1", marks=pytest.mark.long), "1.3.0rc29"])
@needs_server
@needs_model
def test_the_rehearsed_server_completes(version: str, tmp_path: Path, capsys: Capture) -> None:
    with serve(tmp_path, SMOLLM2, "--max_seq_len", "512", "--max_batch_size", "2", version=version) as server:
        asked = {"api": "openai", "url": server.url, "prompts": PROMPTS, "max_tokens": 8}
        result = run_module(completions_info, capsys, check=True, **asked)
    assert not result.get("failed") and not result["changed"], result
    assert [completed["prompt"] for completed in result["completions"]] == PROMPTS
    first = result["completions"][0]
    assert "Paris" in "".join(first["parts"]) and first["parts"][0] == " Paris"
    assert (first["tokens"], first["counted_by"]) == (8, "usage")
    assert 0 < first["first_token_seconds"] < first["latency_seconds"]
    assert result["load"]["at_once"] == 4 and result["load"]["tokens"] >= 8
    assert result["load"]["tokens_per_second"] == pytest.approx(
        result["load"]["tokens"] / result["load"]["seconds"], abs=0.01
    )


def test_triton_is_asked_greedily_by_stream(capsys: Capture) -> None:
    with TritonStub() as stub:
        inputs = ("text_input", "max_tokens", "stream", "top_k")
        stub.routes["GET /v2/models/bls"] = as_json({"name": "bls", "inputs": [{"name": name} for name in inputs]})
        stub.routes["POST /v2/models/bls/generate_stream"] = as_events({"text_output": "a"}, {"text_output": " b"})
        result = run_module(completions_info, capsys, api="triton", url=stub.url, model="bls", prompts=PROMPTS)
        sent = [body for route, body in stub.requests if route.startswith("POST")]
    assert [completed["parts"] for completed in result["completions"]] == [["a", " b"]] * 2
    # The prompts come one at a time after a first request that is not measured, and then together, in any order.
    texts = [body["text_input"] for body in sent]
    assert texts[:3] == [WARM_UP, *PROMPTS] and sorted(texts[3:]) == sorted(PROMPTS)
    assert sent[1] == {"text_input": PROMPTS[0], "max_tokens": 64, "stream": True, "top_k": 1}


def test_triton_without_streams(capsys: Capture) -> None:
    with TritonStub() as stub:
        asked = {"api": "triton", "url": stub.url, "model": "ensemble", "prompts": PROMPTS, "max_tokens": 4}
        result = run_module(completions_info, capsys, stream=False, **asked)
    first = result["completions"][0]
    assert first["parts"] == [" word0 word1 word2 word3"]
    assert (first["tokens"], first["counted_by"], first["first_token_seconds"]) == (4, "log_probs", None)


def test_several_prompts_are_sent_at_once(capsys: Capture) -> None:
    """No request of the second round is answered before two have arrived."""
    together = threading.Barrier(2, timeout=10)
    with OpenAiStub() as stub:

        def complete(_asked: t.Any) -> t.Any:
            if len([route for route, _body in stub.requests if route.startswith("POST")]) > 3:
                together.wait()
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            events = as_events({"choices": [{"text": "a", "finish_reason": "length"}], "usage": usage})
            return {**events, "parts": [*events["parts"], "data: [DONE]\n\n"]}

        stub.routes["POST /v1/completions"] = complete
        result = run_module(completions_info, capsys, api="openai", url=stub.url, prompts=PROMPTS, at_once=2)
        models = {body["model"] for route, body in stub.requests if route.startswith("POST")}
    assert result["load"]["tokens"] == 2 and result["load"]["at_once"] == 2
    assert models == {"smol"}


def test_what_fails_is_said_with_its_prompt(capsys: Capture) -> None:
    with OpenAiStub() as stub:
        asked = {"api": "openai", "url": stub.url, "prompts": PROMPTS}
        stub.routes["POST /v1/completions"] = lambda _asked: refused("default_max_tokens (-24) must be greater than 0")
        words = f"returned no completion of '{WARM_UP}': default_max_tokens (-24) must be greater than 0"
        assert words in failure(completions_info, capsys, **asked)
        assert "at_once is 0, but must be 1 or more" in failure(completions_info, capsys, at_once=0, **asked)
        stub.routes["GET /v1/models"] = as_json({"object": "list", "data": []})
        assert f"{stub.url} names no model" in failure(completions_info, capsys, **asked)
    assert "model" in failure(completions_info, capsys, api="triton", prompts=PROMPTS)
