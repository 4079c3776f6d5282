# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._uncomputed import uncomputed


@pytest.mark.parametrize(
    "name, value",
    [
        ("mlp_bias", True),
        ("partial_rotary_factor", 0.5),
        ("rotary_pct", 0.25),
        ("embedding_multiplier", 12.0),
        ("residual_multiplier", 0.22),
        ("logits_scaling", 8.0),
        ("scale_emb", 12),
        ("scale_embedding", True),
        ("attn_logit_softcapping", 50.0),
        ("final_logit_softcapping", 30.0),
        ("clip_qkv", 8.0),
        ("use_qk_norm", True),
        ("qk_layernorm", True),
        ("query_pre_attn_scalar", 256),
        ("num_experts", 8),
        ("n_shared_experts", 2),
        ("moe_intermediate_size", 768),
        ("no_rope_layers", [1, 1, 0]),
        ("rope_local_base_freq", 10000.0),
        ("use_logn_attn", True),
        ("alibi", True),
        ("position_embedding_type", "alibi"),
        ("attention_chunk_size", 8192),
        ("parallel_residual", True),
        ("pruned_heads", {"0": [1]}),
        ("text_config", {"hidden_size": 64}),
        ("mrope_section", [16, 24, 24]),
        ("attention_sink_size", 4),
    ],
)
def test_keys_that_change_the_computation(name, value):
    assert uncomputed({name: value, "vocab_size": 13}) == [name]


@pytest.mark.parametrize(
    "settings",
    [
        {"mlp_bias": False, "partial_rotary_factor": 1.0, "logits_scaling": 1, "attn_logit_softcapping": None},
        {"clip_qkv": None, "use_qk_norm": False, "num_experts": 1, "n_shared_experts": 0, "pruned_heads": {}},
        {"no_rope_layers": [1, 1], "position_embedding_type": "rope", "norm_type": "rmsnorm", "mrope_section": []},
        # What transformers, training and other tools write.
        {
            "attention_dropout": 0.1,
            "attention_bias": True,
            "rms_norm_eps": 1e-5,
            "layer_norm_eps": 1e-5,
            "use_cache": True,
        },
        {"_attn_implementation_autoset": True, "attn_implementation": "flash_attention_2", "unsloth_version": "2024.9"},
        {
            "max_position_embeddings": 4096,
            "original_max_position_embeddings": 4096,
            "rope_theta": 1e6,
            "rope_scaling": {},
        },
        {"temperature": 0.6, "top_k": 20, "bad_words_ids": [[1]], "chunk_size_feed_forward": 1, "pretraining_tp": 2},
        {"auto_map": {"AutoConfig": "x"}, "sep_token_id": 7, "router_aux_loss_coef": 0.001, "initializer_range": 0.02},
        {
            1: True,
            "quantization_config": {"quant_method": "fp8"},
            "torch_dtype": "bfloat16",
            "tie_word_embeddings": True,
        },
    ],
)
def test_keys_that_do_not(settings):
    assert uncomputed(settings) == []
