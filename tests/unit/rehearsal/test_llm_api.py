# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for the LLM API: LLM() with a Hugging Face folder, its arguments and answers."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ConversionError
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import SMOLLM2, needs_model
from google.protobuf import text_format
from tensorrt_llm import LLM, RequestOutput, SamplingParams
from tensorrt_llm.llm_args import LlmArgs
from tritonclient.grpc.model_config_pb2 import ModelConfig
from trtllm_cpu.generation import RequestError
from trtllm_cpu.network import Chunk

PROJECT = Path(__file__).parents[3]
TEMPLATE = PROJECT / "rehearsal/backend/all_models/llmapi/tensorrt_llm"
REFERENCE = PROJECT / "rehearsal/reference/smollm2-135m-instruct.json"
PROMPT = "Hello"


@pytest.fixture
def folder(snapshot: Callable[..., Path], tokenizer_in: Callable[[Path], Path]) -> Path:
    return tokenizer_in(snapshot(vocab_size=258))


@pytest.fixture
def llm(folder: Path) -> Iterator[LLM]:
    llm = LLM(folder)
    yield llm
    llm.shutdown()


def answers(llm: LLM, *prompts: str, streaming: bool = False, **params: Any) -> list[list[RequestOutput]]:
    """The events for every prompt; all are requested at once."""

    async def one(prompt: str) -> list[RequestOutput]:
        events = llm.generate_async(prompt, SamplingParams(**params), streaming)
        return [copy_outputs(event) async for event in events]

    async def every() -> list[list[RequestOutput]]:
        return list(await asyncio.gather(*map(one, prompts)))

    return asyncio.run(every())


def copy_outputs(event: RequestOutput) -> RequestOutput:
    kept = copy.copy(event)
    kept.outputs = copy.deepcopy(event.outputs)
    return kept


def answer(llm: LLM, **params: Any) -> Any:
    [[event]] = answers(llm, PROMPT, **params)
    return event.outputs[0]


def greedy(llm: LLM, count: int) -> list[int]:
    """The next tokens of the network, each calculated from the whole text."""
    network = llm.executor._generator._network
    tokens = llm.tokenizer.encode(PROMPT, add_special_tokens=True)
    for _step in range(count):
        [logits] = network.step([Chunk(-1, tokens)])
        network.step([], forgotten=[-1])
        tokens.append(int(logits.argmax()))
    return tokens[-count:]


@needs_model
def test_a_real_model_answers_with_the_reference_tokens() -> None:
    recorded = json.loads(REFERENCE.read_text(encoding="utf-8"))["completions"]
    completions = [recorded["tutorial"], recorded["short_chat"]]
    llm = LLM(SMOLLM2, backend="pytorch")
    found = answers(llm, *(completion["prompt"] for completion in completions), max_tokens=8)
    llm.shutdown()
    for [event], completion in zip(found, completions, strict=True):
        expected = [token for token in completion["output_ids"][:8] if token not in llm.end_ids]
        assert event.outputs[0].token_ids == expected
        assert event.prompt_token_ids == completion["input_ids"]


def test_an_answer_is_greedy_and_has_a_finish_reason(llm: LLM) -> None:
    output = answer(llm, max_tokens=6)
    assert output.token_ids == greedy(llm, 6)
    assert output.text == llm.tokenizer.decode(output.token_ids, skip_special_tokens=True)
    assert (output.finish_reason, output.stop_reason) == ("length", None)
    assert output.cumulative_logprob < 0


def test_the_prompt_is_repeated_on_request(llm: LLM) -> None:
    alone = answer(llm, max_tokens=4).text
    assert answer(llm, max_tokens=4, exclude_input_from_output=False).text == PROMPT + alone


def test_each_event_of_a_stream_adds_a_token(llm: LLM) -> None:
    [events] = answers(llm, PROMPT, streaming=True, max_tokens=5, exclude_input_from_output=False)
    tokens = greedy(llm, 5)
    assert [event.outputs[0].token_ids for event in events] == [tokens[: count + 1] for count in range(5)]
    assert [event.finished for event in events] == [False] * 4 + [True]
    assert events[-1].outputs[0].text == answer(llm, max_tokens=5).text


def stop_text(llm: LLM) -> tuple[str, int]:
    """The text of one token in the answer, and the number of tokens before it."""
    texts = [llm.tokenizer.decode([token], skip_special_tokens=False) for token in greedy(llm, 12)]
    return next((text, place) for place, text in enumerate(texts) if text.isascii() and text and place > 0)


def test_a_stop_word_ends_an_answer_and_is_omitted(llm: LLM) -> None:
    text, place = stop_text(llm)
    output = answer(llm, max_tokens=12, stop=["no such thing", text])
    first = greedy(llm, 12).index(greedy(llm, 12)[place])
    assert (output.finish_reason, output.stop_reason) == ("stop", text)
    assert output.token_ids == greedy(llm, 12)[:first]
    kept = answer(llm, max_tokens=12, stop=text, include_stop_str_in_output=True)
    assert kept.token_ids == greedy(llm, 12)[: first + 1]


def test_end_tokens_of_the_generation_config_end_an_answer(folder: Path) -> None:
    llm = LLM(folder)
    second = greedy(llm, 12)[1]
    llm.shutdown()
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [256, second]}), encoding="utf-8")
    llm = LLM(folder)
    output = answer(llm, max_tokens=12)
    assert (output.finish_reason, output.stop_reason) == ("stop", second)
    assert output.token_ids == greedy(llm, 12)[: greedy(llm, 12).index(second)]
    assert answer(llm, max_tokens=12, ignore_eos=True).token_ids == greedy(llm, 12)
    llm.shutdown()


def test_sampling_is_reproducible_with_a_seed(llm: LLM) -> None:
    drawn = [answer(llm, max_tokens=8, temperature=3.0, seed=seed).token_ids for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert answer(llm, max_tokens=8, temperature=0.0).token_ids == greedy(llm, 8)
    assert answer(llm, max_tokens=8, temperature=3.0, top_k=1).token_ids == greedy(llm, 8)


def test_an_aborted_request_ends_with_an_error(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    network, aborted = llm.executor._generator._network, threading.Event()
    step = network.step

    def held(chunks: Sequence[Chunk], forgotten: Sequence[int] = ()) -> Any:
        # tokens after the first one wait, because otherwise the answer may be complete before the abort
        assert all(len(chunk.tokens) > 1 for chunk in chunks) or aborted.wait(timeout=60)
        return step(chunks, forgotten)

    async def ask() -> None:
        result = llm.generate_async(PROMPT, SamplingParams(max_tokens=50), streaming=True)
        async for _event in result:
            result.abort()
            aborted.set()

    monkeypatch.setattr(network, "step", held)
    with pytest.raises(RequestError, match="cancelled"):
        asyncio.run(ask())


def test_a_prompt_that_does_not_fit_is_refused(folder: Path) -> None:
    llm = LLM(folder, max_seq_len=8)
    with pytest.raises(RequestError, match=r"Prompt length \(9\) exceeds maximum input length \(7\)"):
        answers(llm, "123456789")
    assert len(answer(llm, max_tokens=50).token_ids) == 3
    llm.shutdown()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"top_p": 1.5, "temperature": -1}, r"require 0 <= top_p <= 1, got top_p=1.5; require temperature >= 0"),
        ({"best_of": 2}, "best_of is 2, but this build samples one sequence"),
    ],
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingParams(**params)


def test_arguments_in_the_catalogue_are_known(folder: Path) -> None:
    facts = yaml.safe_load((PROJECT / "catalogue/releases/1.2.1.yml").read_text(encoding="utf-8"))
    given = dict.fromkeys(facts["llmapi"]["model_yaml"])
    del given["triton_config"]
    given |= {"model": str(folder), "kv_cache_config": {"free_gpu_memory_fraction": 0.7}}
    assert LlmArgs.of(given).max_batch_size == 2048


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"kv_cache_free_gpu_mem_fraction": 0.9},
            r"1 validation error .*\nkv_cache_free_gpu_mem_fraction\n  Extra",
        ),
        ({"triton_config": {}, "x": 1}, r"2 validation errors .*\ntriton_config\n  Extra [^\n]*\nx\n  Extra"),
        ({"kv_cache_config": {"fraction": 0.9}}, r"\nkv_cache_config\.fraction\n  Extra inputs are not permitted"),
        ({"tensor_parallel_size": "two"}, r"\ntensor_parallel_size\n  Input should be a valid integer"),
        ({"backend": "tensorrt"}, "backend is 'tensorrt': .* 'pytorch' only"),
        ({"tensor_parallel_size": 2}, "only runs one rank, not tensor_parallel_size 2 x pipeline"),
        ({"pipeline_parallel_size": 2, "dtype": "fp4"}, "pipeline_parallel_size 2 .*; dtype is 'fp4', not one of auto"),
        ({"enable_lora": True}, "enable_lora is an argument of this release but cannot be honoured"),
        ({"max_batch_size": 0}, "max_batch_size must be greater than 0, got 0"),
        ({"model": "/gone"}, "/gone is no folder with a config.json"),
    ],
)
def test_arguments_that_the_real_api_rejects_are_rejected(folder: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LLM(**{"model": folder, **given})


def test_an_architecture_without_a_network_is_refused(alien: Path, tokenizer_in: Callable[[Path], Path]) -> None:
    with pytest.raises(ConversionError, match=r"architectures\[0\] is 'GPT2LMHeadModel'"):
        LLM(tokenizer_in(alien))


def test_the_template_has_the_catalogues_field_and_no_transaction_policy() -> None:
    config = text_format.Parse((TEMPLATE / "config.pbtxt").read_text(encoding="utf-8"), ModelConfig())
    facts = yaml.safe_load((PROJECT / "catalogue/releases/1.2.1.yml").read_text(encoding="utf-8"))["llmapi"]
    assert facts["max_tokens_input"] in [tensor.name for tensor in config.input]
    assert not config.HasField("model_transaction_policy") and config.max_batch_size == 0
    settings = yaml.safe_load((TEMPLATE / "1/model.yaml").read_text(encoding="utf-8"))
    assert settings.pop("triton_config") == {"max_batch_size": 0, "decoupled": False}
    assert set(settings) <= set(facts["model_yaml"])
