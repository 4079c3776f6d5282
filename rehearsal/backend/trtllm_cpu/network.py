# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Llama in numpy, over one rank's weights as the engine file holds them.

Tokens of several sequences go through together ("packed input"): linear layers see one matrix, attention looks at each
sequence's own cache. A rank holds its share of the heads and of the inner width; `Group` is where ranks meet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray


class Group(Protocol):
    """The ranks that hold one network together."""

    rank: int
    size: int

    def all_reduce(self, partial: Array) -> Array:
        """The sum of every rank's `partial`."""

    def all_gather(self, part: Array) -> Array:
        """Every rank's `part`, side by side along the last axis."""


class Alone:
    """A group of one."""

    rank = 0
    size = 1

    def all_reduce(self, partial: Array) -> Array:
        return partial

    def all_gather(self, part: Array) -> Array:
        return part


class KVCache:
    """Keys and values of one sequence, growing as it gets longer."""

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
        """Put the new tokens' keys and values of a layer behind the old ones; all of them come back."""
        end = self.length + keys.shape[1]
        self._store[0, layer, :, self.length : end] = keys
        self._store[1, layer, :, self.length : end] = values
        return self._store[0, layer, :, :end], self._store[1, layer, :, :end]


@dataclass
class Chunk:
    """The next tokens of one sequence."""

    cache: KVCache
    tokens: Sequence[int]


@dataclass(frozen=True)
class Shape:
    """What the network needs to know from the engine's `pretrained_config`."""

    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    epsilon: float

    @classmethod
    def of(cls, config: Mapping[str, Any], group: Group) -> Shape:
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"] // group.size,
            kv_heads=math.ceil(config["num_key_value_heads"] / group.size),
            head_size=config["head_size"],
            vocab=config["vocab_size"],
            epsilon=config["norm_epsilon"],
        )


@dataclass
class Layer:
    input_norm: Array
    qkv: Array
    qkv_bias: Array | None
    dense: Array
    dense_bias: Array | None
    post_norm: Array
    fc: Array
    gate: Array
    proj: Array


def _layer(weights: Mapping[str, Array], number: int) -> Layer:
    prefix = f"transformer.layers.{number}."

    def get(name: str) -> Array:
        return weights[prefix + name].astype(np.float32)

    def maybe(name: str) -> Array | None:
        return get(name) if prefix + name in weights else None

    return Layer(
        input_norm=get("input_layernorm.weight"),
        qkv=get("attention.qkv.weight"),
        qkv_bias=maybe("attention.qkv.bias"),
        dense=get("attention.dense.weight"),
        dense_bias=maybe("attention.dense.bias"),
        post_norm=get("post_layernorm.weight"),
        fc=get("mlp.fc.weight"),
        gate=get("mlp.gate.weight"),
        proj=get("mlp.proj.weight"),
    )


class Llama:
    """One rank of the network. Weights are widened to float32 once, except the embedding, which is only looked up."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Array], group: Group | None = None):
        self._group: Group = group or Alone()
        self.shape = Shape.of(config, self._group)
        self._embedding = weights["transformer.vocab_embedding.weight"]
        self._layers = [_layer(weights, number) for number in range(self.shape.layers)]
        self._norm = weights["transformer.ln_f.weight"].astype(np.float32)
        self._head = weights["lm_head.weight"].astype(np.float32)
        self._frequencies = rotary_frequencies(
            self.shape.head_size, config["rotary_base"], config.get("rotary_scaling") or {}
        )

    def new_cache(self) -> KVCache:
        return KVCache(self.shape.layers, self.shape.kv_heads, self.shape.head_size)

    def forward(self, chunks: Sequence[Chunk]) -> list[Array]:
        """The hidden states behind every token of every chunk; the caches are extended by them."""
        sizes = [len(chunk.tokens) for chunk in chunks]
        bounds = np.cumsum([0, *sizes])
        spans = [slice(start, stop) for start, stop in zip(bounds[:-1], bounds[1:])]
        for chunk, size in zip(chunks, sizes):
            chunk.cache.reserve(size)
        tokens = np.concatenate([np.asarray(chunk.tokens, np.int64) for chunk in chunks])
        positions = np.concatenate([np.arange(size) + chunk.cache.length for chunk, size in zip(chunks, sizes)])
        angles = positions[:, None].astype(np.float32) * self._frequencies
        rotation = np.cos(angles)[:, None], np.sin(angles)[:, None]
        hidden = self._embedding[tokens].astype(np.float32)
        for number, layer in enumerate(self._layers):
            hidden = hidden + self._attention(number, layer, hidden, chunks, spans, rotation)
            hidden = hidden + self._mlp(layer, hidden)
        for chunk, size in zip(chunks, sizes):
            chunk.cache.length += size
        return [hidden[span] for span in spans]

    def logits(self, hidden: Array) -> Array:
        part = rms_norm(hidden, self._norm, self.shape.epsilon) @ self._head.T
        # rows that only fill up the last rank's share of the vocabulary are no tokens
        return self._group.all_gather(part)[..., : self.shape.vocab]

    def _attention(
        self,
        number: int,
        layer: Layer,
        hidden: Array,
        chunks: Sequence[Chunk],
        spans: Sequence[slice],
        rotation: tuple[Array, Array],
    ) -> Array:
        shape = self.shape
        qkv = rms_norm(hidden, layer.input_norm, shape.epsilon) @ layer.qkv.T
        if layer.qkv_bias is not None:
            qkv += layer.qkv_bias
        qkv = qkv.reshape(len(hidden), shape.heads + 2 * shape.kv_heads, shape.head_size)
        turned = rotate(qkv[:, : shape.heads + shape.kv_heads], *rotation)
        queries, keys, values = turned[:, : shape.heads], turned[:, shape.heads :], qkv[:, -shape.kv_heads :]
        out = np.empty((len(hidden), shape.heads * shape.head_size), np.float32)
        for chunk, span in zip(chunks, spans):
            seen = chunk.cache.extend(number, keys[span].swapaxes(0, 1), values[span].swapaxes(0, 1))
            out[span] = attend(queries[span], *seen)
        result = self._group.all_reduce(out @ layer.dense.T)
        return result if layer.dense_bias is None else result + layer.dense_bias

    def _mlp(self, layer: Layer, hidden: Array) -> Array:
        x = rms_norm(hidden, layer.post_norm, self.shape.epsilon)
        return self._group.all_reduce((silu(x @ layer.fc.T) * (x @ layer.gate.T)) @ layer.proj.T)


def rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    scale = 1.0 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(epsilon))
    return x * scale * weight


def silu(x: Array) -> Array:
    return x / (1.0 + np.exp(-x))


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Rotary position embedding, first half of each head against the second."""
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attend(queries: Array, keys: Array, values: Array) -> Array:
    """Causal attention of n new tokens over all tokens so far; KV heads are shared by groups of query heads."""
    count, heads, size = queries.shape
    kv_heads, total, _size = keys.shape
    grouped = queries.reshape(count, kv_heads, heads // kv_heads, size).transpose(1, 2, 0, 3)
    grouped = grouped.reshape(kv_heads, -1, size) * np.float32(1.0 / math.sqrt(size))
    scores = grouped @ keys.swapaxes(1, 2)
    if count > 1:
        later = np.arange(total) > np.arange(total - count, total)[:, None]
        scores.reshape(kv_heads, heads // kv_heads, count, total)[:, :, later] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed = (scores @ values).reshape(kv_heads, heads // kv_heads, count, size)
    return mixed.transpose(2, 0, 1, 3).reshape(count, heads * size)


def rotary_frequencies(size: int, base: float, scaling: Mapping[str, Any]) -> Array:
    frequencies = 1.0 / base ** (np.arange(0, size, 2, dtype=np.float32) / size)
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "linear":
        frequencies = frequencies / scaling["factor"]
    elif kind == "llama3":
        frequencies = _llama3_frequencies(frequencies, scaling)
    elif kind != "default":
        raise ValueError(f"rotary scaling {kind!r} is not supported here (linear, llama3)")
    return frequencies.astype(np.float32)


def _llama3_frequencies(frequencies: Array, scaling: Mapping[str, Any]) -> Array:
    """Llama 3.1's: long waves are stretched by `factor`, short ones kept, and what lies between is blended."""
    original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = original * frequencies / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return kept * frequencies + (1 - kept) * frequencies / factor
