# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of slicing, for models of all shapes: no element is lost or duplicated unintentionally."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import Decoder, source_tensors
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import (
    EMBEDDING,
    HEAD,
    Cut,
    cut_problems,
    rank_targets,
)
from hypothesis import given, settings
from hypothesis import strategies as st

DENSE = Decoder(
    architecture="LlamaForCausalLM",
    layers=2,
    heads=8,
    kv_heads=2,
    head_size=4,
    hidden=12,
    ffn=24,
    vocab=13,
    max_positions=64,
    epsilon=1e-5,
    hidden_act="silu",
    rotary_base=10000.0,
    rotary_scaling=None,
    qkv_bias=False,
    dense_bias=False,
    experts=0,
    experts_per_token=0,
    tied=False,
)
MIXTURE = dataclasses.replace(DENSE, architecture="MixtralForCausalLM", experts=4, experts_per_token=2)
SMALL = st.integers(1, 3)


@st.composite
def legal(draw):
    """A model, and a valid way to slice it."""
    moe_tp, moe_ep = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 4]))
    experts = draw(st.sampled_from([0, moe_ep * draw(SMALL)]))
    tp_size, pp_size = moe_tp * moe_ep, draw(SMALL)
    kv_heads = draw(
        st.sampled_from([part for part in range(1, tp_size + 1) if tp_size % part == 0]) | SMALL.map(tp_size.__mul__)
    )
    heads = math.lcm(kv_heads, tp_size) * draw(SMALL)
    by_columns = draw(st.booleans())
    decoder = dataclasses.replace(
        MIXTURE if experts else DENSE,
        layers=pp_size * draw(SMALL),
        heads=heads,
        kv_heads=kv_heads,
        head_size=draw(SMALL),
        hidden=draw(SMALL) * (tp_size if by_columns else 1),
        ffn=tp_size * draw(SMALL),
        vocab=draw(st.integers(1, 30)),
        qkv_bias=draw(st.booleans()),
        dense_bias=draw(st.booleans()),
        experts=experts,
    )
    return decoder, Cut(
        tp_size,
        pp_size,
        moe_tp if experts else tp_size,
        moe_ep if experts else 1,
        use_parallel_embedding=draw(st.booleans()),
        embedding_sharding_dim=int(by_columns),
    )


def sources(decoder, has_head):
    """Source tensors in which every element of the model has its own number, starting with 1."""
    arrays, first = {}, 1
    for name, shape in source_tensors(decoder, has_head).items():
        size = math.prod(shape)
        arrays[name] = np.arange(first, first + size).reshape(shape[0], -1)
        first += size
    return arrays


def assemble(target, arrays):
    for piece in target.pieces:
        height, width = arrays[piece.source].shape
        assert 0 <= piece.rows[0] <= piece.rows[1] <= height and 0 <= piece.columns[0] < piece.columns[1] <= width
    parts = [arrays[piece.source][slice(*piece.rows), slice(*piece.columns)].ravel() for piece in target.pieces]
    missing = math.prod(target.shape) - sum(part.size for part in parts)
    # Only a vocabulary is padded.
    assert missing == 0 or (target.name.endswith(("vocab_embedding.weight", "lm_head.weight")) and missing > 0)
    return np.concatenate([*parts, np.zeros(missing, int)]).reshape(target.shape)


def ranks_of(decoder, cut, has_head):
    arrays = sources(decoder, has_head)
    ranks = [
        {target.name: assemble(target, arrays) for target in rank_targets(decoder, cut, rank, "float16", has_head)}
        for rank in range(cut.world_size)
    ]
    return arrays, ranks


def copies(decoder, cut, name, has_head):
    """The number of ranks that must have each element of a source tensor."""
    if name == EMBEDDING:
        return (1 if cut.use_parallel_embedding else cut.tp_size) + (0 if has_head else 1)
    # A gate.weight is the router; a dense model has gate_proj.
    if name.endswith(("norm.weight", "gate.weight", "o_proj.bias")):
        return cut.tp_size
    if ".k_proj." in name or ".v_proj." in name:
        return max(1, cut.tp_size // decoder.kv_heads)
    return 1


@settings(max_examples=120)
@given(legal(), st.booleans())
def test_every_element_is_on_the_right_number_of_ranks(case, has_head):
    decoder, cut = case
    assert cut_problems(decoder, cut) == []
    arrays, ranks = ranks_of(decoder, cut, has_head)
    found = Counter(int(element) for rank in ranks for part in rank.values() for element in part.ravel() if element)
    for name, array in arrays.items():
        wanted = copies(decoder, cut, name, has_head)
        assert {found.pop(int(element), 0) for element in array.ravel()} == {wanted}, name
    assert not found


@settings(max_examples=120)
@given(legal(), st.booleans())
def test_the_parts_of_the_ranks_make_up_the_model(case, has_head):
    decoder, cut = case
    arrays, ranks = ranks_of(decoder, cut, has_head)
    stage_layers = decoder.layers // cut.pp_size
    for layer in range(decoder.layers):
        stage, local = divmod(layer, stage_layers)
        group = ranks[stage * cut.tp_size : (stage + 1) * cut.tp_size]
        parts = [{name.split(f"layers.{local}.")[-1]: part for name, part in rank.items()} for rank in group]
        source = {
            name.split(f"layers.{layer}.")[1]: array for name, array in arrays.items() if f".layers.{layer}." in name
        }
        check_attention(decoder, cut, source, parts)
        (check_experts if decoder.experts else check_mlp)(decoder, cut, source, parts)
    heads = np.vstack([rank["lm_head.weight"] for rank in ranks[-cut.tp_size :]])
    assert (heads[: decoder.vocab] == arrays[HEAD if has_head else EMBEDDING]).all() and not heads[
        decoder.vocab :
    ].any()


def check_attention(decoder, cut, source, parts):
    equal(np.hstack([part["attention.dense.weight"] for part in parts]), source["self_attn.o_proj.weight"])
    queries = decoder.heads // cut.tp_size * decoder.head_size
    for kind in ["weight", "bias"] if decoder.qkv_bias else ["weight"]:
        fused = [part[f"attention.qkv.{kind}"].reshape(len(part["attention.qkv.weight"]), -1) for part in parts]
        equal(np.vstack([rows[:queries] for rows in fused]), source[f"self_attn.q_proj.{kind}"])
        # Of ranks that share a KV head, one is enough.
        others = fused[:: max(1, cut.tp_size // decoder.kv_heads)]
        halves = [np.split(rows[queries:], 2) for rows in others]
        equal(np.vstack([keys for keys, _values in halves]), source[f"self_attn.k_proj.{kind}"])
        equal(np.vstack([values for _keys, values in halves]), source[f"self_attn.v_proj.{kind}"])


def check_mlp(decoder, cut, source, parts):
    equal(np.vstack([part["mlp.fc.weight"] for part in parts]), source["mlp.gate_proj.weight"])
    equal(np.vstack([part["mlp.gate.weight"] for part in parts]), source["mlp.up_proj.weight"])
    equal(np.hstack([part["mlp.proj.weight"] for part in parts]), source["mlp.down_proj.weight"])


def check_experts(decoder, cut, source, parts):
    held = decoder.experts // cut.moe_ep_size
    for expert in range(decoder.experts):
        holders = [part for rank, part in enumerate(parts) if rank % cut.moe_ep_size == expert // held]
        into = [np.split(part["mlp.fc.weight"][expert % held], 2) for part in holders]
        prefix = f"block_sparse_moe.experts.{expert}"
        equal(np.vstack([plain for plain, _activated in into]), source[f"{prefix}.w3.weight"])
        equal(np.vstack([activated for _plain, activated in into]), source[f"{prefix}.w1.weight"])
        equal(np.hstack([part["mlp.proj.weight"][expert % held] for part in holders]), source[f"{prefix}.w2.weight"])


def equal(one, other):
    assert one.shape == other.shape and (one == other).all()


@settings(max_examples=300)
@given(
    st.builds(
        dataclasses.replace,
        st.sampled_from([DENSE, MIXTURE]),
        layers=st.integers(1, 6),
        heads=st.integers(1, 12),
        kv_heads=st.integers(1, 12),
        hidden=st.integers(1, 12),
        ffn=st.integers(1, 12),
    ),
    st.builds(
        Cut, *[st.integers(-1, 6)] * 4, use_parallel_embedding=st.booleans(), embedding_sharding_dim=st.integers(0, 2)
    ),
)
def test_sizes_that_do_not_divide_are_a_problem(decoder, cut):
    assert bool(cut_problems(decoder, cut)) != is_legal(decoder, cut)


def is_legal(decoder, cut):
    sizes = (cut.tp_size, cut.pp_size, cut.moe_tp_size, cut.moe_ep_size)
    if min(sizes) < 1 or cut.embedding_sharding_dim > 1 or cut.moe_tp_size * cut.moe_ep_size != cut.tp_size:
        return False
    shares = [
        decoder.layers / cut.pp_size,
        decoder.heads / cut.tp_size,
        max(decoder.kv_heads, cut.tp_size) / min(decoder.kv_heads, cut.tp_size),
        decoder.ffn / (cut.moe_tp_size if decoder.experts else cut.tp_size),
    ]
    shares += [decoder.experts / cut.moe_ep_size] if decoder.experts else [1 / cut.moe_ep_size]
    if cut.use_parallel_embedding and cut.embedding_sharding_dim:
        shares.append(decoder.hidden / cut.tp_size)
    return all(share == int(share) for share in shares)


@pytest.mark.parametrize(
    "given_sizes, sizes",
    [
        ((8, None, None), (8, 1)),
        ((8, None, 8), (1, 8)),
        ((8, 2, None), (2, 4)),
        ((8, 4, 2), (4, 2)),
        ((8, 3, 2), (3, 2)),
        ((1, None, 2), (1, 2)),
        ((4, 8, None), (8, 1)),
    ],
)
def test_missing_sizes_are_derived(given_sizes, sizes):
    tp_size, moe_tp_size, moe_ep_size = given_sizes
    cut = Cut.of(tp_size, 1, moe_tp_size, moe_ep_size)
    assert (cut.moe_tp_size, cut.moe_ep_size) == sizes


def test_all_sizes_that_do_not_divide_are_reported():
    problems = cut_problems(MIXTURE, Cut(5, 3, 7, 3, use_parallel_embedding=True, embedding_sharding_dim=1))
    assert problems == [
        "num_attention_heads 8 is not divisible by tp_size 5",
        "num_hidden_layers 2 is not divisible by pp_size 3",
        "intermediate_size 24 is not divisible by moe_tp_size 7",
        "num_local_experts 4 is not divisible by moe_ep_size 3",
        "hidden_size 12 is not divisible by tp_size 5",
        "num_key_value_heads 2 and tp_size 5: one must be a multiple of the other",
        "moe_tp_size 7 times moe_ep_size 3 is not tp_size 5",
    ]
    assert cut_problems(DENSE, Cut(2, 1, 1, 2)) == [
        "LlamaForCausalLM has no experts: leave moe_tp_size and moe_ep_size unset"
    ]
