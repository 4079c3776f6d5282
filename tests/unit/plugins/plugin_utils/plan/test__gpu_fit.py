# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that does not fit is refused with a suggestion that works."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    heeded,
    host,
    plan_for,
    refused,
    waivable,
    warned,
)

WITH_GPUS = [name for name in CATALOGUE.shapes if CATALOGUE.shapes[name]["gpus"]["count"]]


@pytest.mark.parametrize("shape", WITH_GPUS)
@pytest.mark.parametrize("model", CATALOGUE.models)
def test_a_refusal_suggests_what_would_fit(model: str, shape: str) -> None:
    """Two suggestions are enough (such as int8, and then fewer GPUs)."""
    most = CATALOGUE.models[model]["shape"]["max_positions"]
    long, many = {"max_seq_len": most, "max_input_len": most - 1}, {"max_num_tokens": 1 << 20}
    for limits, extra in (
        ({}, {"precision": "float32"}),
        (long, {}),
        (long, {"profile": "llmapi", "parallelism": {"tensor": 1}}),
        (many, {"profile": "llmapi"}),
        (many, {"precision": "float32"}),
    ):
        facts = host(shape, memory_bytes=None, disk_free_bytes=None)
        request: dict[str, Any] = {"model": model, "limits": limits, **extra}
        for _attempt in range(3):
            for refusal in make_plan(request, facts, CATALOGUE)["refusals"]:
                heeded(request, facts, refusal)
        assert make_plan(request, facts, CATALOGUE)["refusals"] == [], request


def test_one_suggestion_is_enough_for_one_problem() -> None:
    for request in (
        {"parallelism": {"tensor": 1, "pipeline": 1}},
        {"parallelism": {"tensor": 4, "pipeline": 4}},
        {"parallelism": {"tensor": 16, "moe_expert": 8, "moe_tensor": 2}},
        {"parallelism": {"tensor": 4, "pipeline": 1}, "limits": {"max_num_tokens": 1 << 18}},
    ):
        facts, changed = host(), {"model": "mixtral-8x7b", "limits": {}, **request}
        (refusal,) = make_plan(changed, facts, CATALOGUE)["refusals"]
        heeded(changed, facts, refusal)
        assert make_plan(changed, facts, CATALOGUE)["refusals"] == []


def test_a_prompt_that_is_too_long_is_shortened_with_the_sequence() -> None:
    limits = {"max_seq_len": 131072, "max_input_len": 131071}
    found = refused(host("VM.GPU.A10.1"), model="llama-3.1-8b", limits=limits)
    assert re.search(r"use \{max_seq_len: \d+, max_input_len: \d+\}", found["trtllm_limits"])


def test_two_changes_are_suggested_if_one_is_not_enough() -> None:
    facts, request = host("VM.GPU.A10.1"), {"model": "llama-3.1-8b", "precision": "float32", "profile": "llmapi"}
    plan = make_plan({**request, "limits": {"max_num_tokens": 1 << 20}}, facts, CATALOGUE)
    assert [entry["variable"] for entry in plan["refusals"]] == ["trtllm_limits.max_num_tokens", "trtllm_precision"]
    assert all(entry["message"].endswith(", together with the other change") for entry in plan["refusals"])


def test_too_few_gpus_are_refused_with_what_fits() -> None:
    four = host(gpus=host()["gpus"][:4])
    message = refused(four, parallelism={"tensor": 8})["trtllm_parallelism"]
    assert message == "4 GPUs respond, but 8 are needed (tensor x pipeline): {tensor: 4, pipeline: 1} fits"
    assert accepted(four)["parallelism"]["world_size"] == 4


def test_a_host_without_gpus() -> None:
    bare = host("rehearsal")
    assert "install the NVIDIA driver" in refused(bare, model="smollm2-135m-instruct")["trtllm_gpus_required"]
    assert warned("needs none", bare, model="smollm2-135m-instruct", gpus_required=False)


def test_gpu_memory_is_an_estimate_and_can_be_waived() -> None:
    tight = {"parallelism": {"tensor": 1, "pipeline": 1}}
    assert waivable(plan_for(**tight)) == {"gpu_memory": "trtllm_parallelism"}
    assert warned("waived gpu_memory: trtllm_parallelism", waive=["gpu_memory"], **tight)
    assert waivable(plan_for(waive=["disk_space"], **tight)) == {"gpu_memory": "trtllm_parallelism"}


def test_memory_for_the_conversion() -> None:
    small, upstream = host(memory_bytes=64 * 10**9), {"converter": "upstream"}
    plan = plan_for(small, **upstream)
    assert waivable(plan) == {"memory": "trtllm_converter"}
    assert "the host has 64 GB of memory, but 187 GB is needed" in plan["refusals"][0]["message"]
    assert "use native, which needs 1.07 GB" in plan["refusals"][0]["message"]
    accepted(small)
    accepted(small, engine_dir="/srv/engine", **upstream)
    accepted(small, profile="llmapi", **upstream)
    accepted(small, model="llama-3.1-8b", **upstream)
    done = accepted(**upstream)["artifacts"]["checkpoint"]["key"]
    accepted({**small, "artifacts": [f"checkpoint/{done}"]}, **upstream)


def test_too_little_memory_is_refused_with_what_would_fit() -> None:
    small = host(memory_bytes=64 * 10**9)
    said = refused(small, precision="int8_weight_only")["trtllm_model"]
    assert "trtllm_precision float16 with the native converter, which needs 1.07 GB" in said
    said = refused(small, release="0.8.0", image=IMAGE)["trtllm_model"]
    assert "a smaller model, or trtllm_engine_dir" in said and "native" not in said
    assert "trtllm_model" in refused(host(memory_bytes=10**9))


def test_weight_only_is_not_suggested_with_the_native_converter() -> None:
    one = {"model": "llama-3.1-8b", "parallelism": {"tensor": 1}}
    facts = host("VM.GPU.A10.1", gpus=[{"name": "NVIDIA T4", "memory_mib": 15360}])
    assert "int8_weight_only" in str(refused(facts, **one))
    assert "int8_weight_only" not in str(refused(facts, converter="native", **one))


def test_disk_counts_what_is_still_to_be_written() -> None:
    full = host(disk_free_bytes=100 * 10**9)
    plan = plan_for(full)
    assert waivable(plan) == {"disk_space": "trtllm_root"}
    assert "has 100 GB free, but 284 GB is needed: weights 93.4 GB" in plan["refusals"][0]["message"]
    roomy = accepted()
    there = [f"{kind}/{roomy['artifacts'][kind]['key']}" for kind in ("weights", "checkpoint")]
    again = accepted({**full, "artifacts": there})
    assert (
        again["budget"]["disk_missing"] == again["artifacts"]["engine"]["bytes"] + again["artifacts"]["image"]["bytes"]
    )
    assert {step["what"]: step["action"] for step in again["steps"]}["weights"] == "reuse"
