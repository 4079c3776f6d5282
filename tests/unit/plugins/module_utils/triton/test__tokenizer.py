# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tokenizer.json a version of the package tokenizers can read."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._tokenizer import (
    check_tokenizer,
    has_merges_as_pairs,
)

VOCABULARY = {"a": 0, "b": 1, "ab": 2}


def tokenizer(**model: t.Any) -> dict[str, t.Any]:
    return {"version": "1.0", "model": {"type": "BPE", "vocab": VOCABULARY, **model}}


@pytest.mark.parametrize("tokenizers", ["0.15", "0.19", "0.19.1"])
def test_merges_as_pairs_need_a_later_version(tmp_path: Path, tokenizers: str) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer(merges=[["a", "b"]])))
    with pytest.raises(ModuleFailure) as refused:
        check_tokenizer(str(tmp_path), tokenizers)
    for words in ("tokenizer.json has merges as pairs", f"has {tokenizers}", "0.20 or later", "trtllm_tokenizer"):
        assert words in str(refused.value)


@pytest.mark.parametrize("tokenizers", ["0.20", "0.20.3", "0.21", "1.0"])
def test_later_versions_read_both(tmp_path: Path, tokenizers: str) -> None:
    for merges in ([["a", "b"]], ["a b"]):
        (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer(merges=merges)))
        check_tokenizer(str(tmp_path), tokenizers)


@pytest.mark.parametrize(
    "content",
    [
        tokenizer(merges=["a b"]),
        tokenizer(merges=[]),
        tokenizer(type="WordPiece"),
        tokenizer(type="Unigram", vocab=[["a", -1.0]]),
        {"model": None},
        {"model": {"merges": {"a": ["b"]}}},
        [],
        None,
    ],
)
def test_other_tokenizers_have_no_pairs(content: t.Any) -> None:
    assert not has_merges_as_pairs(content)


@pytest.mark.parametrize("text", [None, "", "not JSON", "[" * 100_000])
def test_a_missing_or_damaged_file_is_left_to_others(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    check_tokenizer(str(tmp_path), "0.15")
