# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How TensorRT-LLM shards a decoder: every tensor of a rank as pieces of the model's tensors. No I/O.

The output is bit-identical to that of upstream's converter; docs/checkpoints.md describes the rules.
"""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import Decoder, Shape

Span = t.Tuple[int, int]
EMBEDDING, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


@dataclass(frozen=True)
class Cut:
    """The sizes of each kind of parallelism. A pipeline stage has tp_size = moe_tp_size * moe_ep_size ranks."""

    tp_size: int = 1
    pp_size: int = 1
    moe_tp_size: int = 1
    moe_ep_size: int = 1
    use_parallel_embedding: bool = False
    embedding_sharding_dim: int = 0
    # The embedding is also the lm_head, which then has no tensor of its own.
    share_embedding: bool = False

    @classmethod
    def of(
        cls, tp_size: int, pp_size: int, moe_tp_size: int | None = None, moe_ep_size: int | None = None, **rest: t.Any
    ) -> Cut:
        """With the missing size for experts calculated from the other; without both, each expert is split."""
        if moe_ep_size is None:
            moe_ep_size = max(1, tp_size // moe_tp_size) if moe_tp_size else 1
        if moe_tp_size is None:
            moe_tp_size = max(1, tp_size // moe_ep_size) if moe_ep_size else tp_size
        return cls(tp_size, pp_size, moe_tp_size, moe_ep_size, **rest)

    @property
    def world_size(self) -> int:
        return self.tp_size * self.pp_size

    def rank(self, index: int) -> Rank:
        return Rank(self, index % self.tp_size, index // self.tp_size)


@dataclass(frozen=True)
class Rank:
    """The position of a rank. Ranks are numbered by tensor parallelism first, then by pipeline stage.

    Within a stage, they are numbered by expert parallelism first, then by the tensor parallelism of experts.
    """

    cut: Cut
    tp: int
    stage: int

    @property
    def is_first(self) -> bool:
        return self.stage == 0

    @property
    def is_last(self) -> bool:
        return self.stage == self.cut.pp_size - 1

    def part(self, size: int) -> Span:
        """This rank's slice of tp_size equal slices."""
        return _slice(size, self.tp, self.cut.tp_size)

    def expert_part(self, size: int) -> Span:
        """This rank's slice of each of its experts."""
        return _slice(size, self.tp // self.cut.moe_ep_size, self.cut.moe_tp_size)

    def experts(self, count: int) -> range:
        return range(*_slice(count, self.tp % self.cut.moe_ep_size, self.cut.moe_ep_size))

    def kv_heads(self, heads: int) -> Span:
        """With fewer KV heads than ranks, neighbouring ranks have copies of the same head."""
        if heads >= self.cut.tp_size:
            return self.part(heads)
        first = self.tp * heads // self.cut.tp_size
        return first, first + 1

    def layers(self, count: int) -> range:
        return range(*_slice(count, self.stage, self.cut.pp_size))


def _slice(size: int, index: int, count: int) -> Span:
    step = size // count
    return index * step, (index + 1) * step


@dataclass(frozen=True)
class Piece:
    """Rows and columns of one source tensor; a vector is a matrix of one column."""

    source: str
    rows: Span
    columns: Span

    @property
    def elements(self) -> int:
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


@dataclass(frozen=True)
class Target:
    """A tensor of a rank: its pieces one after the other, row by row, padded with zeros to `shape`."""

    name: str
    dtype: str
    shape: Shape
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class TensorNames:
    """The names of a layer's expert tensors, which differ between versions."""

    expert_in: str = "mlp.fc.weight"
    expert_out: str = "mlp.proj.weight"


def cut_problems(decoder: Decoder, cut: Cut) -> list[str]:
    """Every reason why this model cannot be sharded this way."""
    sizes = {name: getattr(cut, name) for name in ("tp_size", "pp_size", "moe_tp_size", "moe_ep_size")}
    problems = [f"{name} must be at least 1, not {size}" for name, size in sizes.items() if size < 1]
    if cut.embedding_sharding_dim not in (0, 1):
        problems.append(f"embedding_sharding_dim must be 0 or 1, not {cut.embedding_sharding_dim}")
    if problems:
        return problems
    tp_size = cut.tp_size
    divided = [("num_attention_heads", decoder.heads, "tp_size"), ("num_hidden_layers", decoder.layers, "pp_size")]
    if decoder.experts:
        divided += [
            ("intermediate_size", decoder.ffn, "moe_tp_size"),
            ("num_local_experts", decoder.experts, "moe_ep_size"),
        ]
    else:
        divided.append(("intermediate_size", decoder.ffn, "tp_size"))
    if cut.use_parallel_embedding and cut.embedding_sharding_dim == 1:
        divided.append(("hidden_size", decoder.hidden, "tp_size"))
    problems = [f"{name} {size} is not divisible by {by} {sizes[by]}" for name, size, by in divided if size % sizes[by]]
    if decoder.kv_heads % tp_size and tp_size % decoder.kv_heads:
        problems.append(
            f"num_key_value_heads {decoder.kv_heads} and tp_size {tp_size}: one must be a multiple of the other"
        )
    if not decoder.experts and (cut.moe_tp_size, cut.moe_ep_size) != (tp_size, 1):
        problems.append(f"{decoder.architecture} has no experts: leave moe_tp_size and moe_ep_size unset")
    elif cut.moe_tp_size * cut.moe_ep_size != tp_size:
        problems.append(f"moe_tp_size {cut.moe_tp_size} times moe_ep_size {cut.moe_ep_size} is not tp_size {tp_size}")
    return problems


def rank_targets(
    decoder: Decoder, cut: Cut, index: int, dtype: str, has_head: bool, names: TensorNames = TensorNames()
) -> list[Target]:
    """Every tensor of rank `index`. Without `has_head` the model's embedding is also its lm_head."""
    return list(_RankCutter(decoder, cut.rank(index), dtype, names).targets(has_head))


class _RankCutter:
    def __init__(self, decoder: Decoder, rank: Rank, dtype: str, names: TensorNames) -> None:
        self._decoder = decoder
        self._rank = rank
        self._dtype = dtype
        self._names = names

    def targets(self, has_head: bool) -> t.Iterator[Target]:
        rank, decoder = self._rank, self._decoder
        if rank.is_first:
            yield self._embedding()
        for local, layer in enumerate(rank.layers(decoder.layers)):
            yield from self._layer(f"transformer.layers.{local}.", f"model.layers.{layer}.")
        if rank.is_last:
            yield self._vector("transformer.ln_f.weight", NORM)
            if not rank.cut.share_embedding:
                yield self._vocabulary("lm_head.weight", HEAD if has_head else EMBEDDING)

    def _matrix(self, name: str, *pieces: Piece) -> Target:
        """Pieces of the same width, one below the other."""
        height = sum(piece.rows[1] - piece.rows[0] for piece in pieces)
        first, last = pieces[0].columns
        return Target(name, self._dtype, (height, last - first), pieces)

    def _vector(self, name: str, *sources: str, rows: t.Sequence[Span] = ()) -> Target:
        spans = rows or [(0, self._decoder.hidden)]
        pieces = tuple(Piece(source, span, (0, 1)) for source, span in zip(sources, spans))
        return Target(name, self._dtype, (sum(piece.elements for piece in pieces),), pieces)

    def _embedding(self) -> Target:
        name, cut, decoder = "transformer.vocab_embedding.weight", self._rank.cut, self._decoder
        if not cut.use_parallel_embedding:
            return self._matrix(name, Piece(EMBEDDING, (0, decoder.vocab), (0, decoder.hidden)))
        if cut.embedding_sharding_dim == 1:
            return self._matrix(name, Piece(EMBEDDING, (0, decoder.vocab), self._rank.part(decoder.hidden)))
        return self._vocabulary(name, EMBEDDING)

    def _vocabulary(self, name: str, source: str) -> Target:
        """This rank's rows of the vocabulary, which is padded with zeros to a multiple of tp_size."""
        vocab, hidden = self._decoder.vocab, self._decoder.hidden
        height = math.ceil(vocab / self._rank.cut.tp_size)
        first = min(self._rank.tp * height, vocab)
        rows = first, min(first + height, vocab)
        return Target(name, self._dtype, (height, hidden), (Piece(source, rows, (0, hidden)),))

    def _layer(self, name: str, source: str) -> t.Iterator[Target]:
        yield self._vector(name + "input_layernorm.weight", source + "input_layernorm.weight")
        yield from self._attention(name + "attention.", source + "self_attn.")
        yield self._vector(name + "post_layernorm.weight", source + "post_attention_layernorm.weight")
        if self._decoder.experts:
            yield from self._experts(name, source + "block_sparse_moe.")
        else:
            yield from self._mlp(name + "mlp.", source + "mlp.")

    def _attention(self, name: str, source: str) -> t.Iterator[Target]:
        decoder, rank = self._decoder, self._rank
        hidden, size = (0, decoder.hidden), decoder.head_size
        queries, keys = _scaled(rank.part(decoder.heads), size), _scaled(rank.kv_heads(decoder.kv_heads), size)
        rows = (queries, keys, keys)
        projections = [f"{source}{part}_proj" for part in "qkv"]
        pieces = [Piece(f"{projection}.weight", span, hidden) for projection, span in zip(projections, rows)]
        yield self._matrix(name + "qkv.weight", *pieces)
        yield self._matrix(name + "dense.weight", Piece(f"{source}o_proj.weight", hidden, queries))
        if decoder.qkv_bias:
            yield self._vector(name + "qkv.bias", *(f"{projection}.bias" for projection in projections), rows=rows)
        if decoder.dense_bias:
            # Complete on every rank: the runtime adds it only once.
            yield self._vector(name + "dense.bias", f"{source}o_proj.bias")

    def _mlp(self, name: str, source: str) -> t.Iterator[Target]:
        """Upstream's `fc` is the half with the activation, `gate` the other one."""
        hidden, inner = (0, self._decoder.hidden), self._rank.part(self._decoder.ffn)
        yield self._matrix(name + "fc.weight", Piece(source + "gate_proj.weight", inner, hidden))
        yield self._matrix(name + "gate.weight", Piece(source + "up_proj.weight", inner, hidden))
        yield self._matrix(name + "proj.weight", Piece(source + "down_proj.weight", hidden, inner))

    def _experts(self, name: str, source: str) -> t.Iterator[Target]:
        """All experts of the rank in one tensor. In each of them w3 comes before w1, the half with the activation."""
        decoder, names = self._decoder, self._names
        hidden, inner = (0, decoder.hidden), self._rank.expert_part(decoder.ffn)
        experts, width = self._rank.experts(decoder.experts), inner[1] - inner[0]
        into = [
            Piece(f"{source}experts.{expert}.{half}.weight", inner, hidden)
            for expert in experts
            for half in ("w3", "w1")
        ]
        out = [Piece(f"{source}experts.{expert}.w2.weight", hidden, inner) for expert in experts]
        yield Target(name + names.expert_in, self._dtype, (len(experts), 2 * width, decoder.hidden), tuple(into))
        yield Target(name + names.expert_out, self._dtype, (len(experts), decoder.hidden, width), tuple(out))
        # Not split, and always float32: the choice of experts is sensitive to rounding.
        router = Piece(source + "gate.weight", (0, decoder.experts), hidden)
        yield Target(name + "mlp.router.weight", "float32", (decoder.experts, decoder.hidden), (router,))


def _scaled(span: Span, size: int) -> Span:
    return span[0] * size, span[1] * size
