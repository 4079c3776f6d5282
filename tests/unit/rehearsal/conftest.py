# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny random Llama as a Hugging Face folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder, source_tensors
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

PROJECT = Path(__file__).parents[3]
sys.path.insert(0, str(PROJECT / "rehearsal/backend"))

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 53,
}


def make_weights(config: dict[str, Any], seed: int = 7) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes = source_tensors(read_decoder(config), has_head=not config["tie_word_embeddings"])
    return {name: (random.normal(size=shape) * 0.3).astype(ml_dtypes.bfloat16) for name, shape in shapes.items()}


def write_snapshot(folder: Path, config: dict[str, Any], weights: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = sorted(weights)
    for number, part in enumerate((names[::2], names[1::2]), 1):
        save_file({name: weights[name] for name in part}, str(folder / f"model-{number:05d}-of-00002.safetensors"))
    return folder


@pytest.fixture
def snapshot(tmp_path: Path) -> Callable[..., Path]:
    """Creates the folder; keyword arguments change the model's configuration."""

    def make(**changes: Any) -> Path:
        config = {**CONFIG, **changes}
        return write_snapshot(tmp_path / "hf", config, make_weights(config))

    return make


@pytest.fixture
def alien(snapshot: Callable[..., Path]) -> Path:
    """A folder whose config.json names an unsupported architecture."""
    path = snapshot() / "config.json"
    path.write_text(json.dumps({**CONFIG, "architectures": ["GPT2LMHeadModel"]}), encoding="utf-8")
    return path.parent


@pytest.fixture
def tokenizer_in() -> Callable[[Path], Path]:
    """Writes a byte-level tokenizer to a folder: every byte is a token, followed by two special ones."""

    def write(folder: Path) -> Path:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        library = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        library.add_special_tokens([AddedToken("<end>", special=True), AddedToken("<pad>", special=True)])
        library.save(str(folder / "tokenizer.json"))
        special = {"eos_token": {"content": "<end>", "special": True}}
        (folder / "tokenizer_config.json").write_text(json.dumps(special), encoding="utf-8")
        return folder

    return write
