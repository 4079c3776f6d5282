# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    MAX_COUNT,
    ConversionError,
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


def test_null_kv_heads_means_as_many_as_heads():
    assert read_decoder(of("MistralForCausalLM", num_key_value_heads=None)).kv_heads == 4


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
        ({**LLAMA, "mlp_bias": True}, "mlp_bias is not supported; use converter upstream"),
        ({**LLAMA, "hidden_size": 18}, "hidden_size 18 is not a multiple of num_attention_heads 4"),
        ({**LLAMA, "rms_norm_eps": float("inf")}, "rms_norm_eps must be a number greater than 0, not inf"),
        ({**LLAMA, "rope_theta": 10**400}, "rope_theta must be a number greater than 0, not 1000"),
        ({**LLAMA, "vocab_size": MAX_COUNT + 1}, f"vocab_size must be a whole number from 1 to {MAX_COUNT}"),
    ],
)
def test_models_that_cannot_be_converted_are_refused(config, words):
    assert words in refusal(config)


def test_all_problems_are_reported():
    architecture = {**LLAMA, "architectures": ["A"], "quantization_config": {"quant_method": "awq"}, "mlp_bias": True}
    assert refusal(architecture).count("config.json: ") == 3
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
