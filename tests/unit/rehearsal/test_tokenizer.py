# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokenizer of a folder, as preprocessing and postprocessing use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models
from trtllm_cpu.sampling import parse_word_list
from trtllm_cpu.tokenizer import Tokenizer, TokenizerError

SMILE = "\N{GRINNING FACE}"


@pytest.fixture
def folder(tmp_path: Path, tokenizer_in: Callable[[Path], Path]) -> Path:
    return tokenizer_in(tmp_path)


def test_special_tokens_come_from_the_config(folder: Path) -> None:
    assert (Tokenizer(str(folder)).end_id, Tokenizer(str(folder)).pad_id) == (256, 256)
    (folder / "special_tokens_map.json").write_text('{"pad_token": "<pad>"}', encoding="utf-8")
    assert Tokenizer(str(folder)).pad_id == 257


def test_special_tokens_can_be_omitted_from_text(folder: Path) -> None:
    tokenizer = Tokenizer(str(folder))
    ids = [*tokenizer.encode("Hi", add_special_tokens=False), 256]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Hi"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "Hi<end>"
    assert tokenizer.decode([], skip_special_tokens=True) == ""


def test_accumulated_bytes_make_a_character(folder: Path) -> None:
    tokenizer = Tokenizer(str(folder))
    ids = tokenizer.encode(SMILE, add_special_tokens=False)
    assert len(ids) == 4
    assert tokenizer.decode(ids, skip_special_tokens=True) == SMILE
    assert SMILE not in tokenizer.decode(ids[:3], skip_special_tokens=True)


def test_word_lists_have_the_backends_layout(folder: Path) -> None:
    tokenizer = Tokenizer(str(folder))
    array = tokenizer.word_list([[b"ab", b"", b"c"], [b""]])
    a, b, c = tokenizer.encode("abc", add_special_tokens=False)
    assert array.tolist() == [[[a, b, c], [2, 3, -1]], [[0, 0, 0], [-1, -1, -1]]]
    assert parse_word_list(array[0]) == [[a, b], [c]]


def test_a_sentencepiece_token_keeps_its_space(tmp_path: Path) -> None:
    library = Library(models.WordLevel({"\u2581Hello": 0, "\u2581world": 1, "ly": 2}, unk_token="ly"))
    library.decoder = decoders.Metaspace()
    library.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer(str(tmp_path))
    assert tokenizer.decode([1], skip_special_tokens=True) == " world"
    assert tokenizer.decode([2], skip_special_tokens=True) == "ly"


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"there is no .*tokenizer\.json"):
        Tokenizer(str(tmp_path))
