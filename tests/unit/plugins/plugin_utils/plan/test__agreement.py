# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the model repository that must agree with other variables and with the engine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, refused, warned

PARAMETERS = "trtllm_repository_parameters.tensorrt_llm"
PAGED = ["--use_paged_context_fmha", "enable"]


def given(**values: Any) -> dict[str, Any]:
    """A request with these parameters of the model that computes."""
    return {"repository_parameters": {"tensorrt_llm": values}}


def build(release: str, **request: Any) -> list[str]:
    argv: list[str] = accepted(release=release, image=IMAGE, **request)["engine_build"]["engine"]["command"]
    return argv


# --- what a parameter needs from the engine ---------------------------------------------------------------------------


@pytest.mark.parametrize("release", CATALOGUE.releases)
@pytest.mark.parametrize(
    "values", [{"enable_kv_cache_reuse": "True"}, {"enable_kv_cache_reuse": 1}, {"enable_chunked_context": True}]
)
def test_reuse_and_chunks_bring_paged_context_attention(release: str, values: dict[str, Any]) -> None:
    default = CATALOGUE.releases[release]["build"]["flags"][PAGED[0]]["default"]
    known = CATALOGUE.releases[release]["placeholders"]["tensorrt_llm"]["optional"]
    if set(values) <= set(known):
        added = build(release, **given(**values))
        assert (added[-2:] == PAGED) is (default == "disable")
    assert PAGED[0] not in build(release)


def test_reuse_that_is_switched_off_needs_nothing() -> None:
    assert PAGED[0] not in build("0.9.0", repository_parameters={"tensorrt_llm": {"enable_kv_cache_reuse": "False"}})


@pytest.mark.parametrize("flag", ["use_paged_context_fmha", "context_fmha"])
def test_an_option_that_disables_what_a_parameter_needs_is_refused(flag: str) -> None:
    said = refused(release="0.16.0", build_options={flag: "disable"}, **given(enable_kv_cache_reuse="true"))
    assert f"trtllm_build_options.{flag} disables" in said[f"{PARAMETERS}.enable_kv_cache_reuse"]


def test_an_existing_engine_must_be_built_for_reuse() -> None:
    request = {"release": "0.9.0", "engine_dir": "/srv/engine", "image": IMAGE}
    assert warned("built with --use_paged_context_fmha enable", **request, **given(enable_kv_cache_reuse="True"))
    assert not warned("built with", **request)


@pytest.mark.parametrize(
    ("values", "option", "value"),
    [
        ({"lora_cache_max_adapter_size": "64"}, "lora_plugin", "auto"),
        ({"lora_cache_host_memory_bytes": 1 << 30}, "lora_plugin", "float16"),
        ({"gpu_weights_percent": "0.5"}, "weight_streaming", True),
        ({"medusa_choices": "[0]"}, "speculative_decoding_mode", "medusa"),
        ({"decoding_mode": "lookahead"}, "speculative_decoding_mode", "lookahead_decoding"),
        ({"lookahead_window_size": 4}, "speculative_decoding_mode", "lookahead_decoding"),
    ],
)
def test_a_parameter_of_a_feature_needs_an_engine_with_it(values: dict[str, Any], option: str, value: Any) -> None:
    said = refused(**given(**values))
    assert f"set trtllm_build_options.{option}" in said[f"{PARAMETERS}.{next(iter(values))}"]
    assert accepted(build_options={option: value}, **given(**values))


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "limits", "agrees"),
    [
        ({"max_beam_width": "4"}, {}, False),
        ({"max_beam_width": "1"}, {}, True),
        ({"max_beam_width": 2}, {"max_beam_width": 2}, True),
        ({"max_beam_width": 2}, {"max_beam_width": 4}, False),
        ({"triton_max_batch_size": "64"}, {}, False),
        ({"triton_max_batch_size": 16}, {"max_batch_size": 8}, False),
        ({"triton_max_batch_size": "8"}, {"max_batch_size": 8}, True),
        # Null leaves upstream's default, one beam.
        ({"max_beam_width": None}, {"max_beam_width": 4}, False),
        ({"max_beam_width": None}, {}, True),
    ],
)
def test_a_parameter_is_the_limit_of_the_engine(values: dict[str, Any], limits: dict[str, Any], agrees: bool) -> None:
    found = refused(release="0.16.0", limits=limits, **given(**values))
    name = next(iter(values))
    assert (f"{PARAMETERS}.{name}" not in found) is agrees
    if not agrees:
        limit = "max_beam_width" if "beam" in name else "max_batch_size"
        assert f"use trtllm_limits.{limit} instead" in found[f"{PARAMETERS}.{name}"]


@pytest.mark.parametrize("model", ["ensemble", "preprocessing", "tensorrt_llm", "tensorrt_llm_bls"])
@pytest.mark.parametrize("size", [0, 4096])
def test_a_batch_size_in_the_configuration_is_that_of_the_engine(model: str, size: int) -> None:
    said = refused(repository_overrides={model: {"max_batch_size": size}}, limits={"max_batch_size": 8})
    assert "use trtllm_limits.max_batch_size" in said[f"trtllm_repository_overrides.{model}.max_batch_size"]


def test_a_parameter_in_the_configuration_counts_too() -> None:
    fields = {"parameters": {"max_beam_width": {"string_value": "4"}}}
    said = refused(repository_overrides={"tensorrt_llm": fields})
    assert list(said) == ["trtllm_repository_overrides.tensorrt_llm.parameters.max_beam_width"]


@pytest.mark.parametrize("name", ["max_batch_size", "max_seq_len", "max_num_tokens"])
def test_an_argument_of_the_llm_api_is_the_limit(name: str) -> None:
    said = refused(profile="llmapi", **given(**{name: 4096}))
    assert f"use trtllm_limits.{name} instead" in said[f"{PARAMETERS}.{name}"]
    assert accepted(profile="llmapi", limits={name: 4096}, **given(**{name: "4096"}))


@pytest.mark.parametrize(
    ("name", "value", "variable"),
    [
        ("tensor_parallel_size", 2, "trtllm_parallelism.tensor"),
        ("moe_expert_parallel_size", 4, "trtllm_parallelism.moe_expert"),
        ("dtype", "float32", "trtllm_precision"),
        ("model", "me/other", "trtllm_model"),
        ("tokenizer", "me/other", "trtllm_tokenizer"),
    ],
)
def test_an_argument_of_the_llm_api_is_that_of_the_request(name: str, value: Any, variable: str) -> None:
    assert variable in refused(profile="llmapi", **given(**{name: value}))[f"{PARAMETERS}.{name}"]


# --- the KV cache -----------------------------------------------------------------------------------------------------


def cache(**request: Any) -> int:
    size: int = accepted(**request)["budget"]["gpu"]["kv_cache"]
    return size


@pytest.mark.parametrize(
    ("profile", "values"),
    [
        ("engine", {"kv_cache_free_gpu_mem_fraction": "0.2"}),
        ("llmapi", {"kv_cache_config": {"free_gpu_memory_fraction": 0.2}}),
    ],
)
def test_a_fraction_among_the_parameters_is_calculated_with(profile: str, values: dict[str, Any]) -> None:
    limits = {"max_batch_size": 8, "max_seq_len": 2048, "max_num_tokens": 8192}
    same = cache(profile=profile, limits={**limits, "kv_cache_fraction": 0.2})
    assert cache(profile=profile, limits=limits, **given(**values)) == same
    assert same < cache(profile=profile, limits=limits) / 4
    variable = next(iter(refused(profile=profile, limits={"kv_cache_fraction": 0.5}, **given(**values))))
    assert variable.startswith(PARAMETERS)


@pytest.mark.parametrize("fraction", ["90", 0, -1, "much", True, []])
def test_a_fraction_among_the_parameters_is_checked(fraction: Any) -> None:
    said = refused(**given(kv_cache_free_gpu_mem_fraction=fraction))
    assert "at most 1" in said[f"{PARAMETERS}.kv_cache_free_gpu_mem_fraction"]
    said = refused(profile="llmapi", **given(kv_cache_config={"free_gpu_memory_fraction": fraction}))
    assert "at most 1" in said[f"{PARAMETERS}.kv_cache_config.free_gpu_memory_fraction"]


def test_a_fraction_that_is_left_to_upstream_is_its_default() -> None:
    assert accepted(**given(kv_cache_free_gpu_mem_fraction=None))
    said = refused(limits={"kv_cache_fraction": 0.5}, **given(kv_cache_free_gpu_mem_fraction=None))
    assert "the plan has 0.5" in said[f"{PARAMETERS}.kv_cache_free_gpu_mem_fraction"]


def test_a_number_of_tokens_limits_the_cache() -> None:
    limits = {"max_seq_len": 4096}
    assert accepted(limits=limits, **given(max_tokens_in_paged_kv_cache=8192))["budget"]["gpu"]["kv_tokens"] == 8192
    said = refused(limits=limits, **given(max_tokens_in_paged_kv_cache="2048"))
    assert "at least 4096" in said[f"{PARAMETERS}.max_tokens_in_paged_kv_cache"]
    said = refused(profile="llmapi", limits=limits, **given(kv_cache_config={"max_tokens": "x"}))
    assert "whole number" in said[f"{PARAMETERS}.kv_cache_config.max_tokens"]


def test_blocks_have_the_size_of_the_build() -> None:
    held = accepted(build_options={"tokens_per_block": 128}, limits={"max_seq_len": 4096})["budget"]["gpu"]["kv_tokens"]
    assert held % 128 == 0


# --- beams ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("release", "filled"), [("0.16.0", None), ("0.21.0", "False"), ("1.2.1", "False")])
def test_beams_switch_off_the_reuse_of_blocks(release: str, filled: str | None) -> None:
    request: dict[str, Any] = {"release": release, "image": IMAGE, "limits": {"max_beam_width": 4}}
    parameters = accepted(**request)["model_repo"]["release"]["parameters"]["tensorrt_llm"]
    assert parameters.get("enable_kv_cache_reuse") == filled
    assert warned("not reused", **request) is bool(filled)
    assert "remove one of them" in str(refused(**request, **given(enable_kv_cache_reuse=True)))
    assert ("remove one of them" in str(refused(**request, **given(enable_kv_cache_reuse=None)))) is bool(filled)


def test_the_llm_api_has_no_beams() -> None:
    said = refused(profile="llmapi", limits={"max_beam_width": 4})
    assert "use profile engine" in said["trtllm_limits.max_beam_width"]


@pytest.mark.parametrize(
    ("mode", "beams", "agrees"),
    [("beam_search", 1, False), ("beam_search", 2, True), ("top_k", 2, False), ("top_p", 1, True)],
)
def test_beams_and_the_decoding_mode_agree(mode: str, beams: int, agrees: bool) -> None:
    found = refused(limits={"max_beam_width": beams}, **given(decoding_mode=mode))
    assert (f"{PARAMETERS}.decoding_mode" not in found) is agrees


# --- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
@pytest.mark.parametrize("streaming", [True, False])
def test_streaming_has_one_source(profile: str, streaming: bool) -> None:
    fields = {"tensorrt_llm": {"model_transaction_policy": {"decoupled": not streaming}}}
    said = refused(profile=profile, streaming=streaming, repository_overrides=fields)
    assert "contradicts trtllm_streaming" in str(said)

    def parameter(decoupled: bool) -> dict[str, Any]:
        of_llm_api = {"triton_config": {"decoupled": decoupled}}
        return given(**({"decoupled_mode": str(decoupled)} if profile == "engine" else of_llm_api))

    said = refused(profile=profile, streaming=streaming, **parameter(not streaming))
    assert "contradicts trtllm_streaming" in str(said)
    assert accepted(profile=profile, streaming=streaming, **parameter(streaming))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"engine_dir": "/srv/engine"}, "use trtllm_engine_dir"),
        ({"logits_datatype": "TYPE_FP16"}, "use trtllm_build_options.logits_dtype"),
        ({"cross_kv_cache_fraction": 0.5}, "has no encoder"),
        ({"gpu_device_ids": "0;1"}, "one instance"),
        ({"triton_max_batch_size": None}, "cannot read the configuration"),
        ({"logits_datatype": None}, "cannot read the configuration"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused(values: dict[str, Any], words: str) -> None:
    assert words in refused(**given(**values))[f"{PARAMETERS}.{next(iter(values))}"]


def test_unfused_batches_cannot_stream() -> None:
    assert "cannot stream" in str(refused(release="0.9.0", **given(batching_strategy="V1")))
    assert accepted(release="0.9.0", streaming=False, **given(batching_strategy="V1"))


def test_the_logits_have_the_data_type_of_the_engine() -> None:
    parameters = accepted(build_options={"logits_dtype": "float16"})["model_repo"]["release"]["parameters"]
    filled = {values["logits_datatype"] for values in parameters.values() if "logits_datatype" in values}
    assert filled == {"TYPE_FP16"}
    assert accepted(build_options={"logits_dtype": "float16"}, **given(logits_datatype="TYPE_FP16"))


@pytest.mark.parametrize("groups", [[{"count": 2, "kind": "KIND_CPU"}], [{"count": 1}, {"count": 1}]])
def test_a_model_has_one_instance(groups: Any) -> None:
    said = refused(repository_overrides={"tensorrt_llm": {"instance_group": groups}})
    assert "trtllm_deployments" in said["trtllm_repository_overrides.tensorrt_llm.instance_group"]
    assert accepted(repository_overrides={"preprocessing": {"instance_group": groups}})
