# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import math

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ConversionError
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    INDEX,
    make_head,
    open_weights,
    read_head,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.models import make_file, with_head
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import deserialize

WEIGHT = ("F16", (2, 3), bytes(range(12)))
HEAD = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}


def refusal(folder):
    with pytest.raises(ConversionError) as caught:
        open_weights(str(folder))
    return str(caught.value)


def write_index(folder, weight_map):
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def test_each_tensor_is_located(tmp_path):
    other = ("F32", (1,), b"abcd")
    (tmp_path / "model.safetensors").write_bytes(make_file({"a": WEIGHT, "b": other}))
    found = open_weights(str(tmp_path))
    for name, (code, shape, raw) in {"a": WEIGHT, "b": other}.items():
        stored = found[name]
        assert (stored.code, stored.shape) == (code, shape)
        with open(stored.path, "rb") as stream:
            stream.seek(stored.offset)
            assert stream.read(len(raw)) == raw


@pytest.mark.parametrize(
    "files, index, found",
    [
        (["model.safetensors", "adapter.safetensors"], None, {"model.safetensors"}),
        (["a.safetensors", "b.safetensors", "notes.txt"], None, {"a.safetensors", "b.safetensors"}),
        (["a.safetensors", "sub/b.safetensors", "c.safetensors"], ["a.safetensors", "sub/b.safetensors"], None),
    ],
)
def test_weight_files_are_selected(tmp_path, files, index, found):
    (tmp_path / "sub").mkdir()
    for name in files:
        (tmp_path / name).write_bytes(make_file({name: WEIGHT}))
    if index:
        write_index(tmp_path, {name: name for name in index})
    assert set(open_weights(str(tmp_path))) == (found or set(index))


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "header too small"),
        (b"\xff" * 20, "header too large"),
        ((100).to_bytes(8, "little") + b"{}", "invalid header length"),
        (with_head(b"no JSON"), "invalid JSON in header"),
        (with_head(b"[]"), "invalid JSON in header"),
        (with_head(json.dumps({"a": {**HEAD, "dtype": "F17"}}).encode(), b"1234"), "unknown variant `F17`"),
        (with_head(json.dumps({"a": {**HEAD, "shape": [-2]}}).encode(), b"1234"), "invalid JSON in header"),
        (with_head(json.dumps({"a": {**HEAD, "shape": [2**63, 4]}}).encode(), b"1234"), "overflow"),
        (with_head(json.dumps({"a": {**HEAD, "shape": [3]}}).encode(), b"1234"), "invalid"),
        (with_head(json.dumps({"a": HEAD, "b": HEAD}).encode(), b"1234"), "invalid offset for tensor"),
        (with_head(json.dumps({"a": HEAD}).encode(), b"123"), "not fully covered"),
        (with_head(json.dumps({"a": HEAD}).encode(), b"12345678"), "not fully covered"),
        (with_head(b"[" * 10**5), "invalid JSON in header"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    message = refusal(tmp_path)
    assert message.startswith(f"{path} is not a complete safetensors file (") and words in message
    assert message.endswith("): download it again") and len(message) < 1000


def test_all_damaged_files_are_reported(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"")
    (tmp_path / "b.safetensors").mkdir()
    (tmp_path / "c.safetensors").write_bytes(make_file({"w": WEIGHT}))
    message = refusal(tmp_path)
    assert "a.safetensors is not a complete safetensors file" in message
    assert "b.safetensors cannot be read (Is a directory): correct its permissions" in message
    assert "c.safetensors" not in message


def test_a_tensor_in_two_files_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(make_file({"w": WEIGHT, f"only_{name}": WEIGHT}))
    assert refusal(tmp_path) == (
        f"{tmp_path}/b.safetensors and {tmp_path}/a.safetensors both contain w: remove one of the files"
    )


def test_pickled_files_are_refused_with_a_remedy(tmp_path):
    (tmp_path / "pytorch_model-00001-of-00002.bin").write_bytes(b"cos\nsystem\n")
    message = refusal(tmp_path)
    assert "only has pickled weights (pytorch_model-00001-of-00002.bin)" in message and "converter upstream" in message


def test_no_weights(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path} has no *.safetensors file")


@pytest.mark.parametrize(
    "index, words",
    [
        ("{", "is not an index of safetensors files (JSONDecodeError("),
        ("[" * 10**5, "is not an index of safetensors files (RecursionError("),
        ("[]", "is not an index"),
        ("{}", "is not an index"),
        ('{"weight_map": []}', "is not an index"),
        ('{"weight_map": {"a": 1}}', "1 is not a file name"),
        ('{"weight_map": {"a": null, "b": "x"}}', "is not an index"),
        (
            '{"weight_map": {"a": "../model.safetensors"}}',
            "has unsafe file names: '../model.safetensors'",
        ),
        ('{"weight_map": {"a": "sub/../../x"}}', "'sub/../../x' has an empty part, . or .."),
        ('{"weight_map": {"a": "/etc/passwd"}}', "'/etc/passwd' is absolute"),
        ('{"weight_map": {"a": "b.safetensors"}}', f"lacks b.safetensors, listed in {INDEX}: download the model again"),
        ('{"weight_map": {"a": ""}}', "'' is not a file name"),
        ('{"weight_map": {"a": "x\\u0000"}}', r"'x\x00' has control characters"),
        ('{"weight_map": {"a": "\\ud800"}}', r"'\ud800' has control characters"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path, index, words):
    (tmp_path / "model.safetensors").write_bytes(make_file({"a": WEIGHT}))
    (tmp_path / INDEX).write_text(index)
    assert words in refusal(tmp_path)


def test_many_missing_files_are_not_all_listed(tmp_path):
    write_index(tmp_path, {str(number): f"{number:03}{'x' * 500}" for number in range(500)})
    message = refusal(tmp_path)
    assert message.count("xxx…") == 5 and "and 495 more" in message


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(["float32", "float16", "bfloat16"]), st.lists(st.integers(1, 4), min_size=1)),
        max_size=6,
    )
)
def test_safetensors_can_read_the_written_files(tmp_path_factory, tensors):
    tensors = {name: (dtype, tuple(shape[:3])) for name, (dtype, shape) in tensors.items()}
    size = {name: math.prod(shape) * (4 if dtype == "float32" else 2) for name, (dtype, shape) in tensors.items()}
    head, offsets = make_head(tensors)
    raw = bytearray(len(head) + sum(size.values()))
    raw[: len(head)] = head
    for number, name in enumerate(tensors):
        assert offsets[name] % (4 if tensors[name][0] == "float32" else 2) == 0
        raw[offsets[name] : offsets[name] + size[name]] = bytes([number + 1]) * size[name]
    codes = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    read = {
        name: (found["dtype"], tuple(found["shape"]), bytes(found["data"])) for name, found in deserialize(bytes(raw))
    }
    assert read == {
        name: (codes[dtype], shape, bytes([number + 1]) * size[name])
        for number, (name, (dtype, shape)) in enumerate(tensors.items())
    }


def test_tensors_of_whole_pages_come_first(tmp_path):
    shapes = {"norm": (5120,), "whole": (2, 2048), "bias": (7,), "more": (4096, 3), "odd": (101, 5120)}
    head, offsets = make_head({**{name: ("bfloat16", shape) for name, shape in shapes.items()}, "f": ("float32", (3,))})
    assert sorted(offsets, key=offsets.get) == ["f", "more", "whole", "bias", "norm", "odd"]
    head, offsets = make_head({name: ("bfloat16", shape) for name, shape in shapes.items()})
    assert (offsets["more"] - len(head), offsets["whole"] - len(head)) == (0, 6 * 4096)


def test_the_header_is_read_as_written(tmp_path):
    tensors = {"b": ("float32", (3,)), "a": ("bfloat16", (2, 2))}
    head, offsets = make_head(tensors)
    path = tmp_path / "rank0.safetensors"
    path.write_bytes(head + bytes(20))
    assert len(head) % 8 == 0
    assert {name: stored.offset for name, stored in read_head(str(path)).items()} == offsets
