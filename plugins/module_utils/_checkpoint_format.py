# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What config.json of a checkpoint says in each release, and which releases this collection writes it for.

Sources: upstream's own converter as run at 0.9.0, 0.10.0, 0.12.0, 0.14.0 and the development version before 0.16.0;
the releases between and after them by reading. docs/checkpoints.md tells which key was seen where.
"""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._checkpoint_layout import Cut, TensorNames
from ansible_collections.tritonops.trtllm.plugins.module_utils._decoder import ARCHITECTURES, Decoder

FIRST = (0, 9)
_FALSE_AT_FIRST = {"qk_layernorm": False, "residual_mlp": False}
_QUANTIZATION = {
    "quant_algo": None,
    "kv_cache_quant_algo": None,
    "group_size": 128,
    "smoothquant_val": None,
    "has_zero_point": False,
    "pre_quant_scale": False,
    "exclude_modules": ["lm_head"],
}
_LATER_QUANTIZATION = {**_QUANTIZATION, "smoothquant_val": 0.5, "exclude_modules": None, "clamp_val": None}
_LATER_MAPPING = ("world_size", "gpus_per_node", "cp_size", "tp_size", "pp_size", "moe_tp_size", "moe_ep_size")


class Family(t.NamedTuple):
    """What the releases of a family have beside the keys that all have.

    `moe`: constants of the mapping of that name; None where its keys stand beside the others.
    """

    first: tuple[int, ...]
    keys: t.Mapping[str, t.Any]
    mapping: tuple[str, ...]
    quantization: t.Mapping[str, t.Any]
    moe: t.Mapping[str, t.Any] | None


_FAMILIES = (
    Family((0, 9), {}, ("world_size", "tp_size", "pp_size"), _QUANTIZATION, None),
    Family((0, 10), _FALSE_AT_FIRST, ("world_size", "gpus_per_node", "tp_size", "pp_size"), _QUANTIZATION, None),
    Family(
        (0, 12),
        {**_FALSE_AT_FIRST, "remove_duplicated_kv_heads": False},
        _LATER_MAPPING,
        _LATER_QUANTIZATION,
        {"tp_mode": 0},
    ),
    Family(
        (0, 14),
        {**_FALSE_AT_FIRST, "remove_duplicated_kv_heads": False},
        _LATER_MAPPING,
        _LATER_QUANTIZATION,
        {"tp_mode": 0, "moe_intermediate_size": 0, "num_shared_experts": 0, "sparse_mixer_epsilon": 0.01},
    ),
    Family(
        (0, 16),
        {
            **_FALSE_AT_FIRST,
            "remove_duplicated_kv_heads": False,
            "fc_after_embed": False,
            "use_input_layernorm_in_first_layer": True,
            "use_last_layernorm": True,
            "layer_idx_offset": 0,
            "runtime_defaults": None,
        },
        _LATER_MAPPING,
        {**_LATER_QUANTIZATION, "use_meta_recipe": False},
        {
            "tp_mode": 0,
            "shared_expert_intermediate_size": 0,
            "sparse_mixer_epsilon": 0.01,
            "device_limited_n_group": 0,
            "device_limited_topk_group": 0,
            "device_limited_routed_scaling_factor": 1.0,
        },
    ),
)


def release_number(release: str) -> tuple[int, ...]:
    """0.12.0 as (0, 12, 0); empty for what is no release."""
    parts = release.lstrip("v").split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def unsupported(release: str, architecture: str) -> str:
    """Why this collection does not write a checkpoint of that model for that release; empty when it does."""
    number = release_number(release)
    if number < FIRST:
        return f"the checkpoint's format of release {release} is not known here; 0.9.0 and later are"
    if architecture not in ARCHITECTURES:
        return f"{architecture} is not among {', '.join(ARCHITECTURES)}"
    return ""


def native_inputs(source: str, release: str, dtype: str, cut: Cut) -> dict[str, t.Any]:
    """What identifies a checkpoint that this collection writes. No image is part of it."""
    sizes = {name: getattr(cut, name) for name in ("tp_size", "pp_size", "moe_tp_size", "moe_ep_size")}
    inputs = {"source": source, "release": release, "converter": "native", "dtype": dtype, **sizes}
    if cut.use_parallel_embedding:
        inputs["embedding_sharding_dim"] = cut.embedding_sharding_dim
    if cut.share_embedding:
        inputs["use_embedding_sharing"] = True
    return inputs


def sharing_problem(release: str) -> str:
    """Why embedding and head cannot become one tensor at conversion; empty when they can."""
    if (0, 14) <= release_number(release) < (0, 17):
        return ""
    return f"use_embedding_sharing is of releases 0.14 to 0.16, not of {release}: leave it out"


def cut_problem(release: str, cut: Cut) -> str:
    """What the runtime of the release cannot do; empty when it can."""
    if release_number(release) < (0, 11) and cut.moe_tp_size > 1 and cut.moe_ep_size > 1:
        return f"release {release} spreads experts or cuts them, not both: moe_tp_size or moe_ep_size must be 1"
    return ""


def tensor_names(release: str) -> TensorNames:
    if release_number(release) < (0, 10):
        return TensorNames("mlp.experts_weight_1", "mlp.experts_weight_2")
    return TensorNames()


def checkpoint_config(decoder: Decoder, cut: Cut, dtype: str, release: str) -> dict[str, t.Any]:
    """config.json of a checkpoint for this release."""
    number = release_number(release)
    family = [entry for entry in _FAMILIES if entry.first <= number][-1]
    sizes = {
        "world_size": cut.world_size,
        "gpus_per_node": 8,
        "cp_size": 1,
        "tp_size": cut.tp_size,
        "pp_size": cut.pp_size,
        "moe_tp_size": cut.moe_tp_size,
        "moe_ep_size": cut.moe_ep_size,
    }
    config: dict[str, t.Any] = {
        "architecture": decoder.architecture,
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": decoder.vocab,
        "max_position_embeddings": decoder.max_positions,
        "hidden_size": decoder.hidden,
        "num_hidden_layers": decoder.layers,
        "num_attention_heads": decoder.heads,
        "num_key_value_heads": decoder.kv_heads,
        "head_size": decoder.head_size,
        "hidden_act": "swiglu" if decoder.experts else decoder.hidden_act,
        "intermediate_size": decoder.ffn,
        "norm_epsilon": decoder.epsilon,
        "position_embedding_type": "rope_gpt_neox",
        "use_parallel_embedding": cut.use_parallel_embedding,
        "embedding_sharding_dim": cut.embedding_sharding_dim,
        "share_embedding_table": cut.share_embedding,
        "rotary_base": decoder.rotary_base,
        "rotary_scaling": _rotary_scaling(decoder, number),
        "attn_bias": decoder.qkv_bias,
        "mlp_bias": False,
        "disable_weight_only_quant_plugin": False,
        "mapping": {name: sizes[name] for name in family.mapping},
        "quantization": dict(family.quantization),
        **family.keys,
        **_moe(decoder, cut, family),
    }
    if number < (0, 10, 1):
        config["kv_dtype"] = dtype
    if number >= (0, 16):
        config["rotary_embedding_dim"] = decoder.head_size
    return config


def _rotary_scaling(decoder: Decoder, number: tuple[int, ...]) -> dict[str, t.Any] | None:
    scaling = decoder.rotary_scaling
    # The transformers that come with 0.13 and later add the new name of the key.
    if scaling and "type" in scaling and number >= (0, 13):
        return {"rope_type": scaling["type"], **scaling}
    return scaling


def _moe(decoder: Decoder, cut: Cut, family: Family) -> dict[str, t.Any]:
    # 1: the weights of the chosen experts are scaled to a sum of one.
    normalization = 1 if decoder.experts else None
    if family.moe is None:
        return {
            "moe_num_experts": decoder.experts,
            "moe_top_k": decoder.experts_per_token,
            # 1 spreads whole experts over the ranks, 2 cuts each of them.
            "moe_tp_mode": 1 if cut.moe_ep_size > 1 else 2,
            "moe_normalization_mode": normalization,
        }
    chosen = {"num_experts": decoder.experts, "top_k": decoder.experts_per_token}
    return {"moe": {**chosen, "normalization_mode": normalization, **family.moe}}
