# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    MAX_COUNT,
    ConversionError,
    describe,
    read_decoder,
    source_tensors,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.models import LLAMA, MIXTRAL


def refusal(config):
    with pytest.raises(ConversionError) as caught:
        read_decoder(config)
    return str(caught.value)


def of(architecture, **changes):
    return {**LLAMA, "architectures": [architecture], **changes}


def test_missing_keys_have_the_defaults_of_the_model_class():
    bare = {key: value for key, value in LLAMA.items() if key not in ("num_key_value_heads", "rms_norm_eps")}
    llama = read_decoder(bare)
    assert (llama.kv_heads, llama.head_size, llama.epsilon, llama.max_positions) == (4, 4, 1e-6, 2048)
    assert (llama.hidden_act, llama.experts, llama.qkv_bias, llama.tied) == ("silu", 0, False, False)
    mistral = read_decoder({**bare, "architectures": ["MistralForCausalLM"]})
    assert (mistral.kv_heads, mistral.max_positions) == (8, 131072)
    mixtral = read_decoder({**bare, "architectures": ["MixtralForCausalLM"], "rope_theta": None})
    assert (mixtral.experts, mixtral.experts_per_token, mixtral.rotary_base) == (8, 2, 1e6)


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM"])
def test_null_kv_heads_means_as_many_as_heads(architecture):
    assert read_decoder(of(architecture, num_key_value_heads=None)).kv_heads == 4


def test_given_values_are_used():
    decoder = read_decoder(of("MistralForCausalLM", head_dim=32, tie_word_embeddings=True, hidden_act="gelu"))
    assert (decoder.head_size, decoder.kv_heads, decoder.tied, decoder.hidden_act) == (32, 2, True, "gelu")


@pytest.mark.parametrize(
    "config, biases",
    [
        (LLAMA, (False, False)),
        ({**LLAMA, "attention_bias": True}, (True, True)),
        ({**LLAMA, "bias": True}, (True, True)),
        (of("Qwen2ForCausalLM"), (True, False)),
    ],
)
def test_biases(config, biases):
    decoder = read_decoder(config)
    assert (decoder.qkv_bias, decoder.dense_bias) == biases
    names = source_tensors(decoder, has_head=True)
    assert ("model.layers.0.self_attn.q_proj.bias" in names, "model.layers.0.self_attn.o_proj.bias" in names) == biases


@pytest.mark.parametrize(
    "changes, base, scaling",
    [
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 10000.0, {"type": "linear", "factor": 2.0}),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, 5e5, None),
        ({"rope_scaling": {"rope_type": "default"}}, 10000.0, None),
        ({"rope_scaling": {"type": "linear", "factor": 1.0}}, 10000.0, None),
        (
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}},
            5e5,
            {"rope_type": "llama3", "factor": 8.0},
        ),
    ],
)
def test_rotary_settings_of_old_and_new_transformers(changes, base, scaling):
    decoder = read_decoder({**LLAMA, **changes})
    assert (decoder.rotary_base, decoder.rotary_scaling) == (base, scaling)


def test_tensors_of_a_mixture():
    names = source_tensors(read_decoder(MIXTRAL), has_head=False)
    # Embedding and norm; for each layer two norms, four projections, the router, and three matrices for each expert.
    assert len(names) == 2 + 2 * (2 + 4 + 1 + 3 * 4)
    assert names["model.layers.1.block_sparse_moe.experts.3.w2.weight"] == (16, 24)


@pytest.mark.parametrize(
    "config, words",
    [
        ([], "config.json is not a JSON object"),
        ({}, "architectures[0] is None; this converter supports LlamaForCausalLM, Mistral"),
        (of("BloomForCausalLM"), "architectures[0] is 'BloomForCausalLM'"),
        ({**LLAMA, "architectures": "LlamaForCausalLM"}, "architectures[0] is None"),
        ({**LLAMA, "quantization_config": {"quant_method": "gptq"}}, "the weights are quantised ('gptq')"),
        ({**LLAMA, "compression_config": True}, "the weights are quantised (True)"),
        (
            {**LLAMA, "mlp_bias": True},
            "mlp_bias is True, which no engine of LlamaForCausalLM computes: use the profile",
        ),
        ({**LLAMA, "hidden_size": 18}, "hidden_size 18 is not a multiple of num_attention_heads 4"),
        ({**LLAMA, "rms_norm_eps": float("inf")}, "rms_norm_eps must be a number greater than 0, not inf"),
        ({**LLAMA, "rope_theta": 10**400}, "rope_theta must be a number greater than 0, not 1000"),
        ({**LLAMA, "vocab_size": MAX_COUNT + 1}, f"vocab_size must be a whole number from 1 to {MAX_COUNT}"),
    ],
)
def test_models_that_cannot_be_converted_are_refused(config, words):
    assert words in refusal(config)


def test_all_problems_are_reported():
    several = {
        **LLAMA,
        "quantization_config": {"quant_method": "awq"},
        "mlp_bias": True,
        "clip_qkv": 8,
        "vocab_size": 0,
    }
    found = refusal(several)
    assert [word in found for word in ("quantised ('awq')", "mlp_bias", "clip_qkv is 8", "vocab_size")] == [True] * 4
    # Of another architecture the keys may mean something else.
    assert refusal({**several, "architectures": ["A"]}).endswith(
        "Use converter upstream if the release supports the model"
    )
    wrong = {
        "hidden_size": "16",
        "intermediate_size": 0,
        "num_attention_heads": True,
        "num_hidden_layers": -1,
        "num_key_value_heads": 1.5,
        "head_dim": [],
        "vocab_size": {},
        "max_position_embeddings": None,
        "rms_norm_eps": 0,
        "rope_theta": "x" * 10**6,
        "rope_scaling": [[[[[[[[]]]]]]]],
        "hidden_act": 1,
        "attention_bias": "no",
        "tie_word_embeddings": 0,
    }
    message = refusal({**LLAMA, **wrong})
    assert [name for name in wrong if f"{name} must be" not in message] == ["max_position_embeddings"]
    assert len(message) < 2000


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"rope_scaling": {"type": "linear"}}, "rope_scaling has no factor"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": "2"}}, "rope_parameters factor must be a number"),
        (
            {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}},
            "partial_rotary_factor is not computed",
        ),
        ({"rope_scaling": {"partial_rotary_factor": [1]}}, "rope_scaling partial_rotary_factor is not computed"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "layer_types: 'chunked_attention' is not computed"),
        ({"hidden_act": "relu2"}, "hidden_act must be one of silu, gelu"),
        ({"sliding_window": -1}, "sliding_window must be a whole number"),
    ],
)
def test_what_engines_do_not_compute_is_refused(changes, words):
    assert words in refusal({**LLAMA, **changes})


@pytest.mark.parametrize(
    "changes, words",
    [
        # It would be written as swiglu.
        ({"hidden_act": "gelu"}, "hidden_act must be one of silu, not 'gelu'"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok 5 is more than num_local_experts 4"),
    ],
)
def test_mixtures_that_cannot_be_converted_are_refused(changes, words):
    assert words in refusal({**MIXTRAL, **changes})


def test_another_architecture_is_described_by_its_sizes():
    other = {**of("ExaoneForCausalLM"), "hidden_act": "xielu", "rope_scaling": {"type": "new"}, "clip_qkv": 8}
    assert describe({**other, "max_position_embeddings": 64}).layers == 2
    nested = {"architectures": ["A"], "language_config": {**LLAMA, "max_position_embeddings": 64, "vocab_size": 7}}
    assert describe({**nested, "vocab_size": 8}).vocab == 7
    # The LLM API computes what engines do not.
    assert describe({**LLAMA, "mlp_bias": True, "hidden_act": "xielu", "layer_types": ["other"]}).hidden == 16
