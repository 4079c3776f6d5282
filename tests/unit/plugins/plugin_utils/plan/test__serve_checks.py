# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What trtllm-serve cannot do, and which version is chosen."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import DIGEST, accepted, host, plan_for

NEW_DRIVER = "615.65.02"
SHAPE = {"layers": 2, "heads": 4, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 100, "max_positions": 4096}
OWN = {"repository": "me/own-Instruct", "revision": "a" * 40, "architecture": "LlamaForCausalLM", "shape": SHAPE}
BLACKWELL = {"name": "NVIDIA RTX PRO 6000", "memory_mib": 98304, "compute_capability": "12.0"}
B200 = {"name": "NVIDIA B200", "memory_mib": 183359, "compute_capability": "10.0"}


def refused(facts: Any = None, **request: Any) -> dict[str, str]:
    request = {"model": "qwen2.5-7b-instruct", "profile": "serve", "release": "1.2.1", **request}
    made = plan_for(facts or host("VM.GPU.A10.1"), **request)
    return {entry["variable"]: entry["message"] for entry in made["refusals"]}


def served(facts: Any = None, **request: Any) -> dict[str, Any]:
    request = {"model": "qwen2.5-7b-instruct", "profile": "serve", "release": "1.2.1", **request}
    return accepted(facts or host("VM.GPU.A10.1"), **request)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "variable", "said"),
    [
        ({"converter": "native"}, "trtllm_converter", "nothing is converted"),
        ({"convert_options": {"x": 1}}, "trtllm_convert_options", "nothing is converted"),
        ({"build_options": {"x": 1}}, "trtllm_build_options", "nothing is built"),
        ({"engine_dir": "/srv/e"}, "trtllm_engine_dir", "use trtllm_profile engine"),
        ({"repository_parameters": {"x": {"y": 1}}}, "trtllm_repository_parameters", "use trtllm_serve_config"),
        ({"repository_overrides": {"x": {"y": 1}}}, "trtllm_repository_overrides", "use trtllm_serve_config"),
        ({"streaming": False}, "trtllm_streaming", "remove it"),
        ({"server": {"arguments": ["--log-verbose=1"]}}, "trtllm_server.arguments", "those of Triton"),
        ({"server": {"closed_apis": []}}, "trtllm_server.closed_apis", "those of Triton"),
        ({"image": {"source": "build"}}, "trtllm_image.source", "use registry or archive"),
        ({"image": {"layout": "ngc"}}, "trtllm_image.layout", "use registry or archive"),
        ({"limits": {"max_beam_width": 2}}, "trtllm_limits.max_beam_width", "has no beams"),
        ({"precision": "int8_weight_only"}, "trtllm_precision", "needs trtllm_profile engine"),
        ({"precision": "float32"}, "trtllm_precision", "use one of them"),
        ({"parallelism": {"tensor": 3}}, "trtllm_parallelism.tensor", "does not divide"),
        ({"served_model_name": "a b"}, "trtllm_served_model_name", "must consist of"),
        ({"served_model_name": "../etc"}, "trtllm_served_model_name", "must consist of"),
        ({"served_model_name": "acme/chat"}, "trtllm_served_model_name", "use a name without a slash"),
        ({"serve": {"reasoning_parser": "qwen"}}, "trtllm_serve.reasoning_parser", "did you mean qwen3"),
        ({"serve": {"guided_decoding_backend": "outlines"}}, "trtllm_serve.guided_decoding_backend", "xgrammar"),
        ({"serve": {"kv_cache_type": "int8"}}, "trtllm_serve.kv_cache_type", "auto, fp8, nvfp4"),
        ({"serve": {"kv_cache": "fp8"}}, "trtllm_serve.kv_cache", "did you mean kv_cache_type"),
        ({"serve_config": []}, "trtllm_serve_config", "must be a mapping"),
    ],
)
def test_what_the_profile_cannot_do_is_refused(request_: dict[str, Any], variable: str, said: str) -> None:
    assert said in refused(**request_)[variable]


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"kv_cache_confg": {}}, "kv_cache_confg", "did you mean kv_cache_config"),
        ({"kv_cache_config": {"host_cache": 1}}, "kv_cache_config.host_cache", "did you mean host_cache_size"),
        ({"kv_cache_config": None}, "kv_cache_config", "must be a mapping"),
        ({"kv_cache_config": 1}, "kv_cache_config", "must be a mapping"),
        ({"kv_cache_config": {"free_gpu_memory_fraction": 0.5}}, "kv_cache_config.free_gpu_memory_fraction", "limits"),
        ({"kv_cache_config": {"dtype": "fp8"}}, "kv_cache_config.dtype", "trtllm_serve.kv_cache_type"),
        ({"kv_cache_config": {"use_uvm": "yes"}}, "kv_cache_config.use_uvm", "must be true or false"),
        ({"kv_cache_config": {"max_tokens": 0}}, "kv_cache_config.max_tokens", "at least 1"),
        ({"tensor_parallel_size": 2}, "tensor_parallel_size", "trtllm_parallelism.tensor"),
        ({"max_seq_len": 10}, "max_seq_len", "trtllm_limits.max_seq_len"),
        ({"trust_remote_code": True}, "trust_remote_code", "would run code"),
        ({"env_overrides": {"A": "1"}}, "env_overrides", "the plan sets the environment"),
        ({"otlp_traces_endpoint": "http://x"}, "otlp_traces_endpoint", "no way out"),
        ({"quant_config": {}}, "quant_config", "is for engines"),
        ({"connector_config": {}}, "connector_config", "kv_connector_config instead"),
        ({"stream_interval": "x"}, "stream_interval", "must be a number"),
        ({"sampler_type": 1}, "sampler_type", "must be text"),
        ({"lora_config": {"lora_dir": ["/srv/lora"]}}, "lora_config.lora_dir", "only has that of the model"),
        ({"speculative_config": {"speculative_model": "/srv/m"}}, "speculative_config.speculative_model", "only has"),
    ],
)
def test_a_key_that_the_file_cannot_have_is_refused(config: dict[str, Any], key: str, said: str) -> None:
    assert said in refused(serve_config=config)[f"trtllm_serve_config.{key}"]


def test_fp8_needs_such_weights() -> None:
    said = refused(host("BM.GPU.H100.8"), precision="fp8")["trtllm_precision"]
    assert "use a repository with FP8 weights and profile serve" in said


def test_keys_differ_between_versions() -> None:
    key = {"batch_wait_timeout_ms": 5}
    assert "has no key" in refused(release="1.0.0", serve_config=key)["trtllm_serve_config.batch_wait_timeout_ms"]
    assert refused(serve_config=key) == {}


def test_a_cache_that_cannot_hold_a_sequence_is_refused() -> None:
    config = {"kv_cache_config": {"max_tokens": 1000}}
    said = refused(serve_config=config, limits={"max_seq_len": 2048})
    assert "does not hold one sequence" in said["trtllm_serve_config.kv_cache_config.max_tokens"]
    assert served(serve_config=config)["limits"]["max_seq_len"] <= 1000


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3", "no trtllm-serve"),
        ("mirror.example/nvidia/tensorrt-llm/release:1.1.0", "contains TensorRT-LLM 1.1.0, not 1.2.1"),
        ("registry.example/own", "has no tag"),
    ],
)
def test_an_image_without_this_version_is_refused(reference: str, said: str) -> None:
    assert said in refused(image={"reference": reference})["trtllm_image.reference"]


def test_an_own_image_or_an_archive_is_accepted() -> None:
    assert refused(image={"reference": "registry.example/own", "digest": DIGEST}) == {}
    assert refused(image={"source": "archive", "archive": "/srv/i.tar", "digest": DIGEST}) == {}


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_tritons_images_without_the_backend_are_refused(profile: str) -> None:
    for tag, said in (("26.08-py3", "no TensorRT-LLM backend"), ("26.11-trtllm-python-py3", "26.07, the last image")):
        image = {"reference": f"nvcr.io/nvidia/tritonserver:{tag}"}
        assert said in refused(profile=profile, image=image)["trtllm_image.reference"]
    image = {"reference": "nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3"}
    assert "trtllm_image.reference" not in refused(profile=profile, image=image)
    image = {"reference": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"}
    assert "use trtllm_profile serve" in refused(profile=profile, image=image)["trtllm_image.reference"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("served_model_name", "x"), ("serve", {"tool_parser": "none"}), ("serve_config", {"stream_interval": 2})],
)
def test_variables_of_the_profile_are_refused_for_others(name: str, value: Any) -> None:
    assert "is for profile serve" in refused(profile="engine", **{name: value})[f"trtllm_{name}"]


def test_an_architecture_that_the_version_does_not_serve_is_refused() -> None:
    said = refused(model={**OWN, "architecture": "GptOssForCausalLM"}, release="1.0.0")["trtllm_model.architecture"]
    assert "does not serve it" in said
    assert said.endswith("use trtllm_release 1.3.0rc29")
    said = refused(model={**OWN, "architecture": "LlamaForCasualLM"})["trtllm_model.architecture"]
    assert "did you mean LlamaForCausalLM?" in said
    assert said.endswith("no version of the catalogue does")


@pytest.mark.parametrize(
    ("changes", "release", "variable", "said"),
    [
        ({"quantization": "gptq"}, "1.2.1", "trtllm_model", "which no version reads"),
        ({"quantization": "modelopt", "checkpoint_format": "W4A16_NVFP4"}, "1.2.1", None, "trtllm_release 1.3.0rc29"),
        ({"quantization": "modelopt", "checkpoint_format": "NVFP"}, "1.2.1", None, "did you mean NVFP4"),
    ],
)
def test_a_format_that_the_version_does_not_read_is_refused(
    changes: dict[str, Any], release: str, variable: str | None, said: str
) -> None:
    found = refused(host("BM.GPU.H100.8"), model={**OWN, **changes}, release=release)
    assert said in found[variable or "trtllm_model.checkpoint_format"]


@pytest.mark.parametrize(
    ("name", "gpu", "works"),
    [
        ("FP8", {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "compute_capability": "8.0"}, False),
        ("FP8", {"name": "NVIDIA L40S", "memory_mib": 46068, "compute_capability": "8.9"}, True),
        ("FP8_BLOCK_SCALES", {"name": "NVIDIA L40S", "memory_mib": 46068, "compute_capability": "8.9"}, False),
        ("FP8_BLOCK_SCALES", BLACKWELL, False),
        ("NVFP4", {"name": "NVIDIA H100", "memory_mib": 81559, "compute_capability": "9.0"}, False),
        ("NVFP4", B200, True),
        ("W4A16_AWQ", {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "compute_capability": "8.0"}, True),
    ],
)
def test_gpus_that_lack_a_format_are_refused(name: str, gpu: dict[str, Any], works: bool) -> None:
    model = {**OWN, "quantization": "modelopt", "checkpoint_format": name}
    found = refused(host(gpus=[gpu]), model=model)
    assert (found == {}) == works
    assert works or name in found["trtllm_model"]


def test_a_cache_that_the_gpus_cannot_have_is_refused() -> None:
    assert "compute capability 8.9" in refused(serve={"kv_cache_type": "fp8"})["trtllm_serve.kv_cache_type"]
    assert refused(host("BM.GPU.L40S.4"), serve={"kv_cache_type": "fp8"}) == {}
    assert "10.0" in refused(host("BM.GPU.L40S.4"), serve={"kv_cache_type": "nvfp4"})["trtllm_serve.kv_cache_type"]


def test_more_memory_for_the_cache_than_the_container_has_is_refused() -> None:
    name = "trtllm_serve_config.kv_cache_config.host_cache_size"
    for size, said in ((2**60, "the container gets"), (2**33, "")):
        found = refused(serve_config={"kv_cache_config": {"host_cache_size": size}})
        assert said in found.get(name, "")
        assert bool(said) == (name in found)


def test_an_old_gpu_or_driver_is_refused() -> None:
    assert "use trtllm_release 1.0.0" in refused(host("VM.GPU.A10.1", driver_version="550.10"))["trtllm_release"]
    old = {"name": "Tesla V100", "memory_mib": 32768, "compute_capability": "7.0"}
    assert "use other GPUs" in refused(host(gpus=[old]))["trtllm_release"]


# --- memory ----------------------------------------------------------------------------------------------------------


def budget(**request: Any) -> Any:
    return served(host("BM.GPU.H100.8"), parallelism={"tensor": 1}, **request)["budget"]["gpu"]


def test_the_cache_is_as_large_as_its_data_type() -> None:
    sizes = [budget(serve={"kv_cache_type": kind})["kv_bytes_per_token"] for kind in ("auto", "fp8")]
    # 28 layers, 4 KV heads of 128 numbers, keys and values.
    assert sizes == [28 * 4 * 128 * 2 * 2, 28 * 4 * 128 * 2]


def test_weights_are_as_large_as_their_format() -> None:
    shape = {**SHAPE, "hidden": 4096, "heads": 32, "kv_heads": 8, "ffn": 14336, "layers": 32}
    plain = {**OWN, "shape": shape}
    quantised = {**plain, "quantization": "modelopt", "checkpoint_format": "NVFP4"}
    facts = host(gpus=[B200])
    sizes = [served(facts, model=model)["budget"]["gpu"]["weights"] for model in (plain, quantised)]
    ends = 2 * 100 * 4096 * 2
    assert sizes[1] - ends == pytest.approx((sizes[0] - ends) * 4.5 / 16, rel=1e-6)


def test_the_image_needs_more_room_than_tritons() -> None:
    assert served()["budget"]["disk"][0]["bytes"] == 68 * 10**9


def test_too_little_room_beside_the_cache_is_a_warning() -> None:
    found = [text for text in served()["warnings"] if "CUDA graphs" in text]
    assert found
    assert "set it to 0.7 " in found[0]
    assert not [text for text in served(limits={"kv_cache_fraction": 0.7})["warnings"] if "CUDA graphs" in text]


# --- the rest of the plan --------------------------------------------------------------------------------------------


def test_a_model_without_a_chat_template_is_a_warning() -> None:
    (found,) = [text for text in served(model="llama-3.1-8b")["warnings"] if "chat template" in text]
    assert "/v1/completions works" in found
    assert not [text for text in served()["warnings"] if "chat template" in text]


def test_the_method_alone_says_which_format_it_is() -> None:
    found = refused(host("BM.GPU4.8"), model={**OWN, "quantization": "mxfp4"})
    assert "10.0 is needed (its weights are MXFP4)" in found["trtllm_model"]


def test_an_unknown_format_is_a_warning() -> None:
    model = {**OWN, "quantization": "modelopt"}
    assert [text for text in served(model=model)["warnings"] if "trtllm_model.checkpoint_format" in text]


def test_another_type_of_cache_than_that_of_the_weights_is_a_warning() -> None:
    model, facts = {**OWN, "quantization": "fp8"}, host("BM.GPU.H100.8")
    for kind, expected in (("auto", False), ("fp8", True)):
        found = served(facts, model=model, serve={"kv_cache_type": kind})["warnings"]
        assert any("auto takes theirs" in text for text in found) == expected


def test_defaults_that_commonly_fail_are_listed() -> None:
    made = served(limits={"max_seq_len": 16384, "max_num_tokens": 4096})
    assert [text for text in made["defaults"] if "more than 4096 tokens are rejected" in text]
    chunked = served(limits={"max_seq_len": 16384, "max_num_tokens": 4096}, serve={"chunked_prefill": True})
    assert not [text for text in chunked["defaults"] if "are rejected" in text]


def test_missing_parsers_and_guided_decoding_are_warnings() -> None:
    thinking = {**OWN, "repository": "Qwen/Qwen3-8B", "architecture": "Qwen3ForCausalLM"}
    found = served(model=thinking, release="1.1.0", serve={"guided_decoding_backend": "none"})["warnings"]
    assert [text for text in found if "1.1.0 does not have qwen3: reasoning is part of the answer" in text]
    assert [text for text in found if "requests with a JSON schema fail" in text]


def test_the_plan_has_only_what_the_profile_needs() -> None:
    made = served()
    assert set(made["trtllm_backend"]) == {"root", "image"}
    assert not {"engine_build", "model_repo", "triton_service"} & set(made)
    assert set(made["artifacts"]) == {"image", "weights", "tokenizer"}
    assert [step["what"] for step in made["steps"]] == ["image", "weights", "release", "service"]
    assert made["converter"]["name"] == ""
    assert [port["port"] for port in made["needs"]["ports"]] == [8000]
    assert made["upstream"] == "current"
    recorded = made["serve_service"]["release"]["manifest"]
    assert recorded["profile"] == "serve"
    service = made["serve_service"]
    assert recorded["service"] == {"api": "openai", "endpoint": service["endpoint"], "proof": service["proof"]}


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_the_state_upstream_is_in_the_plan(profile: str) -> None:
    assert accepted(profile=profile)["upstream"] == "frozen since 26.07"


def test_the_http_port_may_be_one_that_triton_would_use() -> None:
    assert refused(server={"http_port": 8001}) == {}
    assert "must differ" in refused(profile="engine", server={"http_port": 8001})["trtllm_server"]
