# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The config.json of a checkpoint for each TensorRT-LLM version that this collection can write checkpoints for.

Sources: the output of upstream's converter in 0.9.0, 0.10.0, 0.12.0, 0.14.0 and the development version before 0.16.0;
the source of upstream's configuration classes in 0.11.0, 0.13.0 and 0.15.0, and near later versions. The runtime
refuses unknown keys in `mapping`, `quantization` and `moe`, so only keys that a version has are written there.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _rotary
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    ARCHITECTURES,
    ConfigError,
    Decoder,
    quoted,
    read_decoder,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut, TensorNames
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

# Upstream's later versions have no TensorRT engines.
FIRST, LAST = (0, 9), (1, 2)
_RELEASE = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9})+)(?:\.?(?:dev|rc|post)[0-9]{1,10})?")
# Architectures that were supported later than FIRST.
_FIRST_BY_ARCHITECTURE = {"Qwen2ForCausalLM": (0, 11)}


class Family(t.NamedTuple):
    """The keys that versions from `first` on have in addition to the common ones.

    `moe` has the constants of the mapping of that name; None if its keys are at the top level.
    """

    first: tuple[int, ...]
    keys: t.Mapping[str, t.Any]
    mapping: tuple[str, ...]
    quantization: t.Mapping[str, t.Any]
    moe: t.Mapping[str, t.Any] | None


_SIZES = ("world_size", "tp_size", "pp_size")
_SIZES_11 = ("world_size", "gpus_per_node", "tp_size", "pp_size", "moe_tp_size", "moe_ep_size")
_SIZES_12 = (*_SIZES_11, "cp_size")
_QUANTIZATION = {
    "quant_algo": None,
    "kv_cache_quant_algo": None,
    "group_size": 128,
    "smoothquant_val": None,
    "has_zero_point": False,
    "pre_quant_scale": False,
    "exclude_modules": ["lm_head"],
}
_QUANTIZATION_11 = {**_QUANTIZATION, "exclude_modules": None}
_QUANTIZATION_12 = {**_QUANTIZATION_11, "smoothquant_val": 0.5, "clamp_val": None}
_QUANTIZATION_15 = {**_QUANTIZATION_12, "use_meta_recipe": False}
_KEYS_10 = {"qk_layernorm": False, "residual_mlp": False}
_KEYS_12 = {**_KEYS_10, "remove_duplicated_kv_heads": False}
_KEYS_16 = {
    **_KEYS_12,
    "fc_after_embed": False,
    "use_input_layernorm_in_first_layer": True,
    "use_last_layernorm": True,
    "layer_idx_offset": 0,
    "runtime_defaults": None,
}
_MOE_13 = {"tp_mode": 0, "sparse_mixer_epsilon": 0.01}
_MOE_14 = {**_MOE_13, "moe_intermediate_size": 0, "num_shared_experts": 0}
_GROUPS = {
    "device_limited_n_group": 0,
    "device_limited_topk_group": 0,
    "device_limited_routed_scaling_factor": 1.0,
}
_FAMILIES = (
    Family((0, 9), {}, _SIZES, _QUANTIZATION, None),
    Family((0, 10), _KEYS_10, (*_SIZES, "gpus_per_node"), _QUANTIZATION, None),
    Family((0, 11), _KEYS_10, _SIZES_11, _QUANTIZATION_11, {}),
    Family((0, 12), _KEYS_12, _SIZES_12, _QUANTIZATION_12, {"tp_mode": 0}),
    Family((0, 13), _KEYS_12, _SIZES_12, _QUANTIZATION_12, _MOE_13),
    Family((0, 14), _KEYS_12, _SIZES_12, _QUANTIZATION_12, _MOE_14),
    Family((0, 15), _KEYS_12, _SIZES_12, _QUANTIZATION_15, {**_MOE_14, **_GROUPS}),
    Family(
        (0, 16), _KEYS_16, _SIZES_12, _QUANTIZATION_15, {**_MOE_13, **_GROUPS, "shared_expert_intermediate_size": 0}
    ),
)

# Keys that QWenConfig requires in some versions; other versions ignore them.
_QWEN = {"qwen_type": "qwen2", "seq_length": 8192, "use_logn_attn": False, "num_labels": 1}


def release_number(release: str) -> tuple[int, ...]:
    """0.12.0 and its pre-releases, such as 0.12.0rc1, as (0, 12, 0); empty if `release` is not a version."""
    match = _RELEASE.fullmatch(release)
    return version(match.group(1)) if match else ()


def unsupported(release: str, architecture: str) -> str:
    """Why this collection cannot write a checkpoint of that architecture for that release; empty if it can."""
    number = release_number(release)
    if number < FIRST:
        return f"the checkpoint format of release {release} is not supported, only that of 0.9.0 and later"
    if number[:2] > LAST:
        return f"release {release} has no TensorRT engines: use release 1.2 or earlier, or the profile llmapi"
    if architecture not in ARCHITECTURES:
        return f"{architecture} is not among {', '.join(ARCHITECTURES)}"
    first = _FIRST_BY_ARCHITECTURE.get(architecture, FIRST)
    if number < first:
        return f"release {release} does not support {architecture}: use release {'.'.join(map(str, first))} or later"
    return ""


def native_inputs(source: str, release: str, dtype: str, cut: Cut) -> dict[str, t.Any]:
    """The inputs of a checkpoint that this collection writes. It does not depend on an image."""
    sizes = {name: getattr(cut, name) for name in ("tp_size", "pp_size", "moe_tp_size", "moe_ep_size")}
    inputs = {"source": source, "release": release, "converter": "native", "dtype": dtype, **sizes}
    if cut.use_parallel_embedding:
        inputs["embedding_sharding_dim"] = cut.embedding_sharding_dim
    if cut.share_embedding:
        inputs["use_embedding_sharing"] = True
    return inputs


def config_problems(config: t.Mapping[str, t.Any], release: str) -> list[str]:
    """Why an engine of this release cannot compute the model that config.json describes, whatever converts it."""
    try:
        decoder = read_decoder(config)
    except ConfigError as exc:
        return list(exc.problems)
    return [*_expert_problems(decoder), *_engine_problems(decoder, release)]


def _expert_problems(decoder: Decoder) -> list[str]:
    if decoder.experts or decoder.stated_experts < 2:
        return []
    return [f"num_local_experts is {decoder.stated_experts}, but {decoder.architecture} has no experts"]


def _engine_problems(decoder: Decoder, release: str) -> list[str]:
    """Properties of the model that engines of the release do not support."""
    number, problems = release_number(release), []
    if number < (0, 12) and decoder.head_size * decoder.heads != decoder.hidden:
        problems.append(
            f"head_dim {decoder.head_size} times {decoder.heads} heads is not hidden_size: use release 0.12.0 or later"
        )
    remedy = _rotary.unsupported(decoder.rotary_scaling, number)
    if remedy:
        kind = _rotary.type_of(decoder.rotary_scaling or {})
        computed = ", ".join(_rotary.computed(number))
        problems.append(f"rope_scaling {quoted(kind)}: engines of release {release} compute {computed}; {remedy}")
    return problems


def engine_warnings(decoder: Decoder, longest: int) -> list[str]:
    """What TensorRT-LLM computes differently in sequences of up to this length."""
    found = [
        f"config.json has {key} {length}, but TensorRT-LLM computes full attention: answers differ from the model's in"
        f" sequences of more than {length} tokens"
        for key, length in decoder.full_attention.items()
        if longest > length
    ]
    scaling, positions = decoder.rotary_scaling or {}, decoder.max_positions
    if _rotary.type_of(scaling) == "dynamic" and longest > positions:
        found.append(
            f"config.json has rope_scaling dynamic: in sequences of more than {positions} tokens, the KV cache keeps"
            " keys that were scaled for shorter ones, so answers may differ from the model's"
        )
    return found


def release_problems(decoder: Decoder, cut: Cut, release: str) -> list[str]:
    """Properties of the model, and of how it is sharded, that the runtime of the release does not support."""
    number = release_number(release)
    problems = _engine_problems(decoder, release)
    # Otherwise the layout refuses moe_ep_size.
    problems += _expert_problems(decoder) if cut.moe_ep_size == 1 else []
    if number < (0, 11) and cut.moe_tp_size > 1 and cut.moe_ep_size > 1:
        problems.append(
            f"release {release} cannot combine tensor and expert parallelism: moe_tp_size or moe_ep_size must be 1"
        )
    if cut.share_embedding and not (0, 14) <= number < (0, 17):
        problems.append(f"use_embedding_sharing needs release 0.14 to 0.16, not {release}: leave it out")
    return problems


def tensor_names(release: str) -> TensorNames:
    if release_number(release) < (0, 10):
        return TensorNames("mlp.experts_weight_1", "mlp.experts_weight_2")
    return TensorNames()


def checkpoint_config(decoder: Decoder, cut: Cut, dtype: str, release: str) -> dict[str, t.Any]:
    """The config.json of a checkpoint for this release."""
    number = release_number(release)
    family = [entry for entry in _FAMILIES if entry.first <= number][-1]
    is_qwen = decoder.architecture == "Qwen2ForCausalLM"
    sizes = {
        "world_size": cut.world_size,
        "gpus_per_node": 8,
        "cp_size": 1,
        "tp_size": cut.tp_size,
        "pp_size": cut.pp_size,
        "moe_tp_size": cut.moe_tp_size,
        "moe_ep_size": cut.moe_ep_size,
    }
    return {
        "architecture": "QWenForCausalLM" if is_qwen and number < (0, 12) else decoder.architecture,
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": decoder.vocab,
        "max_position_embeddings": _table_positions(decoder),
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
        **({"kv_dtype": dtype} if number < (0, 11) else {}),
        **({"tie_word_embeddings": decoder.tied} if number >= (0, 15) else {}),
        **({"rotary_embedding_dim": decoder.head_size} if number >= (0, 16) else {}),
        **(_QWEN if is_qwen else {}),
    }


def _table_positions(decoder: Decoder) -> int:
    """The length of the rotary tables, which must cover all positions. Dynamic scaling depends on the original one."""
    is_fixed = _rotary.type_of(decoder.rotary_scaling or {}) in ("linear", "yarn")
    return decoder.positions if is_fixed else decoder.max_positions


def _rotary_scaling(decoder: Decoder, number: tuple[int, ...]) -> dict[str, t.Any] | None:
    scaling = decoder.rotary_scaling
    if scaling and number < (0, 12):
        # The only key that these releases read.
        return {"type": _rotary.type_of(scaling), **scaling}
    # As the transformers version of these releases changes it.
    if scaling and "type" in scaling and number >= (0, 14) and decoder.architecture == "LlamaForCausalLM":
        return {"rope_type": scaling["type"], **scaling}
    return scaling


def _moe(decoder: Decoder, cut: Cut, family: Family) -> dict[str, t.Any]:
    # 1: the weights of the chosen experts are scaled so that their sum is 1.
    normalization = 1 if decoder.experts else None
    if family.moe is None:
        return {
            "moe_num_experts": decoder.experts,
            "moe_top_k": decoder.experts_per_token,
            # 1: expert parallelism, 2: tensor parallelism.
            "moe_tp_mode": 1 if cut.moe_ep_size > 1 else 2,
            "moe_normalization_mode": normalization,
        }
    chosen = {"num_experts": decoder.experts, "top_k": decoder.experts_per_token}
    return {"moe": {**chosen, "normalization_mode": normalization, **family.moe}}
