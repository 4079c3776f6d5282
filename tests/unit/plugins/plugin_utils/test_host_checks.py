# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host against the image, and the image against the world."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    accepted,
    heeded,
    host,
    plan_for,
    refused,
)


@pytest.mark.parametrize("precision", ["bfloat16", "fp8"])
def test_a_gpu_must_be_able_to_compute_it(precision: str) -> None:
    quantised = {"preset": "llama-3.1-8b", "repository": "me/Llama-3.1-8B-FP8", "quantization": "fp8"}
    old, a100, h100 = {"name": "Tesla T4", "memory_mib": 15360}, host()["gpus"][0], host("BM.GPU.H100.8")["gpus"][0]
    too_old, able = {"bfloat16": (old, a100), "fp8": (a100, h100)}[precision]
    request = {
        "profile": "llmapi",
        **({"model": quantised} if precision == "fp8" else {"model": "tinyllama-1.1b-chat"}),
    }
    variable = "trtllm_model" if precision == "fp8" else "trtllm_precision"
    for said in ({}, {"precision": precision}):
        assert "compute capability" in refused(host(gpus=[too_old] * 8), **request, **said)[variable]
        accepted(host(gpus=[able] * 8), **request, **said)
    if precision == "bfloat16":
        assert refused(host(gpus=[old]), **request)["trtllm_precision"].endswith("Tesla T4 has 7.5: float16 would do")
        accepted(host(gpus=[old]), **request, precision="float16")


def test_fp8_is_not_for_an_a100() -> None:
    messages = [entry["message"] for entry in plan_for(precision="fp8")["refusals"]]
    assert "fp8 needs compute capability 8.9, NVIDIA A100-SXM4-40GB has 8.0: float16 or bfloat16 would do" in messages


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_cuda_13_needs_a_driver_that_has_it(profile: str) -> None:
    facts = host(driver_version="570.124.06")
    request: dict[str, Any] = {"model": "llama-3.1-8b", "profile": profile}
    plan = make_plan(request, facts, CATALOGUE)
    (refusal,) = plan["refusals"]
    assert refusal["variable"] == "trtllm_release" and "driver 580 or newer" in refusal["message"]
    heeded(request, facts, refusal)
    assert request["release"] == "1.0.0"
    assert make_plan(request, facts, CATALOGUE)["refusals"] == []
    accepted(host(driver_version="580.65.06"), **{**request, "release": "1.2.1"})


def test_a_driver_that_nothing_runs_with() -> None:
    assert "no release works with it" in refused(host(driver_version="470.1"))["trtllm_release"]
