# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The format of quantised weights, as quant_algo in hf_quant_config.json, from a model's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import QUANTIZATION, quantization_of

# compressed-tensors: the strategy for the weights of FP8.
_BY_STRATEGY = {"tensor": "FP8", "channel": "FP8_PER_CHANNEL_PER_TOKEN", "block": "FP8_BLOCK_SCALES"}


def checkpoint_format_of(config: Mapping[str, Any]) -> str:
    """The name of the format; empty if config.json does not say it, because the weights may still be quantised."""
    method = quantization_of(config)
    stated: Mapping[str, Any] = next((config[key] for key in QUANTIZATION if isinstance(config.get(key), Mapping)), {})
    if method == "modelopt":
        return str(stated.get("quant_algo") or "").upper()
    if method == "compressed-tensors":
        return _compressed_format(stated)
    if method == "fp8":
        return "FP8_BLOCK_SCALES" if stated.get("weight_block_size") else "FP8"
    return {"mxfp4": "MXFP4", "nvfp4": "NVFP4"}.get(str(method), "")


def _compressed_format(stated: Mapping[str, Any]) -> str:
    """Of the first group; only FP8 is read, so the others get a name that no version has."""
    groups = stated.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        return ""
    if (weights.get("type"), weights.get("num_bits")) != ("float", 8):
        return f"compressed-tensors {weights.get('type')}{weights.get('num_bits')}"
    return _BY_STRATEGY.get(str(weights.get("strategy")), "")
