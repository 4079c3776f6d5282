# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Keys of config.json that change what a model computes, but that engines of the supported architectures ignore.

Upstream's converter ignores most of them, too, so the engine would be built and answer nonsense.
"""

from __future__ import annotations

import re
import typing as t

# Names with a suspicious word that the decoder reads, or that do not change the result.
_HARMLESS = frozenset(
    (
        *("num_attention_heads", "max_position_embeddings", "original_max_position_embeddings", "attention_bias"),
        *("bias", "rope_theta", "rope_scaling", "rope_parameters", "rope_finetuned", "sliding_window", "layer_types"),
        *("use_sliding_window", "max_window_layers", "dual_chunk_attention_config", "compression_config"),
        *(
            "output_attentions",
            "use_flash_attn",
            "use_flash_attention",
            "use_flash_attention_2",
            "chunk_size_feed_forward",
        ),
        *(
            "num_local_experts",
            "num_experts_per_tok",
            "output_router_logits",
            "router_jitter_noise",
            "attention_softmax_in_fp32",
        ),
    )
)
_SUSPICIOUS = re.compile(
    r"alibi|attn|attention|bias|capping|softcap|chunk|clip|compress|expert|gate|interleav|logn|lora|mixture|moe|mrope"
    r"|multipl|mup|no_?rope|norm|ntk|parallel_residual|partial|per_layer|position|pruned|qk_|query|relative|residual"
    r"|rotary|rope|router|scal|shared|sink|skip|sparse|window|(text|vision|audio|language|llm)_config"
)
# Names of tools, and of settings of training and sampling.
_OF_TOOLS = re.compile(
    r"_.*|.*(dropout|dropout_prob|pdrop|_eps|_epsilon|_token|_tokens|_token_ids?|_version|_coef|_loss|_implementation)"
)
# Null, false, 0, and what is empty are neutral for all keys, and 1 for these.
_NEUTRAL_AT_ONE = re.compile(r".*(multipl|scal|partial|percent|_pct|ratio|expert|factor|freq).*")
_NEUTRAL: t.Mapping[str, tuple[t.Any, ...]] = {
    "norm_type": ("rmsnorm", "rms_norm", "RMSNorm"),
    "position_embedding_type": ("rope", "rope_gpt_neox", "rotary", "absolute"),
}


def uncomputed(settings: t.Mapping[str, t.Any]) -> list[str]:
    """The names of these keys whose values are not neutral, sorted."""
    return sorted(
        name
        for name, value in settings.items()
        if isinstance(name, str)
        and name not in _HARMLESS
        and _SUSPICIOUS.search(name)
        and not _OF_TOOLS.fullmatch(name)
        and not _is_neutral(name, value)
    )


def _is_neutral(name: str, value: t.Any) -> bool:
    if value is None or value is False or value in ("", [], {}) or (value == 0 and not isinstance(value, bool)):
        return True
    if name == "no_rope_layers" and isinstance(value, list):
        return set(map(str, value)) == {"1"}
    if value is not True and value == 1:
        return bool(_NEUTRAL_AT_ONE.fullmatch(name))
    return value in _NEUTRAL.get(name, ())
