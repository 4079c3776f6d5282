# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Mixtral of a few kilobytes with meaningless weights, as a request and as a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder, source_tensors
from safetensors.numpy import save_file

CONFIG: dict[str, Any] = {
    "architectures": ["MixtralForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "vocab_size": 101,
    "max_position_embeddings": 4096,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}
TINY_MIXTRAL: dict[str, Any] = {"repository": "me/tiny", "revision": "1" * 40, "config": CONFIG}


def tiny_mixtral(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tensors = source_tensors(read_decoder(CONFIG), has_head=True)
    save_file({name: np.ones(shape, "f4") for name, shape in tensors.items()}, folder / "model.safetensors")
