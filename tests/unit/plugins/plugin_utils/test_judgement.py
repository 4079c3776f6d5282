# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused says what would do instead, and that does; what disappoints is warned of."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    host,
    plan_for,
    refused,
)

WITH_GPUS = [name for name in CATALOGUE.shapes if CATALOGUE.shapes[name]["gpus"]["count"]]


def waivable(plan: dict[str, Any]) -> dict[str, str]:
    return {entry["waive"]: entry["variable"] for entry in plan["refusals"] if entry["waive"]}


def warned(text: str, *args: Any, **request: Any) -> bool:
    return any(text in warning for warning in accepted(*args, **request)["warnings"])


# --- what a refusal says would do, does do ----------------------------------------------------------------------------


def heeded(request: dict[str, Any], facts: dict[str, Any], refusal: dict[str, Any]) -> None:
    """Change the request, or the host, as the refusal says."""
    variable, message = refusal["variable"].removeprefix("trtllm_"), refusal["message"]
    if variable == "parallelism":
        numbers = re.search(r"\{tensor: (\d+), pipeline: (\d+)\} fits", message)
        assert numbers, message
        request["parallelism"] = {"tensor": int(numbers[1]), "pipeline": int(numbers[2])}
    elif variable.startswith("limits"):
        name = variable.partition(".")[2]
        pairs = re.findall(r"(\w+): (\d+)[,}]", message) or [(name, re.search(r": (\d+) would do", message)[1])]
        request["limits"] = {**request["limits"], **{key: int(value) for key, value in pairs}}
    elif variable == "precision":
        request["precision"] = re.search(r": (\w+)( or \w+)? would do", message)[1]
    elif variable == "release":
        request["release"] = re.search(r"trtllm_release (\S+) works", message)[1]
    else:
        number = re.search(r"(\d+) such GPUs would do", message)
        assert variable == "model" and number, refusal
        facts["gpus"] = facts["gpus"][:1] * int(number[1])


@pytest.mark.parametrize("shape", WITH_GPUS)
@pytest.mark.parametrize("model", CATALOGUE.models)
def test_what_does_not_fit_names_what_would(model: str, shape: str) -> None:
    """No advice has to be followed up by more than one other (as int8, and then fewer GPUs)."""
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


def test_one_advice_is_enough_where_one_thing_is_wrong() -> None:
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
    assert re.search(r"\{max_seq_len: \d+, max_input_len: \d+\} would do", found["trtllm_limits"])


def test_two_changes_are_said_where_one_does_not_do() -> None:
    facts, request = host("VM.GPU.A10.1"), {"model": "llama-3.1-8b", "precision": "float32", "profile": "llmapi"}
    plan = make_plan({**request, "limits": {"max_num_tokens": 1 << 20}}, facts, CATALOGUE)
    assert [entry["variable"] for entry in plan["refusals"]] == ["trtllm_limits.max_num_tokens", "trtllm_precision"]
    assert all(entry["message"].endswith("would do with the other") for entry in plan["refusals"])


def test_too_few_gpus_names_what_fits_on_them() -> None:
    four = host(gpus=host()["gpus"][:4])
    message = refused(four, parallelism={"tensor": 8})["trtllm_parallelism"]
    assert message == "tensor x pipeline needs 8 GPUs, the host has 4: {tensor: 4, pipeline: 1} fits"
    assert accepted(four)["parallelism"]["world_size"] == 4


def test_a_host_without_gpus() -> None:
    bare = host("rehearsal")
    assert "install the driver" in refused(bare, model="smollm2-135m-instruct")["trtllm_gpus_required"]
    assert warned("needs none", bare, model="smollm2-135m-instruct", gpus_required=False)


def test_memory_of_the_gpus_can_be_waived_as_an_estimate() -> None:
    tight = {"parallelism": {"tensor": 1, "pipeline": 1}}
    assert waivable(plan_for(**tight)) == {"gpu_memory": "trtllm_parallelism"}
    assert warned("waived gpu_memory: trtllm_parallelism", plan_waive=["gpu_memory"], **tight)
    assert waivable(plan_for(plan_waive=["disk"], **tight)) == {"gpu_memory": "trtllm_parallelism"}


def test_memory_to_convert_in() -> None:
    small = host(memory_bytes=64 * 10**9)
    plan = plan_for(small)
    assert waivable(plan) == {"host_memory": "trtllm_model"}
    assert "187 GB of memory, the host has 64 GB" in plan["refusals"][0]["message"]
    accepted(small, engine_dir="/srv/engine")
    accepted(small, profile="llmapi")
    accepted(small, model="llama-3.1-8b")
    done = accepted()["convert"]["key"]
    accepted({**small, "artifacts": [f"checkpoint/{done}"]})


def test_disk_counts_what_is_still_to_be_written() -> None:
    full = host(disk_free_bytes=100 * 10**9)
    plan = plan_for(full)
    assert waivable(plan) == {"disk": "trtllm_root"}
    assert "284 GB are still to be written, 100 GB are free" in plan["refusals"][0]["message"]
    roomy = accepted()
    there = [f"weights/{roomy['weights']['key']}", f"checkpoint/{roomy['convert']['key']}"]
    again = accepted({**full, "artifacts": there})
    assert again["budget"]["disk_missing"] == again["build"]["bytes"] + again["image"]["bytes"]
    assert {step["what"]: step["action"] for step in again["steps"]}["weights"] == "reuse"


# --- the host against the image ---------------------------------------------------------------------------------------


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


def test_an_older_driver_of_the_same_cuda_is_warned_of() -> None:
    assert warned("made for driver 590.44.01, the host has 580.95", host(driver_version="580.95"))
    assert warned("driver is not known", host(driver_version=None))
    assert not warned("driver", host(driver_version="590.44.01"))


@pytest.mark.parametrize(
    ("version", "warns"), [("1.16.1", True), ("1.17.8", True), ("1.19.1", False), ("1.20.0~rc.1", False), (None, False)]
)
def test_the_container_toolkit_has_a_floor(version: str | None, warns: bool) -> None:
    assert warned("nvidia-container-toolkit", host(container_toolkit=version)) is warns


# --- exposure ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", CATALOGUE.releases)
@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.2.3", "::", "gpu-1.example"])
def test_a_vulnerable_release_is_not_exposed_unless_it_is_accepted_by_name(release: str, address: str) -> None:
    request: dict[str, Any] = {"release": release, "image": IMAGE, "server": {"address": address}}
    plan = plan_for(**request)
    assert waivable(plan) == {"exposed_vulnerable_release": "trtllm_server.address"}
    assert "CVE-" in plan["refusals"][0]["message"] and "127.0.0.1" in plan["refusals"][0]["message"]
    assert warned("no authentication", plan_waive=["exposed_vulnerable_release"], **request)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback_is_not_exposed(address: str) -> None:
    assert not warned("no authentication", server={"address": address})


def test_the_worst_vulnerability_comes_first_and_fixed_ones_are_not_named() -> None:
    oldest, newest = accepted(release="0.8.0")["vulnerabilities"], accepted()["vulnerabilities"]
    worst = {entry["id"]: entry.get("cvss") or 0 for entry in CATALOGUE.vulnerabilities}
    assert [worst[name] for name in oldest] == sorted((worst[name] for name in oldest), reverse=True)
    assert set(newest) < set(oldest)
    assert "CVE-2025-23254" in oldest and "CVE-2025-23254" not in accepted(release="0.18.2")["vulnerabilities"]


# --- what works, and disappoints --------------------------------------------------------------------------------------


def test_a_batch_of_one_is_warned_of() -> None:
    assert warned("serve one request at a time", limits={"max_batch_size": 1})
    assert not warned("serve one request at a time")


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_a_build_default_of_batch_one_is_warned_of(release: str) -> None:
    by_itself = "by itself would build for batch 1"
    assert warned(by_itself, release=release, image=IMAGE) is (release in ("0.8.0", "0.9.0", "0.10.0"))
    assert not warned(by_itself, release=release, image=IMAGE, limits={"max_batch_size": 8})


def test_instances_on_gpus_are_warned_of() -> None:
    overrides = {"tensorrt_llm": {"instance_group": [{"count": 1, "kind": "KIND_GPU"}]}}
    assert warned("KIND_GPU", repository_overrides=overrides)
    assert not warned("KIND_GPU", repository_overrides={"tensorrt_llm": {"instance_group": [{"kind": "KIND_CPU"}]}})


def test_streaming_is_warned_of() -> None:
    assert warned("decoupled")
    assert not warned("decoupled", streaming=False)


@pytest.mark.parametrize(
    ("model", "tokenizer", "warns"),
    [
        ("mixtral-8x7b", "mixtral-8x7b-instruct", True),
        ("mixtral-8x7b-instruct", "mixtral-8x7b", True),
        ("mixtral-8x7b", {"repository": "me/some-chat", "revision": "1" * 40}, True),
        ("mixtral-8x7b-instruct", "mixtral-8x7b-instruct", False),
        ("mixtral-8x7b-instruct", "", False),
    ],
)
def test_a_tokenizer_that_does_not_go_with_the_weights(model: str, tokenizer: Any, warns: bool) -> None:
    assert warned("trtllm_tokenizer", model=model, tokenizer=tokenizer) is warns


def test_more_sequences_than_the_cache_holds_are_warned_of() -> None:
    assert warned("sequences of 32768 tokens", limits={"max_batch_size": 256, "max_seq_len": 32768})


def test_limits_that_the_llm_api_has_not_are_warned_of() -> None:
    assert warned("max_input_len has no place", profile="llmapi", limits={"max_input_len": 512})
    assert not warned("has no place", profile="llmapi", limits={"max_seq_len": 4096})
