# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings about settings that work but may disappoint."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, host, warned


def test_an_older_driver_of_the_same_cuda_is_warned_of() -> None:
    assert warned("the driver is 580.95, but the image was built for 590.44.01", host(driver_version="580.95"))
    assert not warned("driver", host(driver_version="590.44.01"))


@pytest.mark.parametrize(
    ("version", "warns"), [("1.16.1", True), ("1.17.8", True), ("1.19.1", False), ("1.20.0~rc.1", False), (None, False)]
)
def test_an_old_container_toolkit_gives_a_warning(version: str | None, warns: bool) -> None:
    assert warned("nvidia-container-toolkit", host(container_toolkit=version)) is warns


def test_a_batch_of_one_is_warned_of() -> None:
    assert warned("serves one request at a time", limits={"max_batch_size": 1})
    assert not warned("serves one request at a time")


def test_instances_on_gpus_give_a_warning() -> None:
    overrides = {"tensorrt_llm": {"instance_group": [{"count": 1, "kind": "KIND_GPU"}]}}
    assert warned("KIND_GPU", repository_overrides=overrides)
    assert not warned("KIND_GPU", repository_overrides={"tensorrt_llm": {"instance_group": [{"kind": "KIND_CPU"}]}})


@pytest.mark.parametrize("release", CATALOGUE.releases)
@pytest.mark.parametrize("shape", ["BM.GPU4.8", "VM.GPU.A10.1"])
@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_defaults_are_not_warned_of(release: str, profile: str, shape: str) -> None:
    if profile in CATALOGUE.releases[release]["profiles"]:
        facts = facts_of_shape(CATALOGUE.shapes[shape])
        assert accepted(facts, release=release, profile=profile, image=IMAGE, model="mistral-7b")["warnings"] == []


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
def test_a_tokenizer_that_does_not_match_the_weights_gives_a_warning(model: str, tokenizer: Any, warns: bool) -> None:
    assert warned("trtllm_tokenizer", model=model, tokenizer=tokenizer) is warns


def test_more_sequences_than_the_cache_holds_give_a_warning() -> None:
    assert warned("sequences of 32768 tokens", limits={"max_batch_size": 256, "max_seq_len": 32768})


def test_limits_that_the_llm_api_has_not_are_warned_of() -> None:
    assert warned("ignored: max_input_len", profile="llmapi", limits={"max_input_len": 512})
    assert not warned("and ignored", profile="llmapi", limits={"max_seq_len": 4096})


@pytest.mark.parametrize(("revision", "warns"), [("main", True), ("1" * 40, False), ("1" * 7, True)])
def test_a_revision_that_can_change_is_warned_of(revision: str, warns: bool) -> None:
    model = {"preset": "mixtral-8x7b-instruct", "revision": revision}
    assert warned("is not a commit", model=model) is warns
    # Nothing is downloaded from a hub.
    assert not warned("is not a commit", model=model, weights={"path": "/srv/weights"})


@pytest.mark.parametrize(
    ("method", "warns"), [("awq", True), ("compressed-tensors", True), ("fp8", False), ("", False)]
)
def test_quantised_weights_whose_size_is_not_known_are_warned_of(method: str, warns: bool) -> None:
    model = {"preset": "mixtral-8x7b-instruct", "quantization": method}
    assert warned(f"is quantised ({method})", host("BM.GPU.H100.8"), profile="llmapi", model=model) is warns


def test_a_placeholder_can_be_left_unfilled() -> None:
    plan = accepted(repository_parameters={"preprocessing": {"engine_dir": None}})
    assert "engine_dir" not in plan["model_repo"]["release"]["parameters"]["preprocessing"]


def test_a_misspelt_argument_of_the_llm_api_gives_a_warning() -> None:
    def asked(name: str) -> bool:
        return warned(
            "did you mean kv_cache_config", profile="llmapi", repository_parameters={"tensorrt_llm": {name: {}}}
        )

    assert asked("kv_cach_config")
    assert not asked("kv_cache_config") and not asked("speculative_config")


def test_prompts_longer_than_a_step_give_a_warning() -> None:
    limits = {"max_input_len": 4096, "max_seq_len": 8192}
    for profile, name in (("engine", "enable_chunked_context"), ("llmapi", "enable_chunked_prefill")):
        request: dict[str, Any] = {"profile": profile, "limits": {**limits, "max_num_tokens": 2048}}
        assert warned("max_num_tokens 2048", **request) and warned(f"set {name}: true", **request)
        assert not warned("max_num_tokens", **request, repository_parameters={"tensorrt_llm": {name: True}})
    assert not warned("max_num_tokens", limits=limits)


def test_gpus_of_unknown_memory_give_a_warning() -> None:
    unknown = {"gpus": [{"name": "NVIDIA A100-SXM4-40GB"}]}
    assert warned("memory is not known", unknown)
    assert not warned("memory is not known")
