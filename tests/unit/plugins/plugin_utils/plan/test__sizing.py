# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calculations compared with published figures, and properties that always hold."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    GIB,
    PRECISIONS,
    Limits,
    Load,
    Parallelism,
    Shape,
    checkpoint_bytes,
    choose_parallelism,
    kv_bytes_per_token,
    legal_pipeline_sizes,
    legal_tensor_sizes,
    serving_memory,
    weight_bytes,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, accepted, host, shape_of
from hypothesis import given
from hypothesis import strategies as st

FLOAT16 = PRECISIONS["float16"]


@pytest.mark.parametrize(
    ("host_memory", "share", "given"),
    [
        (None, 1.0, None),
        (2048 * GIB, 1.0, 2048 * GIB - 2048 * GIB // 20),
        (16 * GIB, 0.5, 7 * GIB),
        # Too small to be limited in a useful way.
        (GIB, 1.0, None),
    ],
)
def test_a_server_leaves_memory_to_its_host(host_memory: int | None, share: float, given: int | None) -> None:
    assert serving_memory(host_memory, share) == given


MIXTRAL = shape_of("mixtral-8x7b")
LLAMA_8B = shape_of("llama-3.1-8b")
QWEN_HALF = shape_of("qwen2.5-0.5b-instruct")

# The numbers of parameters in the safetensors files, according to the hub.
PUBLISHED = {
    "mixtral-8x7b": 46_702_792_704,
    "mixtral-8x7b-instruct": 46_702_792_704,
    "mixtral-8x22b": 140_620_634_112,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3-8b-instruct": 8_030_261_248,
    "llama-3.1-70b-instruct": 70_553_706_496,
    "mistral-7b-instruct": 7_248_023_552,
    "qwen2.5-7b-instruct": 7_615_616_512,
    "qwen2.5-0.5b-instruct": 494_032_768,
    "smollm2-135m-instruct": 134_515_008,
    "tinyllama-1.1b-chat": 1_100_048_384,
}


@pytest.mark.parametrize(("model", "parameters"), PUBLISHED.items())
def test_a_model_has_as_many_parameters_as_its_files(model: str, parameters: int) -> None:
    assert shape_of(model).stored == parameters


def test_mixtral_on_eight_a100_of_40_gb() -> None:
    plan = accepted(model="mixtral-8x7b", parallelism={"tensor": 8})
    gpu = plan["budget"]["gpu"]
    assert plan["artifacts"]["weights"]["bytes"] == pytest.approx(93.4e9, rel=0.001)
    # Keys and values of 32 layers, one KV head of size 128 per GPU, two bytes each.
    assert gpu["kv_bytes_per_token"] == 2 * 32 * 1 * 128 * 2 == 16 * 1024
    assert gpu["kv_tokens"] == pytest.approx(1.58e6, rel=0.01)
    assert gpu["sequences"] == gpu["kv_tokens"] // plan["limits"]["max_seq_len"]
    # 46.7 G parameters without one of two embeddings, divided by eight, plus a whole embedding of 32000 x 4096.
    eighth = (46.70e9 - 0.131e9) / 8 * 2 + 0.262e9
    assert gpu["weights"] == pytest.approx(eighth, rel=0.005)
    whole = gpu["weights"] + gpu["activations"] + gpu["runtime"] + gpu["free"]
    assert whole == gpu["memory"] == 40 * GIB


def test_kv_heads_are_repeated_if_there_are_more_ranks() -> None:
    # Qwen2.5 0.5B: 2 KV heads, 14 attention heads.
    per_token = [kv_bytes_per_token(QWEN_HALF, FLOAT16, Parallelism(tensor)) for tensor in (1, 2, 14)]
    assert per_token == [2 * 24 * 2 * 64 * 2, 2 * 24 * 1 * 64 * 2, 2 * 24 * 1 * 64 * 2]
    # One head of keys and one of values on each of 32 ranks; the model has 8 of each.
    repeated = 32 * weight_bytes(LLAMA_8B, PRECISIONS["float32"], Parallelism(32))
    cut = 8 * weight_bytes(LLAMA_8B, PRECISIONS["float32"], Parallelism(8))
    heads, embeddings_and_norms = 32 * 4096 * 128 * 2 * 24 * 4, (128256 * 4096 + 65 * 4096) * 24 * 4
    assert repeated - cut == heads + embeddings_and_norms


def test_a_pipeline_splits_layers_and_has_one_end_per_rank() -> None:
    whole = weight_bytes(LLAMA_8B, FLOAT16, Parallelism())
    embedding = 128256 * 4096 * 2
    half = weight_bytes(LLAMA_8B, FLOAT16, Parallelism(pipeline=2))
    assert half == pytest.approx((whole - 2 * embedding) / 2 + embedding, rel=1e-5)
    assert kv_bytes_per_token(LLAMA_8B, FLOAT16, Parallelism(pipeline=2)) == 128 * 1024 // 2


def test_tied_embeddings_are_stored_once() -> None:
    untied = replace(QWEN_HALF, tied_embeddings=False)
    assert untied.stored - QWEN_HALF.stored == 151936 * 896


def test_biases_of_qwen_are_counted() -> None:
    assert QWEN_HALF.stored - replace(QWEN_HALF, qkv_bias=False).stored == 24 * (14 + 2 + 2) * 64


@pytest.mark.parametrize(
    ("precision", "gigabytes"), [("float32", 32.1), ("float16", 16.1), ("bfloat16", 16.1), ("int8_weight_only", 9.1)]
)
def test_precision_applies_to_layers_but_not_to_embeddings(precision: str, gigabytes: float) -> None:
    # 8.03 G parameters; 1.05 G of them are embeddings, which keep two bytes with weight-only.
    assert checkpoint_bytes(LLAMA_8B, PRECISIONS[precision], Parallelism()) == pytest.approx(gigabytes * 1e9, rel=0.01)


@pytest.mark.parametrize("model", CATALOGUE.models)
def test_more_gpus_never_need_more_memory_each(model: str) -> None:
    shape = shape_of(model)
    for tensors in (legal_tensor_sizes(shape, 16), [1]):
        needs = [Load(shape, FLOAT16, Limits(), 80 * GIB).on(Parallelism(tensor)) for tensor in tensors]
        assert all(after.weights <= before.weights for before, after in pairwise(needs))
        assert all(after.activations <= before.activations for before, after in pairwise(needs))
        assert all(after.kv_tokens >= before.kv_tokens for before, after in pairwise(needs))
    stages = [weight_bytes(shape, FLOAT16, Parallelism(1, stages)) for stages in legal_pipeline_sizes(shape, 16)]
    assert stages == sorted(stages, reverse=True)


@pytest.mark.parametrize("model", ["mixtral-8x7b", "llama-3.1-8b", "qwen2.5-0.5b-instruct"])
def test_longer_sequences_never_fit_more_often(model: str) -> None:
    lengths = (256, 1000, 2048, 4096, 32768)
    load = Load(shape_of(model), FLOAT16, Limits(), 80 * GIB, tokens_per_block=64)
    found = [load.within(max_seq_len=length).on(Parallelism(2)).sequences for length in lengths]
    assert found == sorted(found, reverse=True)
    assert load.within(max_beam_width=4).on(Parallelism(2)).sequences <= found[2] // 4


@pytest.mark.parametrize("model", CATALOGUE.models)
@pytest.mark.parametrize("shape", [name for name in CATALOGUE.shapes if CATALOGUE.shapes[name]["gpus"]["count"]])
def test_the_chosen_parallelism_is_valid_and_fits(model: str, shape: str) -> None:
    gpus = host(shape)["gpus"]
    load = Load(shape_of(model), FLOAT16, Limits(), gpus[0]["memory_mib"] << 20)
    chosen = choose_parallelism(load, len(gpus), None, None)
    every = [
        Parallelism(tensor, stages)
        for tensor in legal_tensor_sizes(load.shape, len(gpus))
        for stages in legal_pipeline_sizes(load.shape, len(gpus))
        if tensor * stages <= len(gpus)
    ]
    if chosen is None:
        assert not any(load.fits(option) for option in every)
    else:
        assert chosen in every
        assert load.fits(chosen)


@pytest.mark.parametrize(
    ("model", "tensor"),
    [
        ("smollm2-135m-instruct", 1),
        ("tinyllama-1.1b-chat", 1),
        ("mistral-7b", 2),
        ("llama-3.1-8b", 4),
        ("mixtral-8x7b", 8),
    ],
)
def test_small_models_use_few_gpus(model: str, tensor: int) -> None:
    load = Load(shape_of(model), FLOAT16, Limits(), 80 * GIB)
    assert choose_parallelism(load, 8, None, None) == Parallelism(tensor)


def test_requested_parallelism_is_kept() -> None:
    load = Load(LLAMA_8B, FLOAT16, Limits(), 80 * GIB)
    assert choose_parallelism(load, 8, 2, None) == Parallelism(2, 1)
    assert choose_parallelism(load, 8, None, 4) is not None
    assert choose_parallelism(load, 8, 1, 1) == Parallelism(1, 1)
    assert choose_parallelism(replace(load, memory=GIB), 8, 1, 1) is None


def test_stages_are_used_if_tensor_parallelism_is_not_possible() -> None:
    # 25 heads can only be divided by 1, 5 or 25, so 4 GPUs need pipeline stages.
    odd = Shape(layers=40, heads=25, kv_heads=25, hidden=6400, ffn=25600, vocab=32000, max_positions=4096)
    chosen = choose_parallelism(Load(odd, FLOAT16, Limits(), 24 * GIB), 4, None, None)
    assert chosen == Parallelism(1, 4)


def test_valid_tensor_sizes_repeat_or_divide_kv_heads() -> None:
    assert legal_tensor_sizes(shape_of("smollm2-135m-instruct")) == [1, 3]
    assert legal_tensor_sizes(MIXTRAL) == [1, 2, 4, 8, 16, 32]
    assert legal_tensor_sizes(QWEN_HALF) == [1, 2]
    assert legal_pipeline_sizes(MIXTRAL, 16) == [1, 2, 4, 8, 16]


@given(
    tensor=st.sampled_from([1, 2, 4, 8]),
    length=st.integers(2, 1 << 17),
    beams=st.integers(1, 4),
    fraction=st.floats(1e-9, 1),
    block=st.sampled_from([1, 32, 64, 128]),
)
def test_the_least_memory_fits_one_sequence(tensor: int, length: int, beams: int, fraction: float, block: int) -> None:
    limits = Limits(max_seq_len=length, max_beam_width=beams, kv_cache_fraction=fraction)
    load, parallelism = Load(LLAMA_8B, FLOAT16, limits, 0, block), Parallelism(tensor)
    least = load.least_memory(parallelism)
    for memory, fits in ((least, True), (least - 1, False)):
        on = replace(load, memory=memory)
        assert on.fits(parallelism) is fits
        assert (on.on(parallelism).sequences >= 1) is fits
