# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""An estimate of the speed of a deployment, from what its GPUs can do. docs/sizing.md has the formulas and the errors.

It is never a reason to refuse a plan, and it promises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    Limits,
    Parallelism,
    Precision,
    Shape,
    attention_weights,
    expert_weights,
)

# Assumptions that are the same for all GPUs.
MEMORY_EFFICIENCY = 0.8
"""The part of the memory's bandwidth at which weights are read."""
ALL_REDUCE_SECONDS = 20e-6
"""Until the first byte of an exchange between GPUs arrives."""
LAYER_SECONDS = 10e-6
"""Of the small kernels of a layer."""
STEP_SECONDS = 2e-3
"""Of the scheduler and the host, for each step."""
SEQUENCE_SECONDS = 5e-6
"""Of sampling and of the host, for each sequence of a step."""

# Fitted to the published figures of Mixtral 8x7B on four A100-80GB, and to nothing else.
COMPUTE_EFFICIENCY = 0.75
"""The part of the peak compute that matrix products reach."""
CACHE_EFFICIENCY = 0.45
"""The part of the memory's bandwidth at which the KV cache is read."""
LINK_EFFICIENCY = 0.25
"""The part of the link's bandwidth that all-reduces reach."""

TYPICAL_PROMPT, TYPICAL_ANSWER = 512, 256
"""Tokens of the requests that a plan has an estimate for, as far as its limits allow."""
AT_ONCE = (1, 8, 64)
"""Requests at once that a plan has an estimate for, besides the most that its limits and its KV cache allow."""


@dataclass(frozen=True)
class Speed:
    """What a GPU can do, in FLOP/s and bytes per second. `compute` is for the data type of the weights."""

    memory: float
    compute: float
    compute_float16: float
    link: float


@dataclass(frozen=True)
class Traffic:
    """Tokens of prompts and answers, and the number of requests at once."""

    prompt: int
    answer: int
    at_once: int


@dataclass(frozen=True)
class Work:
    """A model and how it is split. `kv_bytes` are those of a token on a rank."""

    shape: Shape
    precision: Precision
    parallelism: Parallelism
    kv_bytes: int


@dataclass(frozen=True)
class Estimate:
    """`first_token` and `between_tokens` in seconds, as a client sees them."""

    tokens_per_second: float
    first_token: float
    between_tokens: float


def speed_of(gpu: Mapping[str, Any] | None, precision: Precision) -> Speed | None:
    """From the catalogue's entry for the GPU; None if nothing is known about it with this precision."""
    if gpu is None or precision.dtype == "float32":
        return None
    compute = gpu["compute"]
    # Quantised weights of other kinds are multiplied as float16.
    flops = compute.get("fp8") if precision.weight_bytes == 1 and not precision.weight_only else compute["float16"]
    if flops is None:
        return None
    return Speed(gpu["memory_bandwidth"] * 1e9, flops * 1e12, compute["float16"] * 1e12, gpu["link_bandwidth"] * 1e9)


def estimate(work: Work, gpu: Speed, traffic: Traffic) -> Estimate:
    """For requests that all have the same lengths, each sent as soon as another one is answered."""
    stages = work.parallelism.pipeline
    in_stage = max(1.0, traffic.at_once / stages)
    others = traffic.at_once - 1
    # While a sequence gets a token, the prompts of other sequences are processed, too.
    prompts = others / stages * traffic.prompt / traffic.answer
    between = stages * _step(work, gpu, traffic, in_stage, prompts)
    own = stages * _step(work, gpu, traffic, in_stage, max(prompts, float(traffic.prompt)))
    first = own + between / 2 * others / traffic.at_once
    seconds = first + (traffic.answer - 1) * between
    return Estimate(traffic.at_once * traffic.answer / seconds, first, between)


def _step(work: Work, gpu: Speed, traffic: Traffic, sequences: float, prompts: float) -> float:
    """Seconds of a stage for a step that adds a token to each sequence and processes `prompts` tokens of prompts."""
    layers = -(-work.shape.layers // work.parallelism.pipeline)
    tokens = sequences + prompts
    cached = sequences * (traffic.prompt + traffic.answer / 2) * work.kv_bytes
    return (
        _products(work, gpu, layers, sequences, tokens)
        + _attention_to_prompts(work, gpu, layers, prompts, traffic.prompt)
        + cached / (gpu.memory * CACHE_EFFICIENCY)
        + _exchange(work, gpu, layers, tokens)
        + layers * LAYER_SECONDS
        + sequences * SEQUENCE_SECONDS
        + STEP_SECONDS
    )


def _products(work: Work, gpu: Speed, layers: int, sequences: float, tokens: float) -> float:
    """The products with weights: limited by compute, or by reading the weights."""
    shape, ranks = work.shape, work.parallelism.tensor
    attention, expert = attention_weights(shape, ranks), expert_weights(shape) / ranks
    head = shape.vocab * shape.hidden / ranks
    active = layers * (attention + expert * max(shape.experts_per_token, 1))
    compute = 2 * active * tokens / gpu.compute + 2 * head * sequences / gpu.compute_float16
    read = layers * (attention + expert * _experts_used(shape, tokens)) * work.precision.weight_bytes
    memory = (read + head * work.precision.dtype_bytes) / gpu.memory
    return max(compute / COMPUTE_EFFICIENCY, memory / MEMORY_EFFICIENCY)


def _experts_used(shape: Shape, tokens: float) -> float:
    """How many experts of a layer are read, if the router chooses each equally often."""
    if not shape.experts:
        return 1.0
    unused: float = (1 - shape.experts_per_token / shape.experts) ** tokens
    return shape.experts * (1 - unused)


def _attention_to_prompts(work: Work, gpu: Speed, layers: int, tokens: float, length: int) -> float:
    """Each token attends to half of its prompt on average. The attention computes in float16."""
    flops = 4 * tokens * length / 2 * work.shape.heads * work.shape.head_dim * layers
    return flops / work.parallelism.tensor / (gpu.compute_float16 * COMPUTE_EFFICIENCY)


def _exchange(work: Work, gpu: Speed, layers: int, tokens: float) -> float:
    """Two all-reduces of the hidden states in each layer."""
    ranks = work.parallelism.tensor
    if ranks == 1:
        return 0.0
    sent = 2 * (ranks - 1) / ranks * tokens * work.shape.hidden * work.precision.dtype_bytes
    return 2 * layers * (sent / (gpu.link * LINK_EFFICIENCY) + ALL_REDUCE_SECONDS)


@lru_cache(maxsize=None)
def estimates(work: Work, gpu: Speed, limits: Limits, kv_tokens: int) -> Mapping[str, Any]:
    """A plan's estimate for typical requests, with two significant digits; empty if not even one fits.

    `kv_tokens`: of the KV cache. Cached, because the hosts of a fleet have the same estimates.
    """
    prompt = max(1, min(TYPICAL_PROMPT, limits.max_input_len, limits.max_seq_len - 1))
    answer = min(TYPICAL_ANSWER, limits.max_seq_len - prompt)
    most = min(limits.max_batch_size, kv_tokens // (prompt + answer))
    if answer < 1 or most < 1:
        return {}
    numbers = [*(number for number in AT_ONCE if number < most), most]
    rows = [_row(number, estimate(work, gpu, Traffic(prompt, answer, number))) for number in numbers]
    return {"prompt_tokens": prompt, "answer_tokens": answer, "rows": rows}


def _row(at_once: int, found: Estimate) -> dict[str, Any]:
    return {"at_once": at_once, **{name: significant(value) for name, value in asdict(found).items()}}


def with_costs(rows: Iterable[Mapping[str, Any]], price_per_hour: float | None) -> list[dict[str, Any]]:
    """Each row with the price of a million tokens of answers, at its speed all the time, if the price is known."""
    if price_per_hour is None:
        return [dict(row) for row in rows]
    return [
        {**row, "cost_per_million_tokens": significant(price_per_hour / 3600 / row["tokens_per_second"] * 1e6)}
        for row in rows
    ]


def with_measured(plan: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with what was measured for the same deployment, if anything was. `measured`: by the estimate's key."""
    estimate = plan.get("estimate", {})
    found = measured.get(estimate.get("key"))
    if found is None:
        return dict(plan)
    rows = with_costs(found["rows"], estimate["price_per_hour"])
    return {**plan, "estimate": {**estimate, **found, "rows": rows, "measured": True}}


def significant(number: float) -> float:
    """With two significant digits, as more would be wrong in any case."""
    return float(f"{number:.2g}")
