# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guided decoding in the rehearsal: what a grammar allows, token by token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trtllm_cpu.generation import RequestError
from trtllm_cpu.guiding import Grammar, Guides
from trtllm_cpu.tokenizer import Tokenizer

VOCAB = 258
END = 256


@pytest.fixture
def tokenizer(tmp_path: Path, tokenizer_in: Callable[[Path], Path]) -> Tokenizer:
    return Tokenizer(str(tokenizer_in(tmp_path)))


@pytest.fixture
def guides(tokenizer: Tokenizer, tmp_path: Path) -> Guides:
    return Guides(str(tmp_path / "tokenizer.json"), [END])


def follow(guides: Guides, grammar: Grammar, text: str, tokenizer: Tokenizer) -> list[int]:
    """The allowed tokens after a text that the grammar allows."""
    guide = guides.make(grammar)
    for token in tokenizer.encode(text, add_special_tokens=False):
        assert np.isfinite(guide.allow(np.zeros(VOCAB, np.float32))[token]), text
        guide.accept(token)
    return [int(token) for token in np.flatnonzero(np.isfinite(guide.allow(np.zeros(VOCAB, np.float32))))]


TAG = {"begin": "<a>", "schema": {"const": 7}, "end": "</a>"}


@pytest.mark.parametrize(
    ("grammar", "text", "following"),
    [
        (Grammar("json_schema", '{"enum": ["on", "off"]}'), '"o', "fn"),
        (Grammar("json_schema", '{"enum": ["on", "off"]}'), '"off"', ""),
        (Grammar("regex", "(yes|no)"), "", "ny"),
        (Grammar("ebnf", 'root ::= "x" [0-9] "y"'), "x4", "y"),
        (Grammar("structural_tag", json.dumps({"structures": [TAG], "triggers": ["<a"]})), "<a>", "7"),
    ],
)
def test_only_what_the_grammar_allows_may_follow(
    guides: Guides, tokenizer: Tokenizer, grammar: Grammar, text: str, following: str
) -> None:
    allowed = [token for token in follow(guides, grammar, text, tokenizer) if token != END]
    assert tokenizer.decode(sorted(allowed), skip_special_tokens=True).strip() in (following, following[::-1])


def test_a_complete_answer_may_only_end(guides: Guides, tokenizer: Tokenizer) -> None:
    assert follow(guides, Grammar("regex", "yes"), "yes", tokenizer) == [END]


def test_any_object_is_json(guides: Guides, tokenizer: Tokenizer) -> None:
    assert END in follow(guides, Grammar("json_object"), '{"a": [1]}', tokenizer)


@pytest.mark.parametrize(
    "grammar",
    [
        Grammar("regex", "(("),
        Grammar("ebnf", "root ="),
        Grammar("json_schema", '{"type": 3}'),
        Grammar("json_schema", "{"),
        Grammar("structural_tag", json.dumps({"structures": [TAG], "triggers": ["<b"]})),
        Grammar("structural_tag", '{"structures": []}'),
    ],
)
def test_a_grammar_that_cannot_be_read_is_an_error(guides: Guides, grammar: Grammar) -> None:
    with pytest.raises(RequestError, match="The grammar cannot be used"):
        guides.make(grammar)
