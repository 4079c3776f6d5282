# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guided decoding: the tokens that a grammar allows next, calculated by llguidance, which upstream also offers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer, StructTag
from llguidance.gbnf_to_lark import GbnfToLarkError, gbnf_to_lark

from .generation import RequestError


@dataclass(frozen=True)
class Grammar:
    """What an answer must look like: `kind` is the type of the request's response_format, `text` its content."""

    kind: str
    text: str = ""


class Guides:
    """Makes guides for the tokenizer in a file. It is read when the first request needs it."""

    def __init__(self, tokenizer_file: str, end_ids: Sequence[int]):
        self._file = tokenizer_file
        self._end_ids = list(end_ids)
        self._tokenizer: LLTokenizer | None = None

    def make(self, grammar: Grammar) -> Matched:
        if self._tokenizer is None:
            self._tokenizer = LLTokenizer(self._file, eos_token=self._end_ids)
        matcher = LLMatcher(self._tokenizer, _compiled(grammar))
        if matcher.is_error():
            raise RequestError(f"The grammar cannot be used: {matcher.get_error()}")
        return Matched(matcher)


class Matched:
    """The guide of one sequence."""

    def __init__(self, matcher: LLMatcher):
        self._matcher = matcher

    def allow(self, logits: np.ndarray) -> np.ndarray:
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=len(logits), bitorder="little").astype(bool)
        return np.where(allowed, logits, -np.inf)

    def accept(self, token: int) -> None:
        if not self._matcher.consume_token(token):
            raise RequestError(f"The grammar cannot be followed: {self._matcher.get_error()}")


def _compiled(grammar: Grammar) -> str:
    try:
        return _COMPILERS[grammar.kind](grammar.text)
    except (ValueError, KeyError, StopIteration, GbnfToLarkError) as error:
        raise RequestError(f"The grammar cannot be used: {error}") from error


def _structural_tag(text: str) -> str:
    described: Mapping[str, Any] = json.loads(text)
    triggers = described["triggers"]
    return StructTag.to_grammar([_tag(structure, triggers) for structure in described["structures"]])


def _tag(structure: Mapping[str, Any], triggers: Sequence[str]) -> StructTag:
    begin = structure["begin"]
    trigger = next(trigger for trigger in triggers if begin.startswith(trigger))
    return StructTag(trigger=trigger, begin=begin, grammar=structure["schema"], end=structure["end"])


_COMPILERS = {
    "json_schema": LLMatcher.grammar_from_json_schema,
    "json_object": lambda _text: LLMatcher.grammar_from_json_schema('{"type": "object"}'),
    "regex": LLMatcher.grammar_from_regex,
    "ebnf": lambda text: LLMatcher.grammar_from_lark(gbnf_to_lark(text)),
    "structural_tag": _structural_tag,
}
