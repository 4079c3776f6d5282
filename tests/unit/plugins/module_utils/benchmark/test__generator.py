# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The generator's configuration and what its results mean. Real results: tests/integration/test_3_benchmark.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._generator import (
    OPENAI,
    TRITON,
    Load,
    Target,
    check_literal,
    config_of,
    level_of,
    template_of,
)

LOAD = Load(512, 5, "/tokenizer", each=4, seconds=20, objective={"first_token": 0.5, "between_tokens": 0.05})
SERVE = Target("https://api.example.com/x/", OPENAI, "llama", True, True, key="sk-1")
ENGINE = Target("http://127.0.0.1:8000", TRITON, "ensemble", True, True)
LLMAPI = Target("http://127.0.0.1:8000", TRITON, "tensorrt_llm", False, False, "sampling_param_max_tokens")


def times(mean: float) -> dict[str, float]:
    return {"unit": "ms", "avg": mean, "p50": mean, "p90": 2 * mean, "p99": 4 * mean}  # type: ignore[dict-item]


FOUND: dict[str, Any] = {
    "aiperf_version": "0.13.0",
    "request_count": {"avg": 8.0},
    "completed_request_count": {"avg": 10.0},
    "good_request_count": {"avg": 5.0},
    "benchmark_duration": {"avg": 4.0},
    "input_sequence_length": {"avg": 511.0},
    "output_sequence_length": {"avg": 6.0},
    "time_to_first_token": times(100),
    "inter_token_latency": times(40),
    "decode_duration": times(200),
    "request_latency": times(300),
    "error_summary": [{"count": 2, "error_details": {"code": 429, "type": "Too Many", "message": "quota"}}],
    "start_time": "2026-11-28T18:00:00",
    "end_time": "2026-11-28T18:00:04.5",
}


def endpoint(target: Target, load: Load = LOAD) -> dict[str, Any]:
    found: dict[str, Any] = config_of(target, load, 2, "/runs/2")["benchmark"]["endpoint"]
    return found


def test_requests_to_the_openai_api() -> None:
    found = endpoint(SERVE)
    assert (found["url"], found["path"]) == ("https://api.example.com", "/x/v1/completions")
    assert (found["apiKey"], found["extra"]) == ("sk-1", {"ignore_eos": True})


def test_requests_to_triton() -> None:
    found = endpoint(ENGINE)
    assert (found["path"], found["template"]["body"]) == ("/v2/models/ensemble/generate_stream", "/runs/2.template")
    assert "apiKey" not in found
    body = template_of(ENGINE)
    assert '"min_tokens": {{ max_tokens }}' in body and '"stream": true' in body
    plain = template_of(LLMAPI)
    assert '"sampling_param_max_tokens": {{ max_tokens }}' in plain and "stream" not in plain and "min_" not in plain
    assert endpoint(LLMAPI)["path"] == "/v2/models/tensorrt_llm/generate"


def test_every_request_has_its_own_prompt_and_the_time_is_limited() -> None:
    found = config_of(SERVE, LOAD, 2, "/runs/2")["benchmark"]
    assert found["dataset"]["entries"] == 8 + 2
    warmup, profiling = found["phases"]
    assert (warmup["requests"], profiling["requests"], profiling["duration"]) == (2, 8, 20)
    assert warmup["excludeFromResults"] and "excludeFromResults" not in profiling
    assert LOAD.longest > 2 * (20 + profiling["gracePeriod"])


def test_a_dataset_replaces_random_prompts() -> None:
    load = Load(512, 5, "/tokenizer", dataset="/data.jsonl")
    found = config_of(SERVE, load, 2, "/runs/2")["benchmark"]["dataset"]
    assert (found["path"], found["defaults"]["osl"]["mean"]) == ("/data.jsonl", 5)


def test_the_objective_is_in_the_generators_units() -> None:
    assert config_of(SERVE, LOAD, 2, "/w")["benchmark"]["slos"] == {
        "time_to_first_token": 500,
        "inter_token_latency": 50,
    }
    assert config_of(ENGINE, LOAD, 2, "/w")["benchmark"]["slos"]["decode_duration"] == 0.05 * 1000 * 4
    assert "slos" not in config_of(SERVE, Load(512, 5, "/t"), 2, "/w")["benchmark"]


def test_the_figures_of_a_server_that_counts_its_tokens() -> None:
    level = level_of(FOUND, SERVE, LOAD, 2)
    assert (level["answered"], level["failed"], level["errors"]) == (8, 2, ["2 x 429 Too Many quota"])
    assert (level["answer_tokens"], level["tokens_per_second"], level["requests_per_second"]) == (6, 12, 2)
    assert level["first_token"] == {"mean": 0.1, "p50": 0.1, "p90": 0.2, "p99": 0.4}
    assert level["between_tokens"]["mean"] == 0.04 and level["end_to_end"]["p99"] == 1.2
    assert (level["good_per_second"], level["good_fraction"]) == (1.25, 0.5)
    assert level["ended"] - level["started"] == 4.5 and level["started"] == 1795888800
    assert level["generator"] == "aiperf 0.13.0"


def test_the_figures_of_tritons_ensemble_are_for_the_requested_tokens() -> None:
    level = level_of({**FOUND, "input_sequence_length": None}, ENGINE, LOAD, 2)
    assert (level["prompt_tokens"], level["answer_tokens"], level["tokens_per_second"]) == (512, 5, 10)
    assert level["between_tokens"]["mean"] == 0.05


def test_the_figures_without_a_stream_and_an_objective() -> None:
    level = level_of(FOUND, LLMAPI, Load(512, 5, "/t"), 2)
    assert level["first_token"] is None and level["between_tokens"] is None
    assert level["good_per_second"] is None and level["good_fraction"] is None
    assert level["answer_tokens"] == 6


@pytest.mark.parametrize("change", [{"request_count": None}, {"benchmark_duration": {}}])
def test_no_answer_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(ModuleFailure, match="no request was answered with 2 at once: 2 x 429 Too Many quota"):
        level_of({**FOUND, **change}, SERVE, LOAD, 2)


def test_answers_without_tokens_are_an_error() -> None:
    with pytest.raises(ModuleFailure, match="no tokens that can be counted"):
        level_of({**FOUND, "output_sequence_length": {"avg": 0}}, SERVE, LOAD, 2)


@pytest.mark.parametrize("text", ["a${HOME}", "{{ 1 }}", "{% if x %}", "{# x"])
def test_what_the_generator_would_evaluate_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ModuleFailure, match=r"^key: contains") as caught:
        check_literal(url="http://x", key=text)
    assert text not in str(caught.value).partition("contains")[0]
    check_literal(key="sk-$1{a}")
