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
    request = {"model": quantised, "profile": "llmapi"} if precision == "fp8" else {"model": "tinyllama-1.1b-chat"}
    variable = "trtllm_model" if precision == "fp8" else "trtllm_precision"
    for said in ({}, {"precision": precision})[precision == "bfloat16" :]:
        assert "compute capability" in refused(host(gpus=[too_old] * 8), **request, **said)[variable]
        accepted(host(gpus=[able] * 8), **request, **said)
    if precision == "bfloat16":
        assert refused(host(gpus=[old]), **request, precision=precision)["trtllm_precision"] == (
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


TURING = [{"name": "Tesla T4", "memory_mib": 15360}] * 8


@pytest.mark.parametrize("release", [name for name in CATALOGUE.releases if "llmapi" in CATALOGUE.releases[name]])
def test_the_llm_api_does_not_run_on_gpus_that_upstream_does_not_test(release: str) -> None:
    request = {"model": "tinyllama-1.1b-chat", "release": release, "precision": "float16"}
    assert "7.5, but 8.0 is needed" in refused(host(gpus=TURING), **request, profile="llmapi")["trtllm_release"]
    assert warned("compute capability 7.5", host(gpus=TURING), **request)
    oldest_tested = host(gpus=[{**TURING[0], "name": "NVIDIA A100-PCIE-40GB"}])
    accepted(oldest_tested, **request, profile="llmapi")
    assert not warned("compute capability", oldest_tested, **request)


def test_gpus_that_a_version_was_tested_on_are_not_warned_about() -> None:
    assert not warned("compute capability", host(gpus=TURING), model="tinyllama-1.1b-chat", release="0.14.0")


def test_another_profile_can_run_on_gpus_that_the_llm_api_cannot() -> None:
    found = refused(host(gpus=TURING), model="tinyllama-1.1b-chat", profile="llmapi")["trtllm_release"]
    assert "(TensorRT-LLM 1.2.1 supports 8.0 or later): use other GPUs: no version supports these" in found
    assert "with profile llmapi" in found


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


def folders() -> dict[str, str]:
    """The folders of the default deployment, relative to the root folder."""
    disk = accepted(host(disk_free_bytes=10**13))["needs"]["disk"]
    return {part["what"]: part["path"].removeprefix("/opt/trtllm/") for part in disk}


def test_a_disk_that_is_too_small_names_what_prune_would_free() -> None:
    prune = "run ansible-playbook tritonops.trtllm.prune -e trtllm_prune=remove, which frees 80 GB, or use a folder"
    # What the plan uses again is not freed, nor what was written of it.
    own = {folders()["weights"]: 10**11, f"{folders()['engine']}.partial": 10**9}
    unneeded = {"engine/00000000000000aa": 8 * 10**10 - 5, "deployments/default/releases/old": 5}
    facts = host(disk_free_bytes=10**9, artifacts=[], prunable={**own, **unneeded})
    (refusal,) = plan_for(facts)["refusals"]
    assert (refusal["check"], refusal["advice"]) == ("disk_space", f"{prune} on a larger file system")
    (refusal,) = plan_for({**facts, "prunable": own})["refusals"]
    assert refusal["advice"] == "use a folder on a larger file system"
    assert plan_for({**facts, "prunable": ["nonsense"]})["refusals"] == [refusal]
    assert plan_for({**facts, "prunable": {**own, "engine/x": "80 GB", 7: 80}})["refusals"] == [refusal]


def test_a_disk_that_will_not_hold_the_next_release_is_a_warning() -> None:
    sizes = {part["what"]: part["bytes"] for part in accepted(host(disk_free_bytes=10**13))["needs"]["disk"]}
    size = sum(size for what, size in sizes.items() if what != "image")
    enough, less = host(disk_free_bytes=2 * size, artifacts=[]), host(disk_free_bytes=2 * size - 10**9, artifacts=[])
    assert not warned("another one of this size", enough) and warned("another one of this size", less)
    prunable = {"engine/00000000000000aa": 8 * 10**10}
    assert warned("; prune would free 80 GB (ansible-playbook tritonops.trtllm.prune", {**less, "prunable": prunable})
    assert not warned("prune would free", less)
    # What is there already needs no space.
    there = [name for what, name in folders().items() if what != "image"]
    assert not warned("another one of this size", host(disk_free_bytes=size, artifacts=there))
    assert warned("another one of this size", host(disk_free_bytes=size - 10**9, artifacts=there))
    # Nothing is known about the disk of a shape, or of a host that does not exist yet.
    assert not warned("another one of this size", host(disk_free_bytes=2 * size - 10**9))


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
    assert refusal["variable"].startswith(("trtllm_", "haproxy_")) and refusal["check"] == check
