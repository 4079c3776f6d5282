# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request: wrong values are refused with their path and valid values; models can be read from config.json."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    ARCHITECTURES,
    Decoder,
    read_decoder,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import Shape
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    DIGEST,
    IMAGE,
    accepted,
    host,
    plan_for,
    refused,
    shape_of,
)

TINY = {"layers": 2, "heads": 4, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 100, "max_positions": 4096}
OWN = {"repository": "me/Tiny", "revision": "1" * 40, "architecture": "LlamaForCausalLM", "shape": TINY}


@pytest.mark.parametrize(
    ("changes", "variable", "says"),
    [
        ({"model": "mixtral-8x7b-instrct"}, "trtllm_model", "did you mean mixtral-8x7b-instruct"),
        ({"model": 7}, "trtllm_model", "must be the name of a preset"),
        ({"model": {"preset": "mixtral"}}, "trtllm_model", "did you mean mixtral-8x"),
        ({"model": {"preset": "mixtral-8x7b", "revisoin": "x"}}, "trtllm_model.revisoin", "did you mean revision"),
        ({"model": {"preset": "mixtral-8x7b", "kind": "chatty"}}, "trtllm_model.kind", "base, instruct"),
        ({"model": {**OWN, "shape": None}}, "trtllm_model.shape", "set it, or trtllm_model.config"),
        ({"model": {**OWN, "revision": ""}}, "trtllm_model.revision", "is required"),
        ({"model": {**OWN, "name": "../../etc"}}, "trtllm_model.name", "letters, digits"),
        ({"model": {**OWN, "shape": {**TINY, "heads": 0}}}, "trtllm_model.shape.heads", "at least 1"),
        ({"model": {**OWN, "shape": {**TINY, "hidden": 66}}}, "trtllm_model.shape.head_size", "is required"),
        ({"model": {**OWN, "shape": {"layers": 2}}}, "trtllm_model.shape.heads", "is required"),
        ({"model": {**OWN, "config": [1]}}, "trtllm_model.config", "content of the model's config.json"),
        ({"model": {**OWN, "architecture": "GPT2"}}, "trtllm_model.architecture", "supported are LlamaForCausalLM"),
        ({"model": "Qwen/Qwen3-8B"}, "trtllm_model", "use {repository: Qwen/Qwen3-8B, revision: COMMIT}"),
        ({"model": "Qwen/Qwen2.5-7B-Instruct"}, "trtllm_model", "or its preset, qwen2.5-7b-instruct"),
        ({"model": ["mixtral-8x7b", "llama-3.1-8b"]}, "trtllm_model", "further models of a host go into trtllm_deploy"),
        ({"model": None}, "trtllm_model", "is required: the name of a preset"),
        ({"release": "9.9.9"}, "trtllm_release", "the newest is 1.2.1"),
        ({"release": "0.9.9"}, "trtllm_release", "use one of: 0.8.0, 0.9.0, 0.10.0"),
        ({"release": "0.10"}, "trtllm_release", "did you mean 0.10.0?"),
        ({"release": "v0.18"}, "trtllm_release", "did you mean 0.18.2?"),
        ({"release": 1.2}, "trtllm_release", "in quotes"),
        ({"release": 2}, "trtllm_release", "in quotes"),
        ({"precision": "fp16"}, "trtllm_precision", "did you mean float16?"),
        ({"precision": "INT4"}, "trtllm_precision", "did you mean int4_weight_only?"),
        ({"precision": "bf16"}, "trtllm_precision", "float16, bfloat16"),
        ({"profile": "llm_api"}, "trtllm_profile", "did you mean llmapi"),
        ({"root": "relative"}, "trtllm_root", "absolute"),
        *(
            ({"root": root}, "trtllm_root", "is a system folder, or below one")
            for root in (
                "/opt",
                "/usr",
                "/etc/trtllm",
                "/home/",
                "//opt",
                "/opt/.",
                "/var/lib",
                "/usr/lib/x",
                "/dev/shm",
            )
        ),
        ({"root": "/opt/../etc"}, "trtllm_root", "must not contain .."),
        ({"root": "/srv/trtllm/.."}, "trtllm_root", "must not contain .."),
        ({"root": "/"}, "trtllm_root", "below /"),
        ({"root": 0}, "trtllm_root", "absolute"),
        ({"root": "/srv/a:b"}, "trtllm_root", "colon"),
        *(
            ({"root": root}, "trtllm_root", "which the service cannot see (ProtectHome, PrivateTmp)")
            for root in ("/home/me/trtllm", "/root/trtllm", "/tmp/trtllm", "//var/tmp/x", "/home/./x")
        ),
        *(
            ({"root": root}, "trtllm_root", "characters that systemd or the shell would change")
            for root in (
                "/srv/tr%h",
                "/srv/tr tl",
                "/srv/$HOME",
                "/srv/a'b",
                '/srv/a"b',
                "/srv/a\\b",
                "/srv/a;b",
                "/srv/*",
            )
        ),
        ({"engine_dir": []}, "trtllm_engine_dir", "absolute"),
        ({"streaming": "perhaps"}, "trtllm_streaming", "true or false"),
        ({"parallelism": {"tensor": 3}}, "trtllm_parallelism.tensor", "possible sizes are 1, 2, 4, 8"),
        ({"parallelism": {"tensor": 0}}, "trtllm_parallelism.tensor", "at least 1"),
        ({"parallelism": {"tensor": 128}}, "trtllm_parallelism.tensor", "at most 64"),
        ({"parallelism": {"tenser": 2}}, "trtllm_parallelism.tenser", "did you mean tensor"),
        ({"parallelism": {"tp": 2}}, "trtllm_parallelism.tp", "did you mean tensor?"),
        ({"parallelism": {"pp_size": 2}}, "trtllm_parallelism.pp_size", "did you mean pipeline?"),
        ({"parallelism": "8"}, "trtllm_parallelism", """write it as JSON: '{"tensor": …}'"""),
        ({"limits": "{max_batch_size:"}, "trtllm_limits", """write it as JSON: '{"max_batch_size": …}'"""),
        ({"parallelism": {"pipeline": 3}}, "trtllm_parallelism.pipeline", "possible sizes are 1, 2, 4, 8, 16"),
        ({"parallelism": [8]}, "trtllm_parallelism", "mapping"),
        ({"parallelism": {"tensor": 8, "moe_expert": 3}}, "trtllm_parallelism.moe_tensor", "equal to tensor, 8"),
        ({"parallelism": {"moe_expert": 8}}, "trtllm_parallelism.tensor", "is required"),
        ({"model": "llama-3.1-8b", "parallelism": {"moe_expert": 2}}, "trtllm_parallelism.moe_expert", "no experts"),
        (
            {"release": "0.9.0", "parallelism": {"tensor": 8, "moe_expert": 4, "moe_tensor": 2}},
            "trtllm_parallelism.moe_expert",
            "use 8 and 1",
        ),
        ({"limits": {"max_seq_len": 40000}}, "trtllm_limits.max_seq_len", "at most 32768"),
        (
            {"limits": {"max_input_len": 2048, "max_seq_len": 2048}},
            "trtllm_limits.max_input_len",
            "less than max_seq_len",
        ),
        ({"limits": {"max_input_len": 32768}}, "trtllm_limits.max_input_len", "at most 32768 positions"),
        ({"limits": {"max_seq_len": 1}}, "trtllm_limits.max_seq_len", "at least 2"),
        (
            {"limits": {"max_num_tokens": 4, "max_batch_size": 8}},
            "trtllm_limits.max_num_tokens",
            "at least max_batch_size, 8",
        ),
        ({"limits": {"max_batch_size": "many"}}, "trtllm_limits.max_batch_size", "at least 1"),
        ({"limits": {"kv_cache_fraction": 1.5}}, "trtllm_limits.kv_cache_fraction", "at most 1"),
        ({"limits": {"kv_cache_fraction": 10**400}}, "trtllm_limits.kv_cache_fraction", "at most 1"),
        ({"image": {"reference": "registry.example/backend"}}, "trtllm_image.reference", "has no tag"),
        ({"image": {"digest": "sha256:1"}}, "trtllm_image.digest", "64 hex digits"),
        ({"image": {"source": "archive", "digest": DIGEST}}, "trtllm_image.archive", "absolute path"),
        ({"image": {"source": "archive", "archive": "/a.tar"}}, "trtllm_image.digest", "is required"),
        ({"image": {"source": "tape"}}, "trtllm_image.source", "registry, archive, build"),
        ({"image": {"tag_moved": "folow"}}, "trtllm_image.tag_moved", "refuse, keep"),
        ({"image": {"build": {"cuda_architectures": "A100"}}}, "trtllm_image.build.cuda_architectures", "80-real"),
        ({"image": {"build": {"job": 3}}}, "trtllm_image.build.job", "did you mean jobs?"),
        ({"image": {"build": {"args": ["A=b"]}}}, "trtllm_image.build.args", "mapping of names to values"),
        ({"image": {"build": {"args": {"A": None}}}}, "trtllm_image.build.args.A", "must be a string"),
        ({"release": "0.18.1"}, "trtllm_image.reference", "NGC has no image of TensorRT-LLM 0.18.1"),
        ({"sources": {"backends": {}}}, "trtllm_sources.backends", "did you mean backend"),
        ({"sources": {"backend": {"repository": "x"}}}, "trtllm_sources.backend.commit", "is required"),
        ({"sources": {"backend": {"repository": "x", "commit": "v1"}}}, "trtllm_sources.backend.commit", "40 hex"),
        ({"weights": {"endpoint": "ftp://x"}}, "trtllm_weights.endpoint", "must be a URL"),
        ({"weights": {"path": "here"}}, "trtllm_weights.path", "absolute"),
        ({"tokenizer": "mixtral-8x7"}, "trtllm_tokenizer", "did you mean mixtral-8x7b"),
        ({"tokenizer": {"repository": "me/x"}}, "trtllm_tokenizer", "revision, or path"),
        ({"server": {"http_port": 8001}}, "trtllm_server", "must differ"),
        ({"server": {"http_port": 80000}}, "trtllm_server.http_port", "up to 65535"),
        ({"server": {"shm_size": "2 GB"}}, "trtllm_server.shm_size", "such as 2g"),
        *(
            ({"server": {"address": address}}, "trtllm_server.address", "such as 127.0.0.1, not a name")
            for address in (
                "a b",
                "localhost",
                "-x",
                "127.1",
                "10.0.0.1:80",
                "gpu1.example",
                "[::1]",
                "fe80::1%eth0",
                "",
            )
        ),
        ({"waive": {"disk_space": True}}, "trtllm_waive", "must be a list"),
        ({"waive": ["disk"]}, "trtllm_waive", "is now called disk_space"),
        ({"waive": "gpu_memory, host_memory"}, "trtllm_waive", "is now called memory"),
        ({"waive": ["driver_too_old"]}, "trtllm_waive", "nothing would work"),
        ({"waive": ["gpu_memry"]}, "trtllm_waive", "did you mean gpu_memory?"),
        ({"preflight_gpus": 8}, "trtllm_preflight_gpus", "must be a mapping"),
        ({"preflight_gpus": {"cout": 8}}, "trtllm_preflight_gpus.cout", "did you mean count?"),
        ({"preflight_gpus": {"count": "many"}}, "trtllm_preflight_gpus", "many"),
        (
            {"repository_parameters": {"tensorrt_lm": {}}},
            "trtllm_repository_parameters.tensorrt_lm",
            "did you mean tensorrt",
        ),
        (
            {"repository_parameters": {"tensorrtllm": {}}},
            "trtllm_repository_parameters.tensorrtllm",
            "mean tensorrt_llm?",
        ),
        (
            {"repository_overrides": {"tensorrt_llm": 1}},
            "trtllm_repository_overrides",
            "must be a mapping of Triton models",
        ),
        (
            {"repository_overrides": {"tensorrt_llm": {"parameters": {1: "x"}}}},
            "trtllm_repository_overrides.tensorrt_llm.parameters",
            "not a string",
        ),
        (
            {"repository_parameters": {"tensorrt_llm": {"batching_stratgy": "V1"}}},
            "trtllm_repository_parameters.tensorrt_llm.batching_stratgy",
            "did you mean batching_strategy",
        ),
        (
            {"repository_parameters": {"tensorrt_llm": {"max_queue_size": [1]}}},
            "trtllm_repository_parameters.tensorrt_llm.max_queue_size",
            "must be text, a number",
        ),
    ],
)
def test_a_wrong_value_is_named_with_valid_values(changes: dict[str, Any], variable: str, says: str) -> None:
    assert says in refused(**changes)[variable]


def test_a_model_on_a_hub_only_needs_a_revision() -> None:
    """Its architecture and shape are read from there, so they are not reported as missing."""
    assert list(refused(model={"repository": "Qwen/Qwen3-8B"})) == ["trtllm_model.revision"]
    assert "trtllm_model.shape" in refused(model={"repository": "Qwen/Qwen3-8B", "revision": "main"})


def test_all_problems_come_at_once() -> None:
    wrong = {"model": "nothing", "release": "9", "precision": "int3", "parallelism": {"tensor": -1}, "root": "x"}
    assert set(refused(**wrong)) == {f"trtllm_{name}" for name in [*wrong, "parallelism.tensor"]} - {
        "trtllm_parallelism"
    }


@pytest.mark.parametrize("release", ["0.8.0", "0.18.2"])
def test_an_unsupported_profile_names_versions_that_support_it(release: str) -> None:
    assert refused(release=release, profile="llmapi")["trtllm_profile"].endswith(
        f"0.19.0 to {CATALOGUE.newest('llmapi')} do"
    )


def test_weight_only_requires_an_engine() -> None:
    found = refused(profile="llmapi", precision="int8_weight_only")["trtllm_precision"]
    assert "trtllm_profile engine; llmapi supports float32, float16, bfloat16" in found


def test_fp8_requires_fp8_weights() -> None:
    h100 = host("BM.GPU.H100.8")
    assert "with FP8 weights" in refused(h100, precision="fp8")["trtllm_precision"]
    quantised = {"preset": "llama-3.1-8b-instruct", "repository": "me/Llama-3.1-8B-Instruct-FP8", "quantization": "fp8"}
    plan = accepted(h100, model=quantised, profile="llmapi")
    assert plan["precision"] == "fp8"
    assert plan["artifacts"]["weights"]["bytes"] == 8_030_261_248
    assert "llmapi" in refused(h100, model=quantised)["trtllm_model"]


@pytest.mark.parametrize("release", [name for name in CATALOGUE.releases if list(CATALOGUE.releases).index(name) >= 13])
def test_a_renamed_placeholder_names_its_successor(release: str) -> None:
    wrong = {"tensorrt_llm_bls": {"visual_model_path": "x"}, "preprocessing": {"visual_model_path": "x"}}
    found = refused(release=release, image=IMAGE, repository_parameters=wrong)
    assert (
        "(called multimodal_model_path since 0.19.0)"
        in found["trtllm_repository_parameters.preprocessing.visual_model_path"]
    )


def test_a_removed_placeholder_names_the_version() -> None:
    wrong = {"preprocessing": {"tokenizer_type": "auto"}}
    found = refused(release="0.9.0", repository_parameters=wrong)
    assert "(removed in 0.9.0)" in found["trtllm_repository_parameters.preprocessing.tokenizer_type"]


@pytest.mark.parametrize(
    "reference", ["nvcr.io/nvidia/tritonserver:24.05-trtllm-python-py3", "m/tritonserver:24.05-trtllm-python-py3"]
)
def test_an_ngc_image_of_another_release_is_told(reference: str) -> None:
    assert "contains TensorRT-LLM 0.9.0, not 1.2.1" in refused(image={"reference": reference})["trtllm_image.reference"]
    assert accepted(release="0.9.0", image={"reference": reference})["trtllm_backend"]["image"]["name"] == reference


# --- models ---------------------------------------------------------------------------------------------------------


def test_a_preset_can_have_another_revision() -> None:
    plan = accepted(model={"preset": "mixtral-8x7b", "revision": "main"})
    assert plan["model_weights"]["snapshots"][0]["revision"] == "main"


def test_any_other_model_is_a_mapping() -> None:
    plan = accepted(model=OWN, parallelism={"tensor": 4})
    assert plan["model"] == {"name": "tiny", "repository": "me/Tiny", "revision": "1" * 40}
    assert plan["engine_build"]["checkpoint"]["tp_size"] == 4


# The keys of each repository's config.json that describe its shape.
CONFIGS: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 131072,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 128256,
    },
    "mistral-7b-instruct": {
        "architectures": ["MistralForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mistral",
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 32768,
    },
    "mixtral-8x7b-instruct": {
        "architectures": ["MixtralForCausalLM"],
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "model_type": "mixtral",
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "output_router_logits": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": 32000,
    },
    "qwen2.5-0.5b-instruct": {
        "architectures": ["Qwen2ForCausalLM"],
        "hidden_size": 896,
        "intermediate_size": 4864,
        "max_position_embeddings": 32768,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "vocab_size": 151936,
    },
}


def described(config: dict[str, Any]) -> dict[str, Any]:
    return {"repository": "me/mine", "revision": "1" * 40, "config": config}


@pytest.mark.parametrize("preset", CONFIGS)
def test_config_json_matches_the_preset(preset: str) -> None:
    own, known = shape_of(described(CONFIGS[preset])), shape_of(preset)
    assert own.head_dim == known.head_dim
    assert {**vars(own), "head_size": 0} == {**vars(known), "head_size": 0}
    assert own.stored == known.stored
    accepted(model=described(CONFIGS[preset]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"num_key_value_heads": None},
        {"num_key_value_heads": 4, "max_position_embeddings": 4096, "head_dim": None},
        {"head_dim": 64, "tie_word_embeddings": True},
        {"bias": True},
        {"attention_bias": True},
        {"num_local_experts": 16, "num_experts_per_tok": 4},
    ],
    ids=str,
)
def test_the_planner_and_the_converter_read_the_same_model(architecture: str, change: dict[str, Any]) -> None:
    sizes = {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "vocab_size": 32000,
    }
    config = {"architectures": [architecture], **sizes, **change}
    shape, decoder = shape_of(described(config)), read_decoder(config)
    common = {item.name for item in fields(Shape)} & {item.name for item in fields(Decoder)}
    assert len(common) == len(fields(Shape)) - 1
    assert {name: getattr(shape, name) for name in common} == {name: getattr(decoder, name) for name in common}
    assert shape.tied_embeddings == decoder.tied


def test_a_mixtral_without_kv_heads_and_experts_has_the_defaults_of_transformers() -> None:
    left_out = ("num_key_value_heads", "num_local_experts", "num_experts_per_tok")
    config = {key: value for key, value in CONFIGS["mixtral-8x7b-instruct"].items() if key not in left_out}
    assert shape_of(described(config)).stored == shape_of("mixtral-8x7b-instruct").stored


@pytest.mark.parametrize(
    ("change", "variable", "says"),
    [
        ({"hidden_size": None}, "trtllm_model.config", "hidden_size must be a whole number from 1 to 1000000000"),
        ({"num_hidden_layers": "many"}, "trtllm_model.config", "num_hidden_layers must be a whole number"),
        ({"vocab_size": 1 << 99999}, "trtllm_model.config", "not a value too large to show"),
        ({"num_key_value_heads": 0}, "trtllm_model.config", "num_key_value_heads must be a whole number"),
        ({"tie_word_embeddings": "yes"}, "trtllm_model.config", "tie_word_embeddings must be true or false"),
        ({"architectures": []}, "trtllm_model.architecture", "is required for a model that is not a preset"),
        ({"architectures": [5]}, "trtllm_model.architecture", "must be a string"),
        ({"architectures": ["BloomForCausalLM"]}, "trtllm_model.architecture", "unless trtllm_model.shape is set"),
        ({"torch_dtype": 16}, "trtllm_model.dtype", "must be a string"),
        ({"compression_config": True}, "trtllm_model.quantization", "must be a string"),
    ],
)
def test_values_missing_in_config_json_are_required(change: dict[str, Any], variable: str, says: str) -> None:
    found = refused(model=described({**CONFIGS["llama-3.1-8b"], **change}))
    assert list(found) == [variable]
    assert says in found[variable]


def test_config_json_is_read_with_the_given_architecture() -> None:
    config = {key: value for key, value in CONFIGS["llama-3.1-8b"].items() if key != "num_key_value_heads"}
    assert shape_of(described(config)).kv_heads == 32
    assert shape_of({**described(config), "architecture": "MistralForCausalLM"}).kv_heads == 8


def test_quantisation_in_config_json_is_used() -> None:
    config = {**CONFIGS["llama-3.1-8b"], "quantization_config": {"quant_method": "fp8"}}
    plan = plan_for(host("BM.GPU.H100.8"), model=described(config), profile="llmapi")
    assert plan["precision"] == "fp8"


@pytest.mark.parametrize(
    ("tokenizer", "key"),
    [("mixtral-8x7b", True), ({"repository": "me/t", "revision": "1" * 40}, True), ({"path": "/srv/t"}, False)],
)
def test_another_tokenizer_has_its_own_folder(tokenizer: Any, key: bool) -> None:
    plan = accepted(tokenizer=tokenizer)
    assert plan["artifacts"]["tokenizer"]["dest"] != plan["artifacts"]["weights"]["dest"]
    assert bool(plan["model_weights"]["snapshots"][1]["repository"]) is key
    assert [step["what"] for step in plan["steps"]].count("tokenizer") == 1
    own = accepted()
    assert len(own["model_weights"]["snapshots"]) == 1
    assert own["artifacts"]["tokenizer"]["dest"] == own["artifacts"]["weights"]["dest"]
