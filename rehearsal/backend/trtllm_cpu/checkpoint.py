# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the collection's converter that the tools and the network of this image use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import Decoder
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import (
    LAST,
    release_number,
    tensor_names,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import (
    HEAD,
    Cut,
    Piece,
    Target,
    rank_targets,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_converter import (
    ELEMENTS,
    Request,
    prepare,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import open_weights
from safetensors import safe_open

from . import VERSION

Config = Mapping[str, Any]


def moe_settings(config: Config) -> Mapping[str, Any]:
    """The settings of experts in config.json: 0.9 and 0.10 have them at the top level."""
    names = ("num_experts", "top_k", "normalization_mode")
    return config["moe"] if "moe" in config else {name: config[f"moe_{name}"] for name in names}


def decoder_of(config: Config) -> Decoder:
    """The model that a checkpoint's config.json describes."""
    moe = moe_settings(config)
    return Decoder(
        architecture=config["architecture"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        kv_heads=config["num_key_value_heads"],
        head_size=config["head_size"],
        hidden=config["hidden_size"],
        ffn=config["intermediate_size"],
        vocab=config["vocab_size"],
        max_positions=config["max_position_embeddings"],
        epsilon=config["norm_epsilon"],
        hidden_act=config["hidden_act"],
        rotary_base=config["rotary_base"],
        rotary_scaling=config["rotary_scaling"],
        qkv_bias=config["attn_bias"],
        # Qwen2's attention only has biases on its inputs
        dense_bias=config["attn_bias"] and config["architecture"] != "Qwen2ForCausalLM",
        experts=moe["num_experts"],
        experts_per_token=moe["top_k"],
        tied=config["share_embedding_table"],
    )


def cut_of(config: Config) -> Cut:
    mapping = config["mapping"]
    tp_size = mapping["tp_size"]
    # before 0.11 there are two modes: 1 distributes whole experts, 2 slices each of them
    spread = tp_size if config.get("moe_tp_mode") == 1 else 1
    moe_ep_size = mapping.get("moe_ep_size", spread)
    return Cut(
        tp_size,
        mapping["pp_size"],
        mapping.get("moe_tp_size", tp_size // moe_ep_size),
        moe_ep_size,
        config["use_parallel_embedding"],
        config["embedding_sharding_dim"],
        config["share_embedding_table"],
    )


def targets(config: Config, rank: int, has_head: bool = True) -> list[Target]:
    """Every tensor that a rank of this checkpoint has."""
    return rank_targets(
        decoder_of(config), cut_of(config), rank, config["dtype"], has_head, names=tensor_names(VERSION)
    )


def moe_sizes(tp_size: int, moe_tp_size: int, moe_ep_size: int) -> tuple[int, int]:
    """A size of -1 is derived from the other one; by default each expert is sliced."""
    if moe_ep_size == -1:
        moe_ep_size = 1 if moe_tp_size == -1 else tp_size // max(moe_tp_size, 1)
    if moe_tp_size == -1:
        moe_tp_size = tp_size // max(moe_ep_size, 1)
    return moe_tp_size, moe_ep_size


def read_whole(folder: Path, dtype: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A Hugging Face folder as the checkpoint of one rank, in memory."""
    return read_rank(folder, dtype, Cut(), 0)


def read_rank(folder: Path, dtype: str, cut: Cut, rank: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One rank of the checkpoint that a Hugging Face folder would be converted to, in memory.

    A version after the last one with checkpoints has the layout of that one.
    """
    release = VERSION if release_number(VERSION)[:2] <= LAST else "{}.{}.0".format(*LAST)
    config = prepare(Request(str(folder), release, dtype, cut)).config
    source = Source(folder)
    found = {target.name: source.read(target) for target in targets(config, rank, HEAD in source)}
    return config, found


class Source:
    """The tensors of a Hugging Face folder, from all of its files."""

    def __init__(self, folder: Path):
        # "np" returns bfloat16 as the type of ml_dtypes, bit for bit
        paths = {name: tensor.path for name, tensor in open_weights(str(folder)).items()}
        files = {path: safe_open(path, framework="np") for path in set(paths.values())}
        self._files = {name: files[path] for name, path in paths.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def read(self, target: Target) -> np.ndarray:
        found = np.zeros(target.shape, ELEMENTS[target.dtype])
        _fill(found.reshape(-1), [self._piece(piece) for piece in target.pieces])
        return found

    def _piece(self, piece: Piece) -> np.ndarray:
        slices = self._files[piece.source].get_slice(piece.source)
        rows, columns = slice(*piece.rows), slice(*piece.columns)
        array: np.ndarray = slices[rows] if len(slices.get_shape()) == 1 else slices[rows, columns]
        return array


def _fill(flat: np.ndarray, parts: Sequence[np.ndarray]) -> None:
    """Concatenate the parts."""
    start = 0
    for part in parts:
        flat[start : start + part.size] = part.reshape(-1)
        start += part.size
