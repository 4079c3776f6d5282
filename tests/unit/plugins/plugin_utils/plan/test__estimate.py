# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Speeds that can be calculated by hand, and what must be true of every estimate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _estimate
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._estimate import (
    Speed,
    Traffic,
    Work,
    estimate,
    speed_of,
    with_measured,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    PRECISIONS,
    Parallelism,
    Shape,
    kv_bytes_per_token,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    accepted,
    host,
    host_plan,
    refused,
    shape_of,
)
from hypothesis import given
from hypothesis import strategies as st

A100 = speed_of(CATALOGUE.gpus["NVIDIA A100-SXM4-80GB"], PRECISIONS["float16"])
ENDLESS = Speed(memory=1e30, compute=1e30, compute_float16=1e30, link=1e30)
MODELS = ["mixtral-8x7b", "llama-3.1-8b", "llama-3.1-70b-instruct", "qwen2.5-0.5b-instruct"]


def work_of(model: str, precision: str = "float16", tensor: int = 1, pipeline: int = 1) -> Work:
    shape, parallelism = shape_of(model), Parallelism(tensor, pipeline)
    of_model = PRECISIONS[precision]
    return Work(shape, of_model, parallelism, kv_bytes_per_token(shape, of_model, parallelism))


def speed(work: Work, at_once: int, prompt: int = 512, answer: int = 256, gpu: Speed | None = A100) -> float:
    assert gpu is not None
    return estimate(work, gpu, Traffic(prompt, answer, at_once)).tokens_per_second


def test_one_request_is_limited_by_reading_the_weights() -> None:
    """8.03 G weights without the embedding are 15.0 GB, at 80 % of 2039 GB/s."""
    found = estimate(work_of("llama-3.1-8b"), A100 or ENDLESS, Traffic(1, 1000, 1))
    assert found.between_tokens == pytest.approx(15.0e9 / (0.8 * 2039e9) + 2e-3 + 32 * 10e-6, rel=0.02)
    assert found.tokens_per_second == pytest.approx(1 / found.between_tokens, rel=0.01)


def test_a_long_prompt_is_limited_by_compute() -> None:
    """8 G weights are 2 FLOP each for every token, at 75 % of 312 TFLOP/s; the attention adds less than a fifth."""
    found = estimate(work_of("llama-3.1-8b"), A100 or ENDLESS, Traffic(4096, 256, 1))
    products = 2 * 6.98e9 * 4096 / (0.75 * 312e12)
    assert products < found.first_token < products * 1.2


def test_only_overhead_is_left_on_an_endless_gpu() -> None:
    work = work_of("mixtral-8x7b", tensor=8)
    exchanges = 64 * _estimate.ALL_REDUCE_SECONDS
    found = estimate(work, ENDLESS, Traffic(512, 256, 1))
    overhead = 32 * _estimate.LAYER_SECONDS + _estimate.SEQUENCE_SECONDS + _estimate.STEP_SECONDS
    assert found.between_tokens == pytest.approx(overhead + exchanges)


def test_more_requests_read_more_experts_until_all_are_read() -> None:
    mixtral = shape_of("mixtral-8x7b")
    used = [_estimate._experts_used(mixtral, tokens) for tokens in (1, 2, 4, 1000)]
    assert used == pytest.approx([2, 3.5, 5.47, 8], rel=0.01)
    assert _estimate._experts_used(shape_of("llama-3.1-8b"), 1000) == 1


@pytest.mark.parametrize("model", MODELS)
@given(at_once=st.integers(1, 500), prompt=st.integers(1, 8000), answer=st.integers(1, 4000))
def test_more_requests_are_slower_each_and_faster_together(model: str, at_once: int, prompt: int, answer: int) -> None:
    work = work_of(model)
    few, more = (estimate(work, A100 or ENDLESS, Traffic(prompt, answer, number)) for number in (at_once, 4 * at_once))
    assert more.between_tokens >= few.between_tokens and more.first_token >= few.first_token
    # The prompts of a batch can take longer than its tokens, but not longer than one after the other.
    assert more.tokens_per_second >= 0.5 * few.tokens_per_second


@pytest.mark.parametrize("field", ["memory", "compute", "compute_float16", "link"])
@pytest.mark.parametrize("model", MODELS)
def test_a_faster_gpu_is_never_slower(model: str, field: str) -> None:
    slow = A100 or ENDLESS
    fast = replace(slow, **{field: 2 * getattr(slow, field)})
    for at_once in (1, 32, 512):
        work = work_of(model, tensor=2)
        assert speed(work, at_once, gpu=fast) >= speed(work, at_once, gpu=slow)


def test_fewer_bytes_are_faster_and_stages_do_not_speed_up_a_request() -> None:
    assert speed(work_of("llama-3.1-8b", "int4_weight_only"), 1) > speed(work_of("llama-3.1-8b"), 1)
    assert speed(work_of("llama-3.1-8b", pipeline=2), 1) < speed(work_of("llama-3.1-8b"), 1)
    assert speed(work_of("llama-3.1-8b", pipeline=2), 256) > speed(work_of("llama-3.1-8b"), 256)


@pytest.mark.parametrize(
    ("gpu", "precision", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989),
        ("NVIDIA H100 80GB HBM3", "fp8", 1979),
        ("NVIDIA H100 80GB HBM3", "int8_weight_only", 989),
        ("NVIDIA A100-SXM4-80GB", "fp8", None),
        ("NVIDIA A100-SXM4-80GB", "float32", None),
        ("NVIDIA T4", "float16", None),
    ],
)
def test_the_compute_is_that_of_the_precision(gpu: str, precision: str, tflops: int | None) -> None:
    found = speed_of(CATALOGUE.gpus.get(gpu), PRECISIONS[precision])
    assert (found.compute if found else None) == (tflops * 1e12 if tflops else None)


# --- in a plan --------------------------------------------------------------------------------------------------------


def estimate_of(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = accepted(facts, **request)["estimate"]
    return found


def test_a_plan_has_an_estimate_for_requests_that_its_limits_allow() -> None:
    found = estimate_of(limits={"max_batch_size": 16, "max_seq_len": 600, "max_input_len": 500})
    assert (found["measured"], found["prompt_tokens"], found["answer_tokens"]) == (False, 500, 100)
    assert [row["at_once"] for row in found["rows"]] == [1, 8, 16]


def test_the_kv_cache_limits_the_requests() -> None:
    found = estimate_of(
        host("VM.GPU.A10.1"), model="llama-3.1-8b", token_file="x", limits={"max_batch_size": 256, "max_seq_len": 2048}
    )
    tokens = accepted(host("VM.GPU.A10.1"), model="llama-3.1-8b", limits={"max_batch_size": 256, "max_seq_len": 2048})[
        "budget"
    ]["gpu"]["kv_tokens"]
    assert found["rows"][-1]["at_once"] == tokens // 768 < 256


@pytest.mark.parametrize(
    ("facts", "request_"),
    [
        ({}, {"gpus_required": False}),
        (host(gpus=[{"name": "NVIDIA Unknown", "memory_mib": 81920}] * 8), {}),
        (host(), {"precision": "float32"}),
    ],
)
def test_without_known_speeds_there_is_no_estimate(facts: dict[str, Any], request_: dict[str, Any]) -> None:
    assert estimate_of(facts, **request_)["rows"] == []


def test_a_deployment_pays_for_its_share_of_the_gpus() -> None:
    whole = host_plan(model="mixtral-8x7b", price_per_hour=32)["deployments"]["default"]["estimate"]
    part = host_plan(model="mixtral-8x7b", gpus=4, price_per_hour="32")["deployments"]["default"]["estimate"]
    assert (whole["price_per_hour"], part["price_per_hour"]) == (32, 16)
    row = whole["rows"][-1]
    assert row["cost_per_million_tokens"] == pytest.approx(32 / 3600 / row["tokens_per_second"] * 1e6, rel=0.05)
    assert "cost_per_million_tokens" not in estimate_of()["rows"][0]


@pytest.mark.parametrize("price", [0, -1, "much", True, float("nan"), float("inf"), [1]])
def test_a_price_is_a_positive_number(price: Any) -> None:
    assert list(refused(price_per_hour=price)) == ["trtllm_price_per_hour"]


def test_the_key_changes_with_what_changes_the_speed() -> None:
    requests: list[dict[str, Any]] = [
        {},
        {"model": "mixtral-8x7b"},
        {"release": "1.2.0"},
        {"precision": "bfloat16"},
        {"parallelism": {"tensor": 4}},
        {"limits": {"max_batch_size": 8}},
    ]
    keys = [estimate_of(**request)["key"] for request in requests]
    keys.append(estimate_of(host("BM.GPU.A100-v2.8"))["key"])
    assert len(set(keys)) == len(keys)
    assert estimate_of(root="/srv/other", price_per_hour=1)["key"] == keys[0]


MEASURED: dict[str, Any] = {
    "prompt_tokens": 100,
    "answer_tokens": 200,
    "rows": [{"at_once": 4, "tokens_per_second": 500.0, "first_token": 0.05, "between_tokens": 0.01}],
}


def test_what_was_measured_replaces_the_estimate_of_the_same_key() -> None:
    plan = accepted(price_per_hour=36)
    found = with_measured(plan, {plan["estimate"]["key"]: MEASURED})["estimate"]
    assert (found["measured"], found["prompt_tokens"], found["key"]) == (True, 100, plan["estimate"]["key"])
    assert found["rows"] == [{**MEASURED["rows"][0], "cost_per_million_tokens": 20}]
    assert with_measured(plan, {"other": MEASURED}) == plan


def test_a_refused_plan_has_no_estimate() -> None:
    assert with_measured({"refusals": []}, {"other": MEASURED}) == {"refusals": []}


def test_every_gpu_of_a_shape_has_a_speed() -> None:
    names = {shape["gpus"].get("name") for shape in CATALOGUE.shapes.values()} - {None}
    assert names == CATALOGUE.gpus.keys()


def test_a_model_without_experts_has_one() -> None:
    dense = Shape(layers=1, heads=8, kv_heads=8, hidden=64, ffn=128, vocab=100, max_positions=100)
    work = Work(dense, PRECISIONS["float16"], Parallelism(), 1)
    # Attention 4 · 64², feed-forward 3 · 64 · 128 and head 6400 weights, of 2 bytes each.
    read = _estimate._products(work, replace(ENDLESS, memory=1.0), 1, 1, 1)
    assert read == pytest.approx((4 * 64**2 + 3 * 64 * 128 + 6400) * 2 / 0.8)
