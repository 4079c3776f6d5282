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
    warned,
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
        ({"model": {**OWN, "architecture": "GPT2"}}, "trtllm_model.architecture", "this collection converts Llama"),
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


def test_weights_in_a_folder_need_no_revision() -> None:
    own = {key: value for key, value in OWN.items() if key != "revision"}
    plan = accepted(model=own, weights={"path": "/srv/tiny"})
    assert plan["model"] == {"name": "tiny", "repository": "me/Tiny", "revision": ""}
    assert plan["model_weights"]["snapshots"][0]["src"] == "/srv/tiny" and plan["needs"].get("hub") is None
    assert list(refused(model=own)) == ["trtllm_model.revision"]
    # Its config.json cannot be read, because it is on the host.
    shapeless = {"repository": "me/Tiny"}
    assert "trtllm_model.shape" in refused(model=shapeless, weights={"path": "/srv/tiny"})
    assert list(refused(model=shapeless)) == ["trtllm_model.revision"]


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
        ({"architectures": ["BloomForCausalLM"]}, "trtllm_model.architecture", "this collection converts LlamaForCaus"),
        ({"torch_dtype": 16}, "trtllm_model.dtype", "must be a string"),
        ({"compression_config": True}, "trtllm_model.quantization", "must be a string"),
    ],
)
def test_values_missing_in_config_json_are_required(change: dict[str, Any], variable: str, says: str) -> None:
    found = refused(model=described({**CONFIGS["llama-3.1-8b"], **change}))
    assert list(found) == [variable]
    assert says in found[variable]


# What the configuration of a model with several parts says about its language model.
GEMMA3 = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {
        "num_hidden_layers": 34,
        "hidden_size": 2560,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "intermediate_size": 10240,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
    },
    "vision_config": {"hidden_size": 1152},
}
QWEN3_MOE = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "num_hidden_layers": 48,
    "hidden_size": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
}
MISTRAL = {**CONFIGS["mistral-7b-instruct"], "sliding_window": 4096}
QWEN2 = {**CONFIGS["qwen2.5-0.5b-instruct"], "sliding_window": 8192}
DUAL_CHUNK = {"chunk_size": 262144, "local_size": 8192, "original_max_position_embeddings": 262144}


@pytest.mark.parametrize("release", ["0.16.0", "1.2.1"])
@pytest.mark.parametrize(
    "config", [GEMMA3, {"architectures": ["Qwen3ForCausalLM"]}, {"architectures": ["GPT2LMHeadModel"], "n_layer": 12}]
)
def test_of_a_model_that_is_not_converted_only_the_architecture_is_named(release: str, config: dict[str, Any]) -> None:
    (refusal,) = plan_for(release=release, model=described(config))["refusals"]
    assert (refusal["variable"], refusal["value"]) == ("trtllm_model.architecture", config["architectures"][0])
    assert f"cannot be converted for TensorRT-LLM {release}: this collection converts Llama" in refusal["message"]
    assert ("serves it with TensorRT-LLM 1.0.0 and later" in refusal["message"]) is ("Qwen3ForCausalLM" in str(config))


def test_the_llm_api_serves_models_whose_values_are_nested() -> None:
    assert warned("Gemma3ForConditionalGeneration is not among", profile="llmapi", model=described(GEMMA3))
    config = {**GEMMA3, "architectures": ["LlamaForCausalLM"]}
    shape = shape_of(described(config))
    assert (shape.layers, shape.hidden, shape.head_dim, shape.max_positions) == (34, 2560, 256, 131072)


def test_the_llm_api_serves_architectures_of_its_version_without_a_warning() -> None:
    request = {"profile": "llmapi", "model": described(QWEN3_MOE)}
    assert not warned("Qwen3MoeForCausalLM", release="1.2.1", **request)
    warning = "Qwen3MoeForCausalLM is not among those that the catalogue lists for TensorRT-LLM 0.21.0, but for 1.0.0"
    assert warned(warning, release="0.21.0", **request)


def test_the_size_of_a_mixture_is_that_of_all_its_experts() -> None:
    """Qwen3-30B-A3B has 30.5 billion weights."""
    plan = accepted(host("BM.GPU.H100.8"), profile="llmapi", model=described(QWEN3_MOE))
    (weights,) = (disk["bytes"] for disk in plan["budget"]["disk"] if disk["what"] == "weights")
    assert 60e9 < weights < 62e9


def test_missing_values_are_named_once_with_the_file() -> None:
    (refusal,) = plan_for(profile="llmapi", model=described({"architectures": ["Qwen3ForCausalLM"]}))["refusals"]
    assert refusal["message"].startswith("config.json: num_attention_heads must be")
    assert "num_hidden_layers must be" in refusal["message"]
    assert refusal["message"].endswith("or set trtllm_model.shape")


@pytest.mark.parametrize(
    ("release", "change", "says"),
    [
        ("0.9.0", {"hidden_size": 5120}, "head_dim 128 times 32 heads is not hidden_size: use release 0.12.0 or later"),
        (
            "0.11.0",
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
            "engines of release 0.11.0 compute linear",
        ),
        ("1.2.1", {"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "no release computes it"),
        ("1.2.1", {"mlp_bias": True}, "mlp_bias is True, which no engine of LlamaForCausalLM computes"),
        ("1.2.1", {"final_logit_softcapping": 30.0}, "final_logit_softcapping is 30.0"),
        ("1.2.1", {"hidden_act": "xielu"}, "hidden_act must be one of silu"),
    ],
)
def test_what_no_engine_computes_is_refused_by_the_plan(release: str, change: dict[str, Any], says: str) -> None:
    config = {**CONFIGS["llama-3.1-8b"], "rope_scaling": None, "head_dim": 128, **change}
    request: dict[str, Any] = {"release": release, "model": described(config), "image": IMAGE}
    for converter in ("", "native", "upstream"):
        found = refused(converter=converter, **request)
        assert list(found) == ["trtllm_model"]
        assert says in found["trtllm_model"]
    # An existing engine computes what it was built for.
    accepted(engine_dir="/srv/engine", **request)


@pytest.mark.parametrize("release", ["0.9.0", "0.11.0", "0.12.0", "1.2.1"])
def test_a_preset_is_refused_where_its_rotary_scaling_is_not_computed(release: str) -> None:
    plan = plan_for(model="llama-3.1-8b", release=release)
    assert bool(plan["refusals"]) is (release in ("0.9.0", "0.11.0"))


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_a_shape_may_have_any_numbers(profile: str) -> None:
    huge = {**TINY, "max_positions": 2**40, "hidden": 2**40, "ffn": 2**40, "vocab": 2**40}
    found = plan_for(profile=profile, model={**OWN, "shape": huge})["refusals"]
    assert {refusal["check"] for refusal in found} == {"gpu_memory", "disk_space"}


def test_a_shape_is_checked_like_a_config_json() -> None:
    model = {**OWN, "shape": {**TINY, "head_size": 32}}
    assert "head_dim 32 times 4 heads" in refused(release="0.9.0", model=model)["trtllm_model"]
    wrong = {**OWN, "config": {"rope_theta": "many"}}
    assert "rope_theta must be a number" in refused(profile="llmapi", model=wrong)["trtllm_model.config"]
    scaled = {**OWN, "config": {"rope_scaling": {"type": "su", "factor": 2.0}}}
    assert "rope_scaling 'su'" in refused(model=scaled)["trtllm_model"]


@pytest.mark.parametrize(
    ("scaling", "longest"),
    [
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"type": "linear", "factor": 2.5}, 81920),
        ({"rope_type": "dynamic", "factor": 2.0}, 65536),
        ({"rope_type": "llama3", "factor": 8.0}, 32768),
        (None, 32768),
    ],
)
def test_lengths_that_the_scaling_allows_are_allowed(scaling: Any, longest: int) -> None:
    model = described({**CONFIGS["qwen2.5-0.5b-instruct"], "rope_scaling": scaling})
    accepted(model=model, limits={"max_seq_len": longest})
    found = refused(model=model, limits={"max_seq_len": longest + 1})
    assert f"supports at most {longest} positions" in found["trtllm_limits.max_seq_len"]


@pytest.mark.parametrize(
    ("config", "most", "warns"),
    [
        (MISTRAL, 16384, True),
        (MISTRAL, 4096, False),
        ({**MISTRAL, "sliding_window": None}, 16384, False),
        ({**MISTRAL, "layer_types": ["full_attention"] * 32}, 16384, False),
        ({key: value for key, value in MISTRAL.items() if key != "sliding_window"}, 16384, True),
        (QWEN2, 16384, False),
        ({**QWEN2, "use_sliding_window": True, "max_window_layers": 24}, 16384, False),
        ({**QWEN2, "use_sliding_window": True, "max_window_layers": 12}, 16384, True),
        ({**QWEN2, "layer_types": ["full_attention", "sliding_attention"] * 12}, 16384, True),
        ({**QWEN2, "max_position_embeddings": 1010000, "dual_chunk_attention_config": DUAL_CHUNK}, 262144, False),
        ({**QWEN2, "max_position_embeddings": 1010000, "dual_chunk_attention_config": DUAL_CHUNK}, 262145, True),
        ({**QWEN2, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, 32769, True),
    ],
)
@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_attention_that_is_computed_differently_gives_a_warning(
    config: dict[str, Any], most: int, warns: bool, profile: str
) -> None:
    assert warned("answers", model=described(config), limits={"max_seq_len": most}, profile=profile) is warns


def test_a_window_can_be_given_to_the_runtime() -> None:
    request: dict[str, Any] = {"model": described(MISTRAL), "limits": {"max_seq_len": 16384}}
    parameter = "trtllm_repository_parameters.tensorrt_llm.max_attention_window_size"
    assert warned(parameter, **request)
    window = {"tensorrt_llm": {"max_attention_window_size": "4096"}}
    assert not warned("sliding_window", repository_parameters=window, **request)


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
