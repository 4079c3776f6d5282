# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The size of the KV cache that a GPU would have. Nothing is allocated: only what does not fit is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trtllm_cpu import log

from .versions import Version

# Memory for the cache of all ranks together, as if a GPU of 8 GiB were empty.
FREE_BYTES = 8 * 1024**3
BYTES_PER_VALUE = 2


@dataclass(frozen=True)
class KvCache:
    blocks: int
    tokens_per_block: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], model: Mapping[str, Any]) -> KvCache:
        """`model` is config.json. If there are two limits, the smaller one counts."""
        heads = model.get("num_key_value_heads") or model["num_attention_heads"]
        size = model.get("head_dim") or model["hidden_size"] // model["num_attention_heads"]
        bytes_per_token = 2 * model["num_hidden_layers"] * heads * size * BYTES_PER_VALUE
        tokens = int(FREE_BYTES * settings["free_gpu_memory_fraction"] / bytes_per_token)
        if settings["max_tokens"] is not None:
            tokens = min(tokens, settings["max_tokens"])
        per_block = settings.get("tokens_per_block") or 32
        return cls(tokens // per_block, per_block)

    @property
    def tokens(self) -> int:
        return self.blocks * self.tokens_per_block

    def blocks_of(self, tokens: int) -> int:
        return -(-tokens // self.tokens_per_block)

    def limit(self, version: Version, max_seq_len: int) -> int:
        """max_seq_len, cut to what the cache holds in the versions that do so."""
        log.info(f"Estimated max memory in KV cache : {self.blocks} blocks, max sequence length={self.tokens}")
        if self.tokens >= max_seq_len or not version["config"]["file_wins"]:
            return max_seq_len
        log.warning(
            f"max_seq_len={max_seq_len} is larger than the max sequence length that can be allocated, {self.tokens}"
        )
        return self.tokens

    def check(self, tokens: int) -> None:
        """Refuse a sequence that never fits; it is noticed after the answer has begun."""
        needed = self.blocks_of(tokens)
        if needed > self.blocks:
            text = (
                f"KV_CACHE_MANAGER requires {needed} KV cache blocks, which exceeds its GPU-primary capacity of "
                f"{self.blocks}"
            )
            log.runtime("ERROR", text)
            raise RuntimeError(text)
