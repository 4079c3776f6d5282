# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the host against the plan, with the checks of preflight."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import CHECKS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _host_checks
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    accepted,
    heeded,
    host,
    plan_for,
    refused,
    waivable,
    warned,
)


@pytest.mark.parametrize("precision", ["bfloat16", "fp8"])
def test_a_gpu_must_support_the_precision(precision: str) -> None:
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
        assert refused(host(gpus=[old]), **request)["trtllm_precision"] == (
            "compute capability of GPU 0: 7.5, but 8.0 is needed (for bfloat16): use float16"
        )
        accepted(host(gpus=[old]), **request, precision="float16")


@pytest.mark.parametrize(
    ("release", "gpu", "capability", "says"),
    [
        ("0.14.0", "Tesla V100-SXM2-32GB", "7.0", ""),
        ("0.15.0", "Tesla V100-SXM2-32GB", "7.0", "7.0, but 7.5 is needed (TensorRT-LLM 0.15.0 supports 7.5 to 9.0)"),
        (
            "1.2.1",
            "Tesla V100-SXM2-32GB",
            "7.0",
            "(TensorRT-LLM 1.2.1 supports 7.5 or later): use trtllm_release 0.14.0",
        ),
        ("1.2.1", "Tesla P100-PCIE-16GB", "6.0", "use other GPUs: no version supports these"),
        (
            "0.16.0",
            "NVIDIA B200",
            "10.0",
            "10.0, but at most 9.0 is supported (TensorRT-LLM 0.16.0 supports 7.5 to 9.0)",
        ),
        ("0.16.0", "NVIDIA RTX PRO 6000", "12.0", ": use trtllm_release 1.2.1 or other GPUs"),
        ("0.17.0", "NVIDIA RTX PRO 6000", "12.0", ""),
        ("0.8.0", "NVIDIA H100 80GB HBM3", "9.0", ""),
        ("0.8.0", "NVIDIA of the future", None, ""),
    ],
)
def test_a_version_must_support_the_gpus(release: str, gpu: str, capability: str | None, says: str) -> None:
    gpus = [{"name": gpu, "memory_mib": 32768, "compute_capability": capability}] * 8
    found = refused(host(gpus=gpus), release=release, model="tinyllama-1.1b-chat")
    assert list(found) == (["trtllm_release"] if says else [])
    assert says in found.get("trtllm_release", "")


def test_an_a100_does_not_support_fp8() -> None:
    messages = [entry["message"] for entry in plan_for(precision="fp8")["refusals"]]
    assert "compute capability of GPUs 0-7: 8.0, but 8.9 is needed (for fp8): use float16 or bfloat16" in messages


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_cuda_13_requires_a_recent_driver(profile: str) -> None:
    facts = host(driver_version="570.124.06")
    request: dict[str, Any] = {"model": "llama-3.1-8b", "profile": profile}
    plan = make_plan(request, facts, CATALOGUE)
    (refusal,) = plan["refusals"]
    assert refusal["variable"] == "trtllm_release" and "CUDA needs 580 or later" in refusal["message"]
    heeded(request, facts, refusal)
    assert request["release"] == "1.0.0"
    assert make_plan(request, facts, CATALOGUE)["refusals"] == []
    accepted(host(driver_version="580.65.06"), **{**request, "release": "1.2.1"})


def test_a_driver_that_nothing_runs_with() -> None:
    assert "no TensorRT-LLM version works with this one" in refused(host(driver_version="470.1"))["trtllm_release"]


def test_findings_of_preflights_checks_are_refused_with_their_names() -> None:
    small = {"name": "NVIDIA A10", "memory_mib": 23028, "compute_capability": "8.6"}
    other = {**small, "name": "NVIDIA L4"}
    facts = host(gpus=[small, other], memory_bytes=1 << 30, disk_free_bytes=10**9, root_foreign=["etc"])
    plan = plan_for(facts, server={"shm_size": "2g"}, preflight_gpus={"count": 8})
    checks = [refusal["check"] for refusal in plan["refusals"]]
    assert checks == ["root_foreign", "gpu_count", "gpu_mixed", "gpu_memory", "disk_space", "shm"]
    assert all(refusal["message"].endswith(refusal["advice"]) for refusal in plan["refusals"])
    assert set(waivable(plan)) == {"gpu_mixed", "gpu_memory", "disk_space", "shm"}


def test_facts_that_are_not_recorded_are_not_checked() -> None:
    unknown = host(memory_bytes=None, disk_free_bytes=None, driver_version=None, gpus=[{"name": "NVIDIA GPU"}] * 8)
    plan = accepted(unknown, precision="bfloat16", preflight_gpus={"memory_mib": 1 << 20, "compute_capability": "99.0"})
    assert plan["needs"]["gpus"]["memory_mib"] == 1 << 20


def test_expected_gpus_are_checked_in_addition_to_the_plans_needs() -> None:
    name = host()["gpus"][0]["name"]
    plan = accepted(parallelism={"tensor": 4}, preflight_gpus={"count": 2, "memory_mib": 1, "name": name})
    gpus = plan["needs"]["gpus"]
    assert (gpus["name"], gpus["count"], gpus["memory_mib"] > 1) == (name, 4, True)


@pytest.mark.parametrize(
    ("expected", "check"),
    [({"count": 16}, "gpu_count"), ({"memory_mib": 81920}, "gpu_memory"), ({"name": "NVIDIA L40S"}, "gpu_model")],
)
def test_a_host_with_other_gpus_than_expected_is_refused(expected: dict[str, Any], check: str) -> None:
    (refusal,) = plan_for(preflight_gpus=expected)["refusals"]
    assert refusal["check"] == check and refusal["variable"].startswith("trtllm_preflight_gpus")


def test_possible_problems_are_warnings() -> None:
    small = {"server": {"shm_size": "64m"}}
    assert warned("a /dev/shm of 67.1 MB is too small for 8 ranks", **small)
    assert not warned("/dev/shm", waive=["shm"], **small)


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_a_finding_of_any_check_can_refuse_a_plan(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those whose need no variable sets: recorded facts may contain more than today."""
    found = {"id": check, "severity": "error", "message": "wrong", "remedy": "repair it", "waivable": False}
    monkeypatch.setattr(_host_checks, "judge", lambda *_args: [found])
    (refusal,) = plan_for()["refusals"]
    assert refusal["variable"].startswith("trtllm_") and refusal["check"] == check
