# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a layer in NumPy, each with one rank's share, and the functions that they use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import tensor_names

from . import VERSION
from .checkpoint import moe_settings
from .group import Array, Group


class Weights:
    """A rank's tensors below a prefix, widened to float32 on access."""

    def __init__(self, tensors: Mapping[str, Array], prefix: str = ""):
        self._tensors = tensors
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def __getitem__(self, name: str) -> Array:
        return self._tensors[self._prefix + name].astype(np.float32)

    def maybe(self, name: str) -> Array | None:
        found = self._tensors.get(self._prefix + name)
        return None if found is None else found.astype(np.float32)


class Mlp(Protocol):
    def __call__(self, x: Array) -> Array:
        """This rank's part of the sum over all ranks."""


@dataclass
class Dense:
    fc: Array
    gate: Array
    proj: Array

    def __call__(self, x: Array) -> Array:
        return (silu(x @ self.fc.T) * (x @ self.gate.T)) @ self.proj.T


@dataclass
class Experts:
    """The experts of this rank, or its share of each; every rank has the whole router."""

    router: Array
    fc: Array
    proj: Array
    first: int
    per_token: int

    def __call__(self, x: Array) -> Array:
        chosen, shares = route(x @ self.router.T, self.per_token)
        out = np.zeros_like(x)
        for local, (fc, proj) in enumerate(zip(self.fc, self.proj)):
            rows, places = np.nonzero(chosen == self.first + local)
            if rows.size:
                plain, activated = np.split(x[rows] @ fc.T, 2, axis=-1)
                out[rows] += shares[rows, places][:, None] * ((plain * silu(activated)) @ proj.T)
        return out


@dataclass
class Layer:
    input_norm: Array
    qkv: Array
    qkv_bias: Array | None
    dense: Array
    dense_bias: Array | None
    post_norm: Array
    mlp: Mlp


def read_layer(config: Mapping[str, Any], weights: Weights, group: Group) -> Layer:
    return Layer(
        input_norm=weights["input_layernorm.weight"],
        qkv=weights["attention.qkv.weight"],
        qkv_bias=weights.maybe("attention.qkv.bias"),
        dense=weights["attention.dense.weight"],
        dense_bias=weights.maybe("attention.dense.bias"),
        post_norm=weights["post_layernorm.weight"],
        mlp=_experts(config, weights, group) if "mlp.router.weight" in weights else _dense(weights),
    )


def _dense(weights: Weights) -> Dense:
    return Dense(weights["mlp.fc.weight"], weights["mlp.gate.weight"], weights["mlp.proj.weight"])


def _experts(config: Mapping[str, Any], weights: Weights, group: Group) -> Experts:
    settings = moe_settings(config)
    if settings["normalization_mode"] != 1:
        raise ValueError(f"mixture of experts: normalization_mode {settings['normalization_mode']} is not supported")
    names = tensor_names(VERSION)
    router, fc, proj = (weights[name] for name in ("mlp.router.weight", names.expert_in, names.expert_out))
    # expert parallel is the faster of the two indices; each of its ranks has adjacent experts
    expert_parallel = len(router) // len(fc)
    return Experts(router, fc, proj, group.rank % expert_parallel * len(fc), settings["top_k"])


class Embedding:
    """Looked up in the weights as stored. Whole on each rank, or sliced by rows (0) or columns (1)."""

    def __init__(self, table: Array, cut: int | None, group: Group):
        self._table = table
        self._cut = cut
        self._group = group

    def __call__(self, tokens: Array) -> Array:
        if self._cut == 0:
            return self._group.all_reduce(self._own_rows(tokens))
        found = self._table[tokens].astype(np.float32)
        return found if self._cut is None else self._group.all_gather(found)

    def _own_rows(self, tokens: Array) -> Array:
        """Zeros for tokens whose rows are on another rank."""
        local = tokens - self._group.rank * len(self._table)
        mine = (local >= 0) & (local < len(self._table))
        return self._table[np.where(mine, local, 0)].astype(np.float32) * mine[:, None]


def route(logits: Array, count: int) -> tuple[Array, Array]:
    """The `count` most likely experts of every token, and their weights, which sum to one."""
    chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
    chances /= chances.sum(axis=-1, keepdims=True)
    chosen = np.argsort(-chances, axis=-1, kind="stable")[:, :count]
    shares = np.take_along_axis(chances, chosen, axis=-1)
    return chosen, shares / shares.sum(axis=-1, keepdims=True)


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
    """Llama 3.1's scaling: long wavelengths are stretched by `factor`, short ones kept, others interpolated."""
    original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = original * frequencies / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return kept * frequencies + (1 - kept) * frequencies / factor
