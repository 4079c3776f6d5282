# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One completion, the number of its tokens, and completions that are refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _completion
from ansible_collections.tritonops.trtllm.plugins.modules import triton_generate
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.tests.unit.support.clock import Clock
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import (
    HANG_UP,
    RECORDED,
    STALL,
    TritonStub,
    as_events,
    as_json,
    noted_timeouts,
)

PROMPT = "What is cloud computing?"
GENERATE = "POST /v2/models/ensemble/generate"
STREAM = "POST /v2/models/ensemble/generate_stream"
METADATA = "GET /v2/models/ensemble"


@pytest.fixture(name="stub")
def fixture_stub() -> t.Iterator[TritonStub]:
    with TritonStub() as stub:
        yield stub


@pytest.fixture(name="generate")
def fixture_generate(
    stub: TritonStub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> t.Callable[..., Result]:
    def run(**arguments: t.Any) -> Result:
        # Two seconds for each event, and in total.
        monkeypatch.setattr(_completion, "time", Clock(tick=2))
        defaults = {"url": stub.url, "prompt": PROMPT, "timeout": 60, "log_patterns": log_patterns_option()}
        return run_module(triton_generate, capsys, **{**defaults, **arguments})

    return run


def inputs(*names: str) -> dict[str, t.Any]:
    return as_json({"name": "ensemble", "inputs": [{"name": name} for name in names]})


def test_one_completion(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    result = generate(max_tokens=4, pattern="word[23]")
    assert not result.get("failed") and not result["changed"]
    assert result["text"] == " word0 word1 word2 word3"
    assert (result["tokens"], result["counted_by"], result["events"]) == (4, "log_probs", 1)
    assert (result["latency_seconds"], result["tokens_per_second"]) == (4, 1)
    assert result["first_token_seconds"] is None
    assert result["response"]["model_name"] == "ensemble"
    # The fields of the tutorial's curl command, and a field to count tokens.
    assert stub.requests[-1] == (
        GENERATE,
        {"text_input": PROMPT, "max_tokens": 4, "bad_words": "", "stop_words": "", "return_log_probs": True},
    )


def test_check_mode_also_requests_a_completion(generate: t.Callable[..., Result]) -> None:
    assert generate(check=True)["tokens"] == 4


def test_a_single_log_prob_comes_without_a_list(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[GENERATE] = RECORDED["generate_one_token"]
    assert generate()["tokens"] == 1


def test_a_stream(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    result = generate(stream=True)
    assert result["text"] == " word0 word1 word2"
    assert (result["tokens"], result["counted_by"], result["events"]) == (3, "log_probs", 3)
    assert (result["first_token_seconds"], result["latency_seconds"]) == (2, 4)
    assert stub.requests[-1][0] == STREAM and stub.requests[-1][1]["stream"] is True


def test_a_stream_that_repeats_the_text(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[STREAM] = as_events(
        {"text_output": "Cloud", "output_log_probs": -0.1},
        {"text_output": "Cloud comp", "output_log_probs": [-0.1, -0.2]},
        {"text_output": "Cloud computing", "output_log_probs": [-0.1, -0.2, -0.3]},
        # TensorRT-LLM 1.2.1 ends a stream so if the last token is the end token.
        {"text_output": "Cloud computing", "output_log_probs": [-0.1, -0.2, -0.3]},
    )
    result = generate(stream=True)
    assert (result["text"], result["tokens"], result["events"]) == ("Cloud computing", 3, 4)


def test_equal_log_probs_do_not_mean_repeated_text(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[STREAM] = as_events(*[{"text_output": "ha", "output_log_probs": -0.1}] * 3)
    result = generate(stream=True)
    assert (result["text"], result["tokens"]) == ("hahaha", 3)


def test_events_are_counted_without_log_probs(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[METADATA] = inputs("text_input", "sampling_param_max_tokens", "streaming")
    stub.routes[STREAM] = as_events({"text_output": "a"}, {"text_output": "b"}, {"text_output": ""})
    result = generate(stream=True, max_tokens_field="sampling_param_max_tokens")
    assert (result["text"], result["tokens"], result["counted_by"], result["events"]) == ("ab", 2, "events", 3)
    assert stub.requests[-1][1] == {"text_input": PROMPT, "sampling_param_max_tokens": 64, "streaming": True}


def test_words_are_counted_as_a_last_resort(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[METADATA] = inputs("text_input", "max_tokens")
    stub.routes[GENERATE] = as_json({"text_output": f"{PROMPT} It is a thing."})
    result = generate()
    assert (result["tokens"], result["counted_by"], result["tokens_per_second"]) == (4, "words", None)
    stub.routes[GENERATE] = as_json({"text_output": PROMPT})
    assert "it only repeats the prompt; the text is: 'What is cloud computing?'" in generate()["msg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PROMPT, "it only repeats the prompt"),
        (PROMPT + "</s>" * 10, "it only repeats the prompt"),
        ("</s>" * 10, "it only has special tokens"),
        ("!" * 64, "it only repeats '!'"),
        ("Cl\ufffdud", "could not be decoded (U+FFFD)"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_log_probs_prove_no_answer(
    text: str, words: str, stream: bool, stub: TritonStub, generate: t.Callable[..., Result]
) -> None:
    answer = {"text_output": text, "output_log_probs": [-0.5] * 64}
    stub.routes.update({GENERATE: as_json(answer), STREAM: as_events(answer)})
    result = generate(stream=stream)
    assert result["failed"] and words in result["msg"] and result["tokens"] == 64


def test_zeros_count_no_tokens(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[GENERATE] = as_json({"text_output": f"{PROMPT} It is a thing.", "output_log_probs": [0.0] * 64})
    result = generate()
    assert (result["tokens"], result["counted_by"]) == (4, "words")


@pytest.mark.parametrize(("max_tokens", "failed"), [(4, False), (5, True)])
def test_only_a_cut_answer_may_end_within_a_character(
    max_tokens: int, failed: bool, stub: TritonStub, generate: t.Callable[..., Result]
) -> None:
    stub.routes[GENERATE] = as_json({"text_output": "It is a \ufffd", "output_log_probs": [-0.5] * 4})
    assert bool(generate(max_tokens=max_tokens).get("failed")) is failed
    assert bool(generate(parameters={"max_tokens": max_tokens}).get("failed")) is failed


def test_a_repeated_phrase_is_a_warning(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[GENERATE] = as_json({"text_output": PROMPT + " with sums" * 32, "output_log_probs": [0.0] * 64})
    result = generate()
    assert not result.get("failed") and "it repeats a phrase: 'with sums'" in str(result["warnings"])


BLS = "tensorrt_llm_bls"
PARTS = (" Cloud", " computing", " is", " a", " caf", "\u00e9", "", " to", " go", ".")


@pytest.fixture(name="stream_of")
def fixture_stream_of(stub: TritonStub, generate: t.Callable[..., Result]) -> t.Callable[..., Result]:
    """Streams these texts from another model, after a plain answer."""

    def run(*texts: str, plain: str = PROMPT + "".join(PARTS), **arguments: t.Any) -> Result:
        stub.routes[METADATA] = inputs("text_input", "max_tokens", "top_k")
        stub.routes[f"GET /v2/models/{BLS}"] = inputs("text_input", "max_tokens", "top_k", "stream")
        stub.routes[GENERATE] = as_json({"text_output": plain})
        stub.routes[f"POST /v2/models/{BLS}/generate_stream"] = as_events(*({"text_output": text} for text in texts))
        return generate(stream_model=BLS, **arguments)

    return run


def test_both_ways_are_requested_alike(stub: TritonStub, stream_of: t.Callable[..., Result]) -> None:
    result = stream_of(*PARTS)
    assert not result.get("failed") and not result.get("warnings")
    assert (result["text"], result["streamed"]["text"]) == (PROMPT + "".join(PARTS), "".join(PARTS))
    assert (result["streamed"]["events"], result["streamed"]["first_token_seconds"]) == (10, 2)
    asked = [(route, body) for route, body in stub.requests if route.startswith("POST")]
    request = {"text_input": PROMPT, "max_tokens": 64, "top_k": 1}
    assert asked == [(GENERATE, request), (f"POST /v2/models/{BLS}/generate_stream", {**request, "stream": True})]


def test_a_stream_may_repeat_the_whole_text(stream_of: t.Callable[..., Result]) -> None:
    """As tensorrt_llm_bls does with accumulate_tokens. The last token may have no text, and a character several."""
    texts = ["".join(PARTS[: number + 1]) for number in range(len(PARTS))]
    texts[4] += "\ufffd"
    result = stream_of(*texts)
    assert not result.get("failed") and result["streamed"]["text"] == "".join(PARTS)
    assert result["streamed"]["tokens"] == 9


def test_a_repeated_text_may_be_corrected_later(stream_of: t.Callable[..., Result]) -> None:
    """A tokenizer that cleans up spaces does so when it sees what follows."""
    texts = ["It", "It is", "It is the", "It is the cloud '", "It is the cloud's", "It is the cloud's", ""]
    result = stream_of(*texts, plain="It is the cloud's")
    assert not result.get("failed") and result["streamed"]["text"] == "It is the cloud's"


def test_tokens_that_begin_alike_are_not_a_repeated_text(stream_of: t.Callable[..., Result]) -> None:
    result = stream_of("1", "10", "0", " is", " is", "land", "s", plain="1100 is islands")
    assert not result.get("failed") and result["streamed"]["text"] == "1100 is islands"


def test_lost_spaces_fail_and_name_the_model_that_keeps_them(stream_of: t.Callable[..., Result]) -> None:
    result = stream_of("Cloud", "computing", "is", plain="Cloud computing is")
    assert "the streamed text has other spaces than the plain one; plain: 'Cloud computing is'" in result["msg"]
    assert "tensorrt_llm_bls with accumulate_tokens: true" in result["msg"]
    assert result["text"] == "Cloud computing is" and result["streamed"]["text"] == "Cloudcomputingis"


def test_another_streamed_text_fails(stream_of: t.Callable[..., Result]) -> None:
    assert "differs from the plain one in the first 16 tokens" in stream_of("Other", " words")["msg"]


def test_a_text_that_differs_later_is_a_warning(stream_of: t.Callable[..., Result]) -> None:
    beginning = [f" word{number}" for number in range(16)]
    result = stream_of(*beginning, " or", " else", plain="".join(beginning) + " and so")
    assert not result.get("failed")
    warning = str(result["warnings"])
    assert "differs from the plain one after 16 tokens; plain: ' word0" in warning and "or else'" in warning


def test_a_streamed_text_that_is_no_answer_fails(stream_of: t.Callable[..., Result]) -> None:
    """The plain text is the same up to the last tokens, where the bytes of a character are decoded one by one."""
    beginning = [f" word{number}" for number in range(16)]
    result = stream_of(*beginning, " caf", "\ufffd", "\ufffd", " end", plain="".join(beginning) + " caf\u00e9 end")
    assert "model tensorrt_llm_bls of" in result["msg"] and "could not be decoded (U+FFFD)" in result["msg"]


def test_a_stream_that_is_refused_names_its_model(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[STREAM] = RECORDED["stream_error"]
    message = generate(stream_model="ensemble")["msg"]
    assert "model ensemble of http" in message and "returned no completion: in ensemble" in message
    assert "Request for unknown model" in generate(stream_model="nope")["msg"]


def test_a_plain_answer_that_is_none_is_not_compared(stub: TritonStub, stream_of: t.Callable[..., Result]) -> None:
    assert "it only repeats the prompt" in stream_of(*PARTS, plain=PROMPT)["msg"]
    assert not [route for route, _body in stub.requests if BLS in route]


def test_several_beams_give_the_first(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[GENERATE] = as_json({"text_output": ["one", "two"], "output_log_probs": [-1, -2]})
    assert generate()["text"] == "one"


def test_parameters_override_options(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    generate(parameters={"temperature": 0.5, "return_log_probs": False})
    body = stub.requests[-1][1]
    assert body["temperature"] == 0.5 and body["return_log_probs"] is False


def test_too_few_tokens(generate: t.Callable[..., Result]) -> None:
    result = generate(min_tokens=5)
    assert result["failed"] and "4 tokens were returned, not 5 or more; the text is: ' word0 word1" in result["msg"]
    assert result["text"] == " word0 word1 word2 word3"


def test_another_text_than_expected(generate: t.Callable[..., Result]) -> None:
    message = generate(pattern="(?i)cloud")["msg"]
    assert "the text does not match '(?i)cloud'; the text is: ' word0 word1 word2 word3'" in message


def test_no_pattern(generate: t.Callable[..., Result]) -> None:
    assert "is not a regular expression" in generate(pattern="(")["msg"]


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ("[", "JSONDecodeError"),
        ("[1]", "TypeError"),
        ('[{"name": "x"}]', "KeyError('cause')"),
        ('[{"name": "x", "patterns": ["("], "cause": "", "remedy": ""}]', "missing ), unterminated subpattern"),
    ],
)
def test_invalid_log_patterns_are_refused(patterns: str, words: str, generate: t.Callable[..., Result]) -> None:
    message = generate(log_patterns=patterns)["msg"]
    assert message.startswith("log_patterns cannot be read: ") and words in message


def test_a_decoupled_model_returns_an_error_with_status_200(
    stub: TritonStub, generate: t.Callable[..., Result]
) -> None:
    stub.routes[GENERATE] = RECORDED["decoupled_generate"]
    result = generate()
    assert "exactly 1 response" in result["msg"] and "Remedy: Use generate_stream" in result["msg"]
    assert result["explanations"][0]["id"] == "decoupled_generate"


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        ("model_error", "Prompt length (2000) exceeds maximum input length (1024). Known cause: The prompt is longer"),
        ("wrong_type", "attempt to access JSON non-signed-integer as signed-integer"),
        ("missing_input", "missing required input(s) ['max_tokens']"),
    ],
)
def test_errors_quote_the_server(
    recording: str, words: str, stub: TritonStub, generate: t.Callable[..., Result]
) -> None:
    stub.routes[GENERATE] = RECORDED[recording]
    assert words in generate()["msg"]


def test_an_error_of_the_server_is_explained(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    words = "Error generating request: Request beam width 1 is not equal to max_beam_width 4. This is not supported!"
    stub.routes[GENERATE] = as_json({"error": words}, status=400)
    result = generate()
    assert words in result["msg"] and "Remedy: Set max_beam_width to the number of beams" in result["msg"]
    assert result["explanations"][0]["id"] == "beam_width"


def test_an_error_in_a_stream(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[STREAM] = RECORDED["stream_error"]
    assert "Prompt length (2000) exceeds" in generate(stream=True)["msg"]
    stub.routes[STREAM] = as_events({"text_output": "a", "output_log_probs": -1}, {"error": "out of blocks"})
    assert "returned no completion: out of blocks" in generate(stream=True)["msg"]


def test_an_unknown_model(generate: t.Callable[..., Result]) -> None:
    assert "model nope of http" in generate(model="nope")["msg"]
    assert "Request for unknown model: 'nope' is not found" in generate(model="nope")["msg"]


def test_an_input_that_the_model_does_not_have(generate: t.Callable[..., Result]) -> None:
    message = generate(max_tokens_field="sampling_param_max_tokens")["msg"]
    assert "max_tokens_field is 'sampling_param_max_tokens'; its inputs are text_input, max_tokens" in message


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_stalls_is_reported(
    stream: bool, stub: TritonStub, generate: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.routes[GENERATE] = STALL
    stub.routes[STREAM] = as_events({"text_output": "a", "output_log_probs": -1}, STALL)
    timeouts = noted_timeouts(monkeypatch)
    assert "did not respond in time" in generate(stream=stream, timeout=0.4)["msg"]
    assert 0 < timeouts[-1] <= 0.4


def test_a_server_that_dies_is_reported(stub: TritonStub, generate: t.Callable[..., Result]) -> None:
    stub.routes[GENERATE] = HANG_UP
    assert "cannot be reached" in generate()["msg"]


def test_missing_requests(monkeypatch: pytest.MonkeyPatch, generate: t.Callable[..., Result]) -> None:
    monkeypatch.setattr(triton_generate, "REQUESTS_IMPORT_ERROR", "no requests")
    assert "requests" in generate()["msg"]
