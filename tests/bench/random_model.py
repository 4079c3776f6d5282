# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a model with random bfloat16 weights: `random_model.py NAME FOLDER BYTES`, with at least that many bytes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder, source_tensors
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    INDEX,
    make_head,
    tensor_bytes,
)

SHARD_BYTES = 1 << 30
CONFIGS = {
    # Every row consists of whole pages.
    "mixtral": {
        "architectures": ["MixtralForCausalLM"],
        "hidden_size": 2048,
        "intermediate_size": 3584,
        "max_position_embeddings": 32768,
        "num_attention_heads": 16,
        "num_experts_per_tok": 2,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "torch_dtype": "bfloat16",
        "vocab_size": 32000,
    },
    # A row of 5120 values is two and a half pages.
    "mistral": {
        "architectures": ["MistralForCausalLM"],
        "head_dim": 128,
        "hidden_size": 5120,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "torch_dtype": "bfloat16",
        "vocab_size": 32000,
    },
}


def model_tensors(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return source_tensors(read_decoder(config), has_head=True)


def config_of_size(name: str, size: int) -> dict[str, Any]:
    """The config.json of the model with as many layers as make `size` bytes."""
    one, two = (
        sum(
            tensor_bytes("bfloat16", shape)
            for shape in model_tensors({**CONFIGS[name], "num_hidden_layers": layers}).values()
        )
        for layers in (1, 2)
    )
    return {**CONFIGS[name], "num_hidden_layers": max(1, 1 - (one - size) // (two - one))}


def make_model(config: dict[str, Any], folder: Path) -> None:
    """Write the model in shards of 1 GiB."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tensors = model_tensors(config)
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in tensors.items():
        if filled > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += tensor_bytes("bfloat16", shape)
    files = {f"model-{number:05d}-of-{len(shards):05d}.safetensors": names for number, names in enumerate(shards, 1)}
    for file, names in files.items():
        write_shard(folder / file, {name: ("bfloat16", tensors[name]) for name in names})
    weight_map = {name: file for file, names in files.items() for name in names}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def write_shard(path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Write values like trained weights: around zero, a few of them too small for float16's normal range."""
    generator = np.random.default_rng(0)
    values = (generator.standard_normal(1 << 24, np.float32) * np.float32(0.02)).astype(ml_dtypes.bfloat16)
    head, offsets = make_head(tensors)
    with path.open("wb") as file:
        file.write(head)
        for name in sorted(tensors, key=lambda name: offsets[name]):
            shift = int(generator.integers(values.size))
            count = int(np.prod(tensors[name][1]))
            file.write(np.resize(np.roll(values, shift), count).view(np.uint8).data)


if __name__ == "__main__":
    make_model(config_of_size(sys.argv[1], int(sys.argv[3])), Path(sys.argv[2]))
