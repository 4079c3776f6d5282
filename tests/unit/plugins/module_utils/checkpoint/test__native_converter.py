# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The converter: bit for bit like upstream's, rounding as defined, damaged and arbitrary input, and memory use."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _native_converter
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    ConversionError,
    read_decoder,
    source_tensors,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import EMBEDDING, Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_converter import (
    Request,
    convert,
    prepare,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_step import MAX_WORKERS
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    INDEX,
    PAGE_BYTES,
    SourceFiles,
    make_head,
    open_weights,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.models import (
    LLAMA,
    MIXTRAL,
    make_file,
    random_tensors,
    with_head,
    write_model,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.vectors import RELEASES, recorded, tensors_in
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import deserialize

# The number of cases, and the number of those with a recorded config.json.
RECORDED = {"v0.9.0": (68, 2), "v0.14.0": (105, 7), "main-20241202": (106, 0)}


def cut_of(options):
    names = ("tp_size", "pp_size", "moe_tp_size", "moe_ep_size", "use_parallel_embedding", "embedding_sharding_dim")
    cut = {name: options[name] for name in names if name in options}
    return Cut.of(
        cut.pop("tp_size"),
        cut.pop("pp_size"),
        cut.pop("moe_tp_size", None),
        cut.pop("moe_ep_size", None),
        share_embedding=options.get("use_embedding_sharing", False),
        **cut,
    )


@pytest.mark.parametrize("version", RELEASES)
def test_every_tensor_equals_upstreams(version, tmp_path):
    cases = recorded(version)
    compared = 0
    for case in cases:
        conversion = prepare(Request(case.source, RELEASES[version], case.options["dtype"], cut_of(case.options)))
        folder = tmp_path / case.name
        folder.mkdir()
        convert(conversion, str(folder), lambda _count: None, workers=2)
        assert tensors_in(str(folder)) == case.tensors, case.name
        if case.config is not None:
            compared += 1
            assert json.loads((folder / "config.json").read_text()) == case.config, case.name
        shutil.rmtree(folder)
    assert (len(cases), compared) == RECORDED[version]


WHOLE, HALVED = Cut(), Cut(2, 1, 2)


def change(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def ask(folder, cut=WHOLE, release="0.17.0", dtype="auto"):
    return prepare(Request(str(folder), release, dtype, cut))


def refusal(folder, *request, **options):
    with pytest.raises(ConversionError) as caught:
        ask(folder, *request, **options)
    return str(caught.value)


def converted(conversion, folder, workers=2):
    """The tensors of all ranks, as dtype and bytes."""
    folder.mkdir(exist_ok=True)
    convert(conversion, str(folder), lambda _count: None, workers)
    return [
        {name: (found["dtype"], bytes(found["data"])) for name, found in deserialize(path.read_bytes())}
        for path in sorted(folder.glob("rank*.safetensors"))
    ]


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", MIXTRAL, random_tensors(MIXTRAL))


# The widths of exponent and mantissa in bits.
FORMS = {"F16": (5, 10), "BF16": (8, 7), "F32": (8, 23)}
DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}


def bits_of(code, raw):
    return np.frombuffer(raw, "<u4" if code == "F32" else "<u2").astype(np.int64)


def value_of(code, bits):
    """The value of these bits, by the definition of the format; float64 represents all values exactly."""
    width, mantissa = FORMS[code]
    bias, fraction = (1 << width - 1) - 1, bits & (1 << mantissa) - 1
    exponent = bits >> mantissa & (1 << width) - 1
    normal = np.ldexp((1 << mantissa) + fraction.astype(float), exponent - bias - mantissa)
    subnormal = np.ldexp(fraction.astype(float), 1 - bias - mantissa)
    special = np.where(fraction == 0, np.inf, np.nan)
    size = np.select([exponent == (1 << width) - 1, exponent == 0], [special, subnormal], normal)
    return np.where(bits >> width + mantissa, -size, size)


def rounded(code, values):
    """Round to the nearest value of the format, ties to even."""
    width, mantissa = FORMS[code]
    bias = (1 << width - 1) - 1
    _fraction, exponent = np.frexp(values)
    step = np.ldexp(1.0, np.maximum(exponent - 1, 1 - bias) - mantissa)
    with np.errstate(invalid="ignore"):
        result = np.where(np.isfinite(values), np.rint(values / step) * step, values)
    most = np.ldexp(2.0 - 2.0**-mantissa, bias)
    return np.where(np.abs(result) > most, np.copysign(np.inf, result), result)


def patterns(code):
    """All 16-bit values; for 32 bits all exponents, with mantissas about halfway between 16-bit numbers."""
    if code != "F32":
        return np.arange(1 << 16, dtype="<u2")
    signs_and_exponents = np.arange(512, dtype=np.uint32)[:, None] << 23
    ties = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x18000, 0x7FEFFF, 0x7FFFFF])
    fractions = np.concatenate([ties, np.random.default_rng(3).integers(0, 1 << 23, 116)]).astype(np.uint32)
    return (signs_and_exponents | fractions).ravel().astype("<u4")


@pytest.mark.parametrize("wanted", FORMS)
@pytest.mark.parametrize("code", FORMS)
def test_casting_rounds_as_the_formats_define(code, wanted, tmp_path):
    bits = patterns(code)
    config = {**LLAMA, "vocab_size": bits.size // LLAMA["hidden_size"]}
    tensors = {**random_tensors(config, code), EMBEDDING: (code, (config["vocab_size"], 16), bits.tobytes())}
    conversion = ask(write_model(tmp_path / "model", config, tensors), dtype=DTYPES[wanted])
    dtype, raw = converted(conversion, tmp_path / "out")[0]["transformer.vocab_embedding.weight"]
    source = value_of(code, bits.astype(np.int64))
    result, expected = value_of(wanted, bits_of(wanted, raw)), rounded(wanted, source)
    assert dtype == wanted
    assert np.array_equal(result, expected, equal_nan=True)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(result)[numbers], np.signbit(source)[numbers])
    if wanted == "F16":
        lost = int((np.isinf(expected) & np.isfinite(source)).sum())
        assert conversion.overflowed == ({EMBEDDING: lost} if lost else {})
    if code == wanted:
        assert raw == bits.tobytes()


def test_overflow_is_counted_by_tensor_for_every_slicing(tmp_path, monkeypatch):
    values = [65504, 65519, 65520, 65536, 1e6, -1e6, -65504, np.inf, -np.inf, np.nan, 1, 2, 3, 4, 5, 6]
    row, width = np.array(values, "<f4").tobytes(), LLAMA["hidden_size"]
    only_infinite = np.full(width, np.inf, "<f4").tobytes()
    tensors = random_tensors(LLAMA, "F32")
    tensors[EMBEDDING] = ("F32", (13, width), row * 13)
    tensors["model.norm.weight"] = ("F32", (width,), row)
    tensors["model.layers.1.input_layernorm.weight"] = ("F32", (width,), only_infinite)
    model = write_model(tmp_path / "model", LLAMA, tensors)
    # Blocks are smaller than the matrix, so that their counts are added.
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", 3 * len(row))
    for cut in (Cut(), Cut(4, 1, 4), Cut(2, 2, 2)):
        conversion = ask(model, cut, dtype="float16")
        converted(conversion, tmp_path / "out", workers=4)
        assert conversion.overflowed == {EMBEDDING: 4 * 13, "model.norm.weight": 4}
        conversion = ask(model, cut, dtype="bfloat16")
        converted(conversion, tmp_path / "out")
        assert conversion.overflowed == {}


def test_the_router_keeps_values_that_float16_cannot_represent(tmp_path):
    router = np.full((4, 16), 1e6, "<f4").tobytes()
    name = "model.layers.0.block_sparse_moe.gate.weight"
    model = write_model(tmp_path / "model", MIXTRAL, {**random_tensors(MIXTRAL, "F32"), name: ("F32", (4, 16), router)})
    conversion = ask(model, Cut(2, 1, 1, 2), dtype="float16")
    for rank in converted(conversion, tmp_path / "out"):
        assert rank["transformer.layers.0.mlp.router.weight"] == ("F32", router)
    assert conversion.overflowed == {}


@pytest.mark.parametrize(
    "code, stated, chosen",
    [
        ("BF16", None, "bfloat16"),
        ("F16", None, "float16"),
        ("F32", None, "float16"),
        ("BF16", "float32", "float16"),
        ("F32", "bfloat16", "bfloat16"),
        ("BF16", ["float16"], "bfloat16"),
        ("BF16", "int8", "bfloat16"),
    ],
)
def test_auto_chooses_a_16_bit_data_type(tmp_path, code, stated, chosen):
    model = write_model(tmp_path / "model", {**LLAMA, "torch_dtype": stated}, random_tensors(LLAMA, code))
    assert ask(model).config["dtype"] == chosen


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_each_byte_is_read_once_and_all_writes_are_reported(model, tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", block_bytes)
    reads = []
    read = SourceFiles.read

    def counting(files, path, offset, room):
        reads.append((path, offset, len(room)))
        read(files, path, offset, room)

    monkeypatch.setattr(SourceFiles, "read", counting)
    heard = []
    (tmp_path / "out").mkdir()
    conversion = ask(model, Cut(4, 2, 2, 2))
    convert(conversion, str(tmp_path / "out"), heard.append, workers=3)
    found = Counter((path, offset + byte) for path, offset, size in reads for byte in range(size))
    wanted = [(stored.path, stored.offset, 2 * math.prod(stored.shape)) for stored in open_weights(str(model)).values()]
    assert found == Counter((path, offset + byte) for path, offset, size in wanted for byte in range(size))
    padding = 3 * MIXTRAL["hidden_size"] * 2
    assert sum(heard) == conversion.total_bytes - sum(map(len, conversion.heads)) - padding
    assert sum(path.stat().st_size for path in (tmp_path / "out").glob("rank*")) == conversion.total_bytes


@pytest.mark.parametrize("block_bytes", [50, 1 << 20])
@pytest.mark.parametrize(
    "config, cut",
    [
        (LLAMA, Cut()),
        ({**LLAMA, "tie_word_embeddings": True, "vocab_size": 9}, Cut(4, 2, 4)),
        (LLAMA, Cut(4, 1, 4, use_parallel_embedding=True)),
        (MIXTRAL, Cut(4, 2, 2, 2)),
        (MIXTRAL, Cut(4, 1, 1, 4, use_parallel_embedding=True, embedding_sharding_dim=1)),
    ],
)
def test_files_are_hashed_while_they_are_written(tmp_path, monkeypatch, config, cut, block_bytes):
    """Also with padding at the end of a file and in its middle, and with ranks that have only padding."""
    model = write_model(tmp_path / "model", config, random_tensors(config, "BF16"))
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", block_bytes)
    out = tmp_path / "out"
    out.mkdir()
    digests = convert(ask(model, cut, dtype="float16"), str(out), lambda _count: None, 5, hashed=True)
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("rank*")}
    assert len(digests) == cut.world_size


def test_no_thread_waits_for_a_block_that_failed(model, tmp_path, monkeypatch):
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", 50)
    calls = itertools.count()

    def write(_file, _part, _offset):
        if next(calls) == 7:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_native_converter.OutputFile, "write", write)
    with pytest.raises(OSError, match="Input/output error"):
        convert(ask(model, Cut(2, 1, 2)), str(tmp_path), lambda _count: None, workers=6, hashed=True)


def sparse_model(folder, config):
    """A model in bfloat16 of any size, of which only the header is on disk."""
    shapes = source_tensors(read_decoder(config), has_head=True)
    head, _offsets = make_head({name: ("bfloat16", shape) for name, shape in shapes.items()})
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    with open(folder / "model.safetensors", "wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + sum(2 * math.prod(shape) for shape in shapes.values()))
    return folder


# Models whose rows are not whole pages: hidden size, width of the MLP, heads and KV heads (divided by 8), vocabulary.
# With the last two, no tensor of the vocabulary consists of whole pages, either.
UNALIGNED = {
    "Qwen2.5-7B": (448, 2368, 4, 4, 19008),
    "Mistral-Nemo": (640, 1792, 4, 4, 16384),
    "Yi-34B": (896, 2560, 8, 8, 8000),
    "hidden size 2880": (360, 360, 8, 8, 25136),
    "resized vocabulary": (640, 1792, 4, 4, 16001),
    "small": (112, 608, 4, 4, 18993),
}


@pytest.mark.parametrize("tp_size", [1, 2, 4])
@pytest.mark.parametrize("name", UNALIGNED)
def test_nearly_all_bytes_bypass_the_page_cache(tmp_path, monkeypatch, name, tp_size):
    hidden, inner, heads, kv_heads, vocab = UNALIGNED[name]
    config = {
        **LLAMA,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "vocab_size": vocab,
        "architectures": ["Qwen2ForCausalLM"],
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "num_hidden_layers": 1,
    }
    model = sparse_model(tmp_path / "model", config)
    direct = []

    def write_direct(_file, pages, offset):
        address = np.frombuffer(pages, np.uint8).ctypes.data
        assert not (address % PAGE_BYTES or offset % PAGE_BYTES or len(pages) % PAGE_BYTES)
        direct.append(len(pages))
        return True

    monkeypatch.setattr(_native_converter.OutputFile, "_write_direct", write_direct)
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", 1 << 20)
    conversion = ask(model, Cut(tp_size, 1, tp_size))
    convert(conversion, str(tmp_path), lambda _count: None, workers=2)
    assert sum(direct) > 0.97 * conversion.total_bytes


def replaced(path):
    copy = path.with_suffix(".new")
    shutil.copy2(path, copy)
    copy.replace(path)


def rewritten(path):
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))


def touched(path):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


CHANGES = {
    "truncated": lambda path: os.truncate(path, 1000),
    "emptied": lambda path: os.truncate(path, 0),
    "longer": lambda path: os.truncate(path, path.stat().st_size + 1),
    "rewritten": rewritten,
    "replaced": replaced,
    "touched": touched,
    "removed": Path.unlink,
}


@pytest.mark.parametrize("moment", ["before", "first block", "last block"])
@pytest.mark.parametrize("change_of", CHANGES)
def test_a_source_that_changes_is_refused(model, tmp_path, monkeypatch, change_of, moment):
    conversion = ask(model, HALVED)
    path = model / "model-00001-of-00002.safetensors"
    read, count = SourceFiles.read, len(_native_converter.blocks(conversion.routes))
    calls = itertools.count(1)

    def reading(files, *place):
        # A truncated file cannot be read any more, so the last block is changed after it was read.
        number = next(calls)
        if moment == "first block" and number == 1:
            CHANGES[change_of](path)
        read(files, *place)
        if moment == "last block" and number == count:
            CHANGES[change_of](path)

    monkeypatch.setattr(SourceFiles, "read", reading)
    if moment == "before":
        CHANGES[change_of](path)
    with pytest.raises(ConversionError) as caught:
        convert(conversion, str(tmp_path), lambda _count: None, workers=1)
    assert str(caught.value) == (
        f"{path} changed during the conversion: wait until the download or copy is complete, and run it again"
    )


def test_a_read_error_is_reported(model, tmp_path, monkeypatch):
    def preadv(_file, _rooms, _offset):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(ConversionError, match=r"safetensors cannot be read \(Input/output error\): check the disk or"):
        convert(ask(model), str(tmp_path), lambda _count: None, workers=2)


def test_short_reads_are_completed(model, tmp_path, monkeypatch):
    expected = converted(ask(model), tmp_path / "whole")
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, rooms, offset: preadv(file, [rooms[0][:7]], offset))
    assert converted(ask(model), tmp_path / "short") == expected


def test_the_result_does_not_depend_on_blocks_and_workers(model, tmp_path, monkeypatch):
    cut = Cut(2, 2, 1, 2, use_parallel_embedding=True, embedding_sharding_dim=1)
    whole = converted(ask(model, cut, dtype="bfloat16"), tmp_path / "whole", workers=1)
    monkeypatch.setattr(_native_converter, "BLOCK_BYTES", 50)
    assert converted(ask(model, cut, dtype="bfloat16"), tmp_path / "blocks", workers=7) == whole


@pytest.mark.parametrize(
    "cut, has_own_head, is_shared",
    [
        (Cut(), False, True),
        (Cut(), True, False),
        (Cut(2, 1, 2), False, False),
        (Cut(2, 1, 2, use_parallel_embedding=True), False, True),
        (Cut(2, 1, 2, use_parallel_embedding=True, embedding_sharding_dim=1), False, False),
        (Cut(1, 2), False, False),
    ],
)
def test_the_embedding_is_shared_if_possible(tmp_path, cut, has_own_head, is_shared):
    config = {**LLAMA, "tie_word_embeddings": not has_own_head}
    model = write_model(tmp_path / "model", config, random_tensors(config))
    conversion = ask(model, dataclasses.replace(cut, share_embedding=True), release="0.14.0")
    assert conversion.config["share_embedding_table"] == is_shared
    ranks = converted(conversion, tmp_path / "out")
    assert ("lm_head.weight" in ranks[-1]) != is_shared


@pytest.mark.parametrize(
    "tied, own_head, is_untied",
    [(True, "other", True), (True, "same", False), (True, None, False), (False, "other", False)],
)
def test_a_head_beside_a_tied_embedding_is_found(tmp_path, tied, own_head, is_untied):
    config = {**LLAMA, "tie_word_embeddings": tied}
    tensors = random_tensors({**config, "tie_word_embeddings": own_head is None})
    if own_head == "same":
        tensors["lm_head.weight"] = tensors[EMBEDDING]
    conversion = ask(write_model(tmp_path / "model", config, tensors))
    assert conversion.has_untied_head is is_untied
    written = converted(conversion, tmp_path / "out")[0]["lm_head.weight"]
    assert written[1] == tensors.get("lm_head.weight", tensors[EMBEDDING])[2]


def test_a_head_that_equals_the_embedding_is_shared(tmp_path):
    tensors = random_tensors(LLAMA)
    model = write_model(tmp_path / "model", LLAMA, {**tensors, "lm_head.weight": tensors[EMBEDDING]})
    assert ask(model, Cut(share_embedding=True), release="0.14.0").config["share_embedding_table"]


def test_rotary_tables_in_old_files_are_ignored(tmp_path):
    tables = {f"model.layers.{layer}.self_attn.rotary_emb.inv_freq": ("F32", (2,), bytes(8)) for layer in (0, 1)}
    model = write_model(tmp_path / "model", LLAMA, {**random_tensors(LLAMA), **tables})
    assert not any("rotary" in route.name for route in ask(model).routes)


def without(*names):
    return lambda tensors: [tensors.pop(name) for name in names]


def instead(name, stored):
    return lambda tensors: tensors.update({name: stored})


@pytest.mark.parametrize(
    "damage, words",
    [
        (without("lm_head.weight"), "its files lack lm_head.weight: is a file missing?"),
        (
            without("model.layers.1.block_sparse_moe.experts.3.w2.weight", "model.norm.weight"),
            "its files lack model.norm.weight, model.layers.1.block_sparse_moe.experts.3.w2.weight: is a file missing?",
        ),
        (
            instead("model.norm.weight", ("F16", (15,), bytes(30))),
            "model.norm.weight has shape [15], but config.json requires [16]",
        ),
        (
            instead(EMBEDDING, ("F16", (16, 13), bytes(416))),
            "model.embed_tokens.weight has shape [16, 13], but config.json requires [13, 16]",
        ),
        (
            instead("model.norm.weight", ("I8", (16,), bytes(16))),
            "not float32, float16 or bfloat16: model.norm.weight (I8): use weights that are not quantised, or",
        ),
        (instead("model.norm.weight", ("F8_E4M3", (16,), bytes(16))), "model.norm.weight (F8_E4M3)"),
        (instead("model.norm.weight", ("F64", (16,), bytes(128))), "model.norm.weight (F64)"),
    ],
)
def test_files_that_do_not_match_config_are_refused(tmp_path, damage, words):
    tensors = random_tensors(MIXTRAL)
    damage(tensors)
    model = write_model(tmp_path / "model", MIXTRAL, tensors)
    assert words in refusal(model)


@pytest.mark.parametrize(
    "name, remedy",
    [
        (
            "model.layers.0.self_attn.q_proj.bias",
            "set attention_bias in config.json if all projections of the attention",
        ),
        ("model.layers.1.self_attn.o_proj.bias", "set attention_bias in config.json"),
        ("model.layers.0.mlp.up_proj.bias", "an engine would not compute them: use the profile llmapi"),
        ("model.layers.0.self_attn.q_norm.weight", "an engine would not compute them"),
        ("model.vision_tower.patch_embed.weight", "an engine would not compute them"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "merge the adapter into the model first"),
        ("model.layers.0.mlp.up_proj.lora_B.default.weight", "merge the adapter into the model first"),
        ("model.layers.0.self_attn.q_proj.weight_scale_inv", "use weights that are not quantised"),
        ("model.layers.0.self_attn.q_proj.qzeros", "use weights that are not quantised"),
        ("model.layers.0.self_attn.k_proj.input_scale", "use weights that are not quantised"),
    ],
)
def test_unknown_tensors_are_refused_with_a_remedy(tmp_path, name, remedy):
    tensors = {**random_tensors(MIXTRAL), name: ("F16", (16,), bytes(32))}
    message = refusal(write_model(tmp_path / "model", MIXTRAL, tensors))
    assert f"unknown tensors {name}: {remedy}" in message and "upstream" not in message


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"num_hidden_layers": 10**8}, "files contain 41 tensors, too few for 100000000 layers with 4 experts each"),
        ({"num_local_experts": 10**8}, "too few for 2 layers with 100000000 experts each"),
        ({"num_hidden_layers": 3}, "its files lack model.layers.2.input_layernorm.weight"),
        ({"num_hidden_layers": 1}, "unknown tensors model.layers.1.block_sparse_moe.experts.0.w1.weight"),
        ({"vocab_size": 14}, "has shape [13, 16], but config.json requires [14, 16]"),
        ({"head_dim": 8}, "has shape [16, 16], but config.json requires [32, 16]"),
        ({"attention_bias": True}, "its files lack model.layers.0.self_attn.q_proj.bias"),
        ({"architectures": ["LlamaForCausalLM"]}, "its files lack model.layers.0.mlp.gate_proj.weight"),
    ],
)
def test_a_config_that_does_not_match_the_files_is_refused(model, changes, words):
    change(model, **changes)
    assert words in refusal(model)


@pytest.mark.parametrize(
    "cut, release, words",
    [
        (Cut(3, 1, 3), "0.17.0", "num_attention_heads 4 is not divisible by tp_size 3"),
        (Cut(1, 3), "0.17.0", "num_hidden_layers 2 is not divisible by pp_size 3"),
        (Cut(1, 0), "0.17.0", "pp_size must be at least 1, not 0"),
        (Cut(8, 1, 8), "0.17.0", "num_attention_heads 4 is not divisible by tp_size 8"),
        (Cut(10**9, 1, 10**9), "0.17.0", "num_attention_heads 4 is not divisible by tp_size 1000000000"),
        (Cut(4, 1, 2, 2), "0.10.0", "release 0.10.0 cannot combine tensor and expert parallelism"),
        (Cut(share_embedding=True), "0.9.0", "use_embedding_sharing needs release 0.14 to 0.16, not 0.9.0"),
        (Cut(), "0.8.0", "the checkpoint format of release 0.8.0 is not supported"),
        (Cut(), "latest", "the checkpoint format of release latest is not supported"),
        (Cut(), "1.3.0", "release 1.3.0 has no TensorRT engines: use release 1.2 or earlier, or the profile llmapi"),
        (Cut(), "1.3.0rc1", "release 1.3.0rc1 has no TensorRT engines"),
        (Cut(), "9.9.9", "release 9.9.9 has no TensorRT engines"),
    ],
)
def test_invalid_requests_are_refused(model, cut, release, words):
    assert words in refusal(model, cut, release=release)


def test_all_problems_are_reported_at_once(model):
    change(model, vocab_size=14)
    (model / "model-00002-of-00002.safetensors").write_bytes(make_file({"alien": ("U8", (1,), b"1")}))
    message = refusal(model, Cut(3, 5, 2), release="0.8.0")
    for words in ("lack", "unknown tensors alien", "has shape", "tp_size 3", "pp_size 5", "moe_tp_size 2", "0.8.0"):
        assert words in message


@pytest.mark.parametrize(
    "text, words",
    [
        (None, "does not exist: src must be"),
        ("", "is not valid JSON"),
        ("{", "is not valid JSON"),
        ("[1]", "config.json is not a JSON object"),
        ("[" * 10**5, "is not valid JSON"),
        ('{"rms_norm_eps": NaN}', "is not valid JSON (NaN is not a number in JSON)"),
        (b"\xff\xfe", "is not valid JSON"),
    ],
)
def test_a_damaged_config_is_refused(model, text, words):
    path = model / "config.json"
    path.unlink()
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in refusal(model)


def test_an_unreadable_config_is_refused(model):
    (model / "config.json").unlink()
    (model / "config.json").mkdir()
    assert "config.json cannot be read (Is a directory)" in refusal(model)


def test_a_full_disk_ends_the_conversion(model, tmp_path, monkeypatch):
    written = []

    def pwrite(_file, data, _offset):
        written.append(data)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(OSError, match="No space left"):
        convert(ask(model, Cut(2, 1, 2)), str(tmp_path), lambda _count: None, workers=2)


def test_short_writes_are_completed(model, tmp_path, monkeypatch):
    expected = converted(ask(model), tmp_path / "whole")
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, data[:7], offset))
    assert converted(ask(model), tmp_path / "short") == expected


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0, -1, 10**18, 10**400, 1e308, -0.5]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    *MIXTRAL,
    *("head_dim", "attention_bias", "bias", "rope_scaling", "rope_parameters", "quantization_config", "mlp_bias"),
    *("tie_word_embeddings", "torch_dtype", "dtype", "hidden_act", "max_position_embeddings"),
]
CUTS = st.builds(
    Cut, *[st.sampled_from([1, 2, 4]) | st.integers()] * 4, st.booleans(), st.integers(0, 1), st.booleans()
)
RELEASES_ASKED = st.sampled_from(["0.9.0", "0.14.0", "1.2.1"]) | st.text()
MIXTRAL_FILE = make_file(random_tensors(MIXTRAL))


def holds(folder, cut=HALVED, release="0.17.0", dtype="auto"):
    """Either the conversion works, or there is one message of a readable length."""
    try:
        conversion = ask(folder, cut, release, dtype)
    except ConversionError as exc:
        assert 0 < len(str(exc)) < 2000
        return False
    with tempfile.TemporaryDirectory() as out:
        assert len(converted(conversion, Path(out))) == cut.world_size
    return True


def fuzzed(**files):
    """A folder with the tiny model in which these files are replaced; it is removed afterwards."""
    folder = tempfile.TemporaryDirectory()
    for name, content in {
        "config.json": json.dumps(MIXTRAL).encode(),
        "model.safetensors": MIXTRAL_FILE,
        **files,
    }.items():
        Path(folder.name, name).write_bytes(content)
    return folder


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(KEYS), ANY_JSON, max_size=4), CUTS, RELEASES_ASKED)
def test_any_config(changes, cut, release):
    with fuzzed(**{"config.json": json.dumps({**MIXTRAL, **changes}).encode()}) as folder:
        holds(folder, cut, release)


@settings(max_examples=60)
@given(st.sets(st.sampled_from(list(MIXTRAL)), min_size=1), CUTS)
def test_any_key_missing(keys, cut):
    config = {key: value for key, value in MIXTRAL.items() if key not in keys}
    with fuzzed(**{"config.json": json.dumps(config).encode()}) as folder:
        holds(folder, cut)


@settings(max_examples=60)
@given(st.binary(max_size=100) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(content):
    for name in ("config.json", "model.safetensors", INDEX):
        with fuzzed(**{name: content}) as folder:
            assert not holds(folder)


@settings(max_examples=60)
@given(st.integers(0, len(MIXTRAL_FILE) - 1))
def test_any_truncation(length):
    with fuzzed(**{"model.safetensors": MIXTRAL_FILE[:length]}) as folder:
        assert not holds(folder)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=3))
def test_any_bytes_overwritten(changes):
    content = bytearray(MIXTRAL_FILE)
    for position, replacement in changes:
        content[position : position + len(replacement)] = replacement
    with fuzzed(**{"model.safetensors": bytes(content)}) as folder:
        holds(folder)


SIZES = st.integers(-1, 20) | st.sampled_from([2**31, 2**63, 2**64, 10**30])
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F16", "BF16", "F32", "I8", "F8_E4M3", "F4", "f16"]) | ANY_JSON,
        "shape": st.lists(SIZES, max_size=4) | ANY_JSON,
        "data_offsets": st.lists(SIZES, min_size=2, max_size=2) | ANY_JSON,
    },
)


@settings(max_examples=120)
@given(st.dictionaries(st.sampled_from(list(random_tensors(MIXTRAL))) | st.text(), ENTRIES, min_size=1, max_size=3))
def test_any_entries_in_a_head(entries):
    length = int.from_bytes(MIXTRAL_FILE[:8], "little")
    head, data = json.loads(MIXTRAL_FILE[8 : 8 + length]), MIXTRAL_FILE[8 + length :]
    for name, entry in entries.items():
        head[name] = {**head.get(name, {}), **entry}
    with fuzzed(**{"model.safetensors": with_head(json.dumps(head).encode(), data)}) as folder:
        holds(folder)


@settings(max_examples=60)
@given(st.dictionaries(st.text(), st.text() | st.sampled_from(["model.safetensors", "config.json", "."]) | ANY_JSON))
def test_any_index(weight_map):
    with fuzzed(**{INDEX: json.dumps({"weight_map": weight_map}).encode()}) as folder:
        holds(folder)


# About 300 MB, most of which is sliced; sparse, so that only reading it needs memory.
BIG = {**LLAMA, "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 8, "num_key_value_heads": 8}
BIG.update(num_hidden_layers=9, vocab_size=1000)
MEASURED = """
import sys
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _native_converter
source, out, workers = sys.argv[1:]
conversion = _native_converter.prepare(_native_converter.Request(source, "0.17.0", "float16", Cut(8, 1, 8)))
_native_converter.convert(conversion, out, lambda count: None, int(workers))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("workers, limit", [(2, 160), (MAX_WORKERS, 350)])
def test_memory_use_is_a_few_blocks(tmp_path, workers, limit):
    """The limits are those of docs/checkpoints.md."""
    model = sparse_model(tmp_path / "model", BIG)
    assert (model / "model.safetensors").stat().st_size > 300 * 10**6
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", MEASURED, str(model), str(tmp_path / "out"), str(workers)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1024
    assert peak < limit << 20, f"{peak >> 20} MiB"
    shutil.rmtree(tmp_path / "out")
