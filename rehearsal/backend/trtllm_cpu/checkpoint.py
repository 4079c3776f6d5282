# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Hugging Face Llama or Mistral folder as a TensorRT-LLM checkpoint: config.json and rank<N>.safetensors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .release import fill, load_tables
from .tensors import DTYPES, Shape, Snapshot, TensorFileWriter

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")


@dataclass(frozen=True)
class Piece:
    """Rows (axis 0) or columns (axis 1) `start:stop` of one source tensor."""

    source: str
    axis: int = 0
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Target:
    """A tensor of a rank: its pieces one below the other, zero rows after them up to `shape`."""

    name: str
    shape: Shape
    pieces: tuple[Piece, ...]

    def read(self, snapshot: Snapshot) -> np.ndarray:
        parts = [snapshot.read(piece.source, piece.axis, piece.start, piece.stop) for piece in self.pieces]
        array = np.concatenate(parts) if len(parts) > 1 else parts[0]
        missing = self.shape[0] - array.shape[0]
        if missing > 0:
            array = np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
        return array


@dataclass(frozen=True)
class Rank:
    """Where a rank stands: tensor parallel first, then the pipeline's stages."""

    index: int
    tp_size: int
    pp_size: int

    @property
    def tp(self) -> int:
        return self.index % self.tp_size

    @property
    def stage(self) -> int:
        return self.index // self.tp_size

    @property
    def is_first(self) -> bool:
        return self.stage == 0

    @property
    def is_last(self) -> bool:
        return self.stage == self.pp_size - 1

    def part(self, size: int) -> tuple[int, int]:
        """This rank's of `tp_size` equal slices."""
        step = size // self.tp_size
        return self.tp * step, (self.tp + 1) * step

    def kv_heads(self, heads: int) -> tuple[int, int]:
        """With fewer KV heads than ranks, neighbours share one: each rank has a copy of it."""
        if heads >= self.tp_size:
            return self.part(heads)
        first = self.tp * heads // self.tp_size
        return first, first + 1


def find_problems(config: dict[str, Any]) -> list[str]:
    """Why this model cannot be cut this way: every reason, in upstream's terms."""
    mapping = config["mapping"]
    tp_size, pp_size = mapping["tp_size"], mapping["pp_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    layers = config["num_hidden_layers"]
    problems = []
    if config["architecture"] not in ARCHITECTURES:
        problems.append(f"Unsupported model architecture: {config['architecture']} (one of {', '.join(ARCHITECTURES)})")
    if tp_size < 1 or pp_size < 1:
        return [*problems, f"tp_size and pp_size must be at least 1, got {tp_size} and {pp_size}"]
    if heads % tp_size:
        problems.append(f"num_attention_heads {heads} must be divisible by tp_size {tp_size}")
    if kv_heads % tp_size and tp_size % kv_heads:
        problems.append(f"num_key_value_heads {kv_heads} must be divisible by tp_size {tp_size}, or divide it")
    if config["intermediate_size"] % tp_size:
        problems.append(f"intermediate_size {config['intermediate_size']} must be divisible by tp_size {tp_size}")
    if layers % pp_size:
        problems.append(f"num_hidden_layers {layers} must be divisible by pp_size {pp_size}")
    return problems


def make_config(
    hf: dict[str, Any], dtype: str, tp_size: int, pp_size: int, parallel_embedding: bool = False, sharding_dim: int = 0
) -> dict[str, Any]:
    """config.json of the checkpoint, with the keys that the release's converter writes for a dense model."""
    heads = hf["num_attention_heads"]
    head_size = hf.get("head_dim") or hf["hidden_size"] // heads
    # transformers 5 moved the rotary settings into one mapping
    rope = hf.get("rope_parameters") or {}
    scaling = hf.get("rope_scaling") or (rope if rope.get("rope_type", "default") != "default" else None)
    config = {
        "architecture": hf["architectures"][0],
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": hf["vocab_size"],
        "max_position_embeddings": hf["max_position_embeddings"],
        "hidden_size": hf["hidden_size"],
        "num_hidden_layers": hf["num_hidden_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": hf.get("num_key_value_heads") or heads,
        "head_size": head_size,
        "hidden_act": hf["hidden_act"],
        "intermediate_size": hf["intermediate_size"],
        "norm_epsilon": hf["rms_norm_eps"],
        "position_embedding_type": "rope_gpt_neox",
        "use_parallel_embedding": parallel_embedding,
        "embedding_sharding_dim": sharding_dim,
        "share_embedding_table": False,
        "rotary_base": hf.get("rope_theta") or rope.get("rope_theta") or 10000.0,
        "rotary_scaling": scaling,
        "attn_bias": bool(hf.get("attention_bias") or hf.get("bias")),
        "mlp_bias": False,
        "disable_weight_only_quant_plugin": False,
    }
    known = {
        **config,
        "world_size": tp_size * pp_size,
        "tp_size": tp_size,
        "pp_size": pp_size,
        "tie_word_embeddings": bool(hf.get("tie_word_embeddings")),
    }
    return {**config, **fill(load_tables()["checkpoint_config"], known)}


def rank_targets(config: dict[str, Any], index: int, tied: bool) -> Iterator[Target]:
    """Every tensor of one rank, with where it comes from. `tied`: the model has no lm_head of its own."""
    mapping = config["mapping"]
    rank = Rank(index, mapping["tp_size"], mapping["pp_size"])
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    if rank.is_first:
        yield _embedding(config, rank)
    per_stage = config["num_hidden_layers"] // rank.pp_size
    for layer in range(per_stage):
        source = f"model.layers.{rank.stage * per_stage + layer}."
        yield from _layer_targets(config, rank, f"transformer.layers.{layer}.", source)
    if rank.is_last:
        yield Target("transformer.ln_f.weight", (hidden,), (Piece("model.norm.weight"),))
        rows, start, stop = _vocabulary_rows(vocab, rank)
        source = "model.embed_tokens.weight" if tied else "lm_head.weight"
        yield Target("lm_head.weight", (rows, hidden), (Piece(source, 0, start, stop),))


def _vocabulary_rows(vocab: int, rank: Rank) -> tuple[int, int, int]:
    """Rows after padding, and which of the unpadded ones this rank has."""
    rows = math.ceil(vocab / rank.tp_size)
    return rows, min(rank.tp * rows, vocab), min((rank.tp + 1) * rows, vocab)


def _embedding(config: dict[str, Any], rank: Rank) -> Target:
    name, source = "transformer.vocab_embedding.weight", "model.embed_tokens.weight"
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    if not config["use_parallel_embedding"]:
        return Target(name, (vocab, hidden), (Piece(source),))
    if config["embedding_sharding_dim"] == 1:
        return Target(name, (vocab, hidden // rank.tp_size), (Piece(source, 1, *rank.part(hidden)),))
    rows, start, stop = _vocabulary_rows(vocab, rank)
    return Target(name, (rows, hidden), (Piece(source, 0, start, stop),))


def _layer_targets(config: dict[str, Any], rank: Rank, name: str, source: str) -> Iterator[Target]:
    hidden, inner, size = config["hidden_size"], config["intermediate_size"], config["head_size"]
    heads = rank.part(config["num_attention_heads"])
    kv_heads = rank.kv_heads(config["num_key_value_heads"])
    q_rows, kv_rows = (heads[0] * size, heads[1] * size), (kv_heads[0] * size, kv_heads[1] * size)
    attention = source + "self_attn."
    rows = q_rows[1] - q_rows[0] + 2 * (kv_rows[1] - kv_rows[0])

    def qkv(kind: str) -> tuple[Piece, ...]:
        cuts = (("q", q_rows), ("k", kv_rows), ("v", kv_rows))
        return tuple(Piece(f"{attention}{part}_proj.{kind}", 0, *cut) for part, cut in cuts)

    inner_part = rank.part(inner)
    width = inner_part[1] - inner_part[0]
    yield Target(name + "input_layernorm.weight", (hidden,), (Piece(source + "input_layernorm.weight"),))
    yield Target(name + "attention.qkv.weight", (rows, hidden), qkv("weight"))
    yield Target(
        name + "attention.dense.weight",
        (hidden, q_rows[1] - q_rows[0]),
        (Piece(attention + "o_proj.weight", 1, *q_rows),),
    )
    if config["attn_bias"]:
        yield Target(name + "attention.qkv.bias", (rows,), qkv("bias"))
        yield Target(name + "attention.dense.bias", (hidden,), (Piece(attention + "o_proj.bias"),))
    yield Target(name + "post_layernorm.weight", (hidden,), (Piece(source + "post_attention_layernorm.weight"),))
    # upstream's "fc" is the activated half, its "gate" the plain one
    yield Target(name + "mlp.fc.weight", (width, hidden), (Piece(source + "mlp.gate_proj.weight", 0, *inner_part),))
    yield Target(name + "mlp.gate.weight", (width, hidden), (Piece(source + "mlp.up_proj.weight", 0, *inner_part),))
    yield Target(name + "mlp.proj.weight", (hidden, width), (Piece(source + "mlp.down_proj.weight", 1, *inner_part),))


def choose_dtype(wanted: str, snapshot: Snapshot) -> str:
    """`auto` keeps 16-bit weights as they are and makes 32-bit ones half precision, as upstream does."""
    if wanted != "auto":
        return wanted
    stored = snapshot.dtype("model.embed_tokens.weight")
    return stored if stored in ("float16", "bfloat16") else "float16"


def convert(
    config: dict[str, Any], snapshot: Snapshot, output: Path, progress: Callable[[int, int, int], None]
) -> None:
    """Write the checkpoint; `progress(rank, done, total)` after every tensor."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(json.dumps(config, indent=4), encoding="utf-8")
    for index in range(config["mapping"]["world_size"]):
        shapes = {target.name: target.shape for target in rank_targets(config, index, is_tied(snapshot))}
        with TensorFileWriter(output / f"rank{index}.safetensors", config["dtype"], shapes) as writer:
            for done, (name, array) in enumerate(rank_tensors(config, snapshot, index), 1):
                writer.write(name, array)
                progress(index, done, len(shapes))


def rank_tensors(config: dict[str, Any], snapshot: Snapshot, index: int) -> Iterator[tuple[str, np.ndarray]]:
    """A rank's tensors one after another, in the checkpoint's dtype."""
    dtype = DTYPES[config["dtype"]][1]
    for target in rank_targets(config, index, is_tied(snapshot)):
        yield target.name, target.read(snapshot).astype(dtype, copy=False)


def is_tied(snapshot: Snapshot) -> bool:
    return "lm_head.weight" not in snapshot
