# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Llama or Mixtral in NumPy, with one rank's weights from the engine file.

Tokens of several sequences are processed together ("packed input"): linear layers see one matrix, attention uses each
sequence's own cache. A rank has its share of the heads and of the inner width in the layers of its stage.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .group import Alone, Array, Group
from .layers import Embedding, Layer, Weights, attend, read_layer, rms_norm, rotary_frequencies, rotate


class KVCache:
    """Keys and values of one sequence; grows with the sequence."""

    def __init__(self, layers: int, heads: int, head_size: int):
        self.length = 0
        self._store = np.empty((2, layers, heads, 0, head_size), np.float32)

    def reserve(self, tokens: int) -> None:
        capacity = self._store.shape[3]
        if self.length + tokens > capacity:
            bigger = max(self.length + tokens, 2 * capacity, 64)
            store = np.empty((*self._store.shape[:3], bigger, self._store.shape[4]), np.float32)
            store[:, :, :, : self.length] = self._store[:, :, :, : self.length]
            self._store = store

    def extend(self, layer: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Append the new tokens' keys and values of a layer, and return all of them."""
        end = self.length + keys.shape[1]
        self._store[0, layer, :, self.length : end] = keys
        self._store[1, layer, :, self.length : end] = values
        return self._store[0, layer, :, :end], self._store[1, layer, :, :end]


@dataclass(frozen=True)
class Chunk:
    """The next tokens of one sequence, and the number of last tokens whose logits are needed."""

    sequence: int
    tokens: Sequence[int]
    wanted: int = 1


@dataclass(frozen=True)
class Shape:
    """The values that the network needs from the engine's `pretrained_config`; the heads are this rank's."""

    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    vocab: int
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, Any], group: Group) -> Shape:
        return cls(
            heads=config["num_attention_heads"] // group.size,
            # with more ranks than KV heads each rank has one head, which its neighbours also have
            kv_heads=math.ceil(config["num_key_value_heads"] / group.size),
            head_size=config["head_size"],
            hidden=config["hidden_size"],
            vocab=config["vocab_size"],
            epsilon=config["norm_epsilon"],
        )


@dataclass
class Packed:
    """The concatenated chunks of a step: the cache and rows of each chunk, and the rotation of every row."""

    caches: list[KVCache]
    spans: list[slice]
    rotation: tuple[Array, Array]


class Llama:
    """One rank of the network. Weights are widened to float32 once, except the embedding, which is only looked up."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Array], group: Group | None = None):
        self._group: Group = group or Alone()
        self.shape = Shape.of(config, self._group)
        self._caches: dict[int, KVCache] = {}
        self._layers = _read_layers(config, tensors, self._group)
        self._frequencies = rotary_frequencies(
            self.shape.head_size, config["rotary_base"], config.get("rotary_scaling") or {}
        )
        weights = Weights(tensors)
        embedding = "transformer.vocab_embedding.weight"
        if self._is_first:
            cut = config["embedding_sharding_dim"] if config["use_parallel_embedding"] else None
            self._embedding = Embedding(tensors[embedding], cut, self._group)
        if self._is_last:
            self._norm = weights["transformer.ln_f.weight"]
            self._head = weights[embedding if config["share_embedding_table"] else "lm_head.weight"]

    @property
    def _is_first(self) -> bool:
        return self._group.stage == 0

    @property
    def _is_last(self) -> bool:
        return self._group.stage == self._group.stages - 1

    def step(self, chunks: Sequence[Chunk], forgotten: Sequence[int] = ()) -> list[Array]:
        """The logits for each chunk, on the leading rank; the sequences' caches grow by the chunks' tokens.

        All ranks take the same step. An unknown sequence starts.
        """
        for sequence in forgotten:
            self._caches.pop(sequence, None)
        if not chunks:
            return []
        packed = self._pack(chunks)
        hidden = self._enter(chunks)
        for number, layer in enumerate(self._layers):
            hidden = hidden + self._attention(number, layer, hidden, packed)
            hidden = hidden + self._mlp(layer, hidden)
        for cache, chunk in zip(packed.caches, chunks):
            cache.length += len(chunk.tokens)
        return self._leave(hidden, packed.spans, [chunk.wanted for chunk in chunks])

    def _pack(self, chunks: Sequence[Chunk]) -> Packed:
        caches = [self._caches.get(chunk.sequence) or self._begin(chunk.sequence) for chunk in chunks]
        sizes = [len(chunk.tokens) for chunk in chunks]
        for cache, size in zip(caches, sizes):
            cache.reserve(size)
        bounds = itertools.accumulate(sizes, initial=0)
        positions = np.concatenate([np.arange(size) + cache.length for cache, size in zip(caches, sizes)])
        angles = positions[:, None].astype(np.float32) * self._frequencies
        return Packed(
            caches,
            [slice(start, stop) for start, stop in itertools.pairwise(bounds)],
            (np.cos(angles)[:, None], np.sin(angles)[:, None]),
        )

    def _begin(self, sequence: int) -> KVCache:
        cache = KVCache(len(self._layers), self.shape.kv_heads, self.shape.head_size)
        self._caches[sequence] = cache
        return cache

    def _enter(self, chunks: Sequence[Chunk]) -> Array:
        """The input of this stage's layers."""
        tokens = np.concatenate([np.asarray(chunk.tokens, np.int64) for chunk in chunks])
        if self._is_first:
            return self._embedding(tokens)
        return self._group.receive((len(tokens), self.shape.hidden), self._group.stage - 1)

    def _leave(self, hidden: Array, spans: Sequence[slice], wanted: Sequence[int]) -> list[Array]:
        """Send hidden states to the next stage, and logits from the last one to the leading rank."""
        count = sum(wanted)
        if not self._is_last:
            self._group.send(hidden, self._group.stage + 1)
        if count == 0:
            logits = np.empty((0, self.shape.vocab), np.float32)
        elif self._is_last:
            rows = [hidden[span.stop - last : span.stop] for span, last in zip(spans, wanted)]
            logits = self._logits(np.concatenate(rows))
            if self._group.rank == 0 and not self._is_first:
                self._group.send(logits, 0)
        elif self._group.rank == 0 and self._is_first:
            logits = self._group.receive((count, self.shape.vocab), self._group.stages - 1)
        else:
            return []
        return np.split(logits, np.cumsum(wanted)[:-1])

    def _logits(self, hidden: Array) -> Array:
        part = rms_norm(hidden, self._norm, self.shape.epsilon) @ self._head.T
        # rows that pad the last rank's share of the vocabulary are not tokens
        return np.ascontiguousarray(self._group.all_gather(part)[:, : self.shape.vocab])

    def _attention(self, number: int, layer: Layer, hidden: Array, packed: Packed) -> Array:
        shape = self.shape
        qkv = rms_norm(hidden, layer.input_norm, shape.epsilon) @ layer.qkv.T
        if layer.qkv_bias is not None:
            qkv += layer.qkv_bias
        qkv = qkv.reshape(len(hidden), shape.heads + 2 * shape.kv_heads, shape.head_size)
        turned = rotate(qkv[:, : shape.heads + shape.kv_heads], *packed.rotation)
        queries, keys, values = turned[:, : shape.heads], turned[:, shape.heads :], qkv[:, -shape.kv_heads :]
        out = np.empty((len(hidden), shape.heads * shape.head_size), np.float32)
        for cache, span in zip(packed.caches, packed.spans):
            seen = cache.extend(number, keys[span].swapaxes(0, 1), values[span].swapaxes(0, 1))
            out[span] = attend(queries[span], *seen)
        result = self._group.all_reduce(out @ layer.dense.T)
        return result if layer.dense_bias is None else result + layer.dense_bias

    def _mlp(self, layer: Layer, hidden: Array) -> Array:
        return self._group.all_reduce(layer.mlp(rms_norm(hidden, layer.post_norm, self.shape.epsilon)))


def _read_layers(config: Mapping[str, Any], tensors: Mapping[str, Array], group: Group) -> list[Layer]:
    """A stage numbers its layers from 0; the build has checked that all tensors exist."""
    count = config["num_hidden_layers"] // group.stages
    return [read_layer(config, Weights(tensors, f"transformer.layers.{number}."), group) for number in range(count)]
