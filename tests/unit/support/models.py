# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hugging Face folders of tiny models, intact and damaged."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder, source_tensors

Stored = t.Tuple[str, t.Tuple[int, ...], bytes]
"""The dtype (in safetensors' notation), shape and bytes of a tensor."""

LLAMA: dict[str, t.Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "vocab_size": 13,
}
MIXTRAL: dict[str, t.Any] = {
    **LLAMA,
    "architectures": ["MixtralForCausalLM"],
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}


def random_tensors(config: dict[str, t.Any], code: str = "F16", seed: int = 1) -> dict[str, Stored]:
    """The tensors of a model with this config.json, with random bits that are finite in each dtype of that size."""
    random = np.random.default_rng(seed)
    decoder = read_decoder(config)
    bits = np.dtype("u4" if code == "F32" else "u2")
    return {
        name: (code, shape, (random.integers(0, 1 << (bits.itemsize * 8 - 3), shape)).astype(bits).tobytes())
        for name, shape in source_tensors(decoder, not decoder.tied).items()
    }


def make_file(tensors: t.Mapping[str, Stored]) -> bytes:
    """A safetensors file, written without the code under test."""
    head, data = {}, b""
    for name, (code, shape, raw) in tensors.items():
        head[name] = {"dtype": code, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return with_head(json.dumps(head).encode(), data)


def with_head(head: bytes, data: bytes = b"") -> bytes:
    return len(head).to_bytes(8, "little") + head + data


def write_model(folder: Path, config: t.Any, tensors: t.Mapping[str, Stored], shards: int = 2) -> Path:
    """Write the tensors to the shards in turn, and an index of all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    names = {name: f"model-{number % shards + 1:05}-of-{shards:05}.safetensors" for number, name in enumerate(tensors)}
    for file in set(names.values()):
        part = {name: stored for name, stored in tensors.items() if names[name] == file}
        (folder / file).write_bytes(make_file(part))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder
