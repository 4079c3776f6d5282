# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Judges whether a text is an answer to a prompt, and whether two texts are the same answer.

Only texts count: a wrong conversion or tokenizer returns as many tokens as a right one. Nothing here depends on the API
that the texts come from.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

REPLACEMENT = "\ufffd"
# A character has up to four bytes, and each byte of an incomplete one can become a replacement character.
CUT_CHARACTERS = 3
# A real answer can contain a word three times in a row.
REPEATS = 4
NEARLY_ALL = 0.9
# Texts of a healthy server can differ later: a prompt in the prefix cache is computed in other batches.
SAME_TOKENS = 16

# Bars and blanks of some models' special tokens are not ASCII characters.
_SPECIAL = re.compile(
    r"<[|\uff5c][^<>\s]{1,60}[|\uff5c]>|</?s>|<(?:unk|pad|bos|eos|sep|cls|mask|extra_id_\d+|unused\d+)>"
    r"|<(?:start|end)_of_turn>|\[(?:UNK|PAD|BOS|EOS|SEP|CLS|MASK|/?INST)\]",
    re.IGNORECASE,
)


class Judgement(t.NamedTuple):
    """What is wrong with an answer; a fault means that it is none. Both are empty if nothing is."""

    fault: str = ""
    warning: str = ""


def check_pattern(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as exc:
        raise ModuleFailure(f"pattern {pattern!r} is not a regular expression: {exc}") from exc


def judge_answer(prompt: str, text: str, cut: bool, pattern: str | None = None) -> Judgement:
    """`cut` says that the answer ended because it had the maximum number of tokens; `pattern` is what it must match."""
    answer = new_text(prompt, text)
    if not answer:
        if not text.strip():
            return Judgement("it is empty")
        return Judgement(
            "it only repeats the prompt" if _SPECIAL.sub("", text).strip() else "it only has special tokens"
        )
    shown = _without_cut_character(answer) if cut else answer
    if REPLACEMENT in shown or not shown:
        return Judgement("it has characters that could not be decoded (U+FFFD)")
    token = _repeated_token(shown)
    if token:
        return Judgement(f"it only repeats {token!r}")
    if pattern and not re.search(pattern, text):
        return Judgement(f"the text does not match {pattern!r}")
    phrase = _repeated_phrase(shown)
    return Judgement(warning=f"it repeats a phrase: {phrase!r}" if phrase else "")


def compare_answers(prompt: str, plain: str, parts: t.Sequence[str]) -> Judgement:
    """Whether the parts of a stream, usually a token each, are the same answer as the plain text."""
    both = f"; plain: {plain!r}; streamed: {''.join(parts)!r}"
    first, second = comparable(prompt, plain), comparable(prompt, "".join(parts))
    words, streamed_words = ("".join(text.split()) for text in (first, second))
    same = common_length(words, streamed_words)
    if _gaps(first, same) != _gaps(second, same):
        return Judgement(f"the streamed text has other spaces than the plain one{both}")
    if words == streamed_words:
        return Judgement()
    beginning = len("".join(_beginning(prompt, parts).split()))
    ended_early = len(parts) < SAME_TOKENS and beginning == len(streamed_words)
    if same < beginning or ended_early:
        return Judgement(f"the streamed text differs from the plain one in the first {SAME_TOKENS} tokens{both}")
    return Judgement(warning=f"the streamed text differs from the plain one after {SAME_TOKENS} tokens{both}")


def new_text(prompt: str, text: str) -> str:
    """The text without special tokens and without the prompt, which some servers repeat before the answer."""
    rest = _SPECIAL.sub("", text)
    # Decoding can change the spaces of the prompt.
    characters = "".join(_SPECIAL.sub("", prompt).split())
    if not characters:
        return rest.strip()
    echo = re.compile(r"\s*" + r"\s*".join(map(re.escape, characters)))
    echoes = 0
    match = echo.match(rest)
    while match:
        echoes, rest = echoes + 1, rest[match.end() :]
        match = echo.match(rest)
    # The last one can be cut. A short answer such as "Yes" can also be the beginning of the prompt.
    last = "".join(rest.split())
    if characters.startswith(last) and (echoes > 1 or 2 * len(last) > len(characters)):
        rest = ""
    return rest.strip()


def common_length(first: str, second: str) -> int:
    """The length of the beginning that both have."""
    for index, (one, other) in enumerate(zip(first, second)):
        if one != other:
            return index
    return min(len(first), len(second))


def _without_cut_character(text: str) -> str:
    whole = text.rstrip(REPLACEMENT)
    return whole if len(text) - len(whole) <= CUT_CHARACTERS else text


def _repeated_token(text: str) -> str:
    """The token, or word, that is nearly the whole text; empty if there is none."""
    words = text.split()
    word, count = Counter(words).most_common(1)[0]
    if count >= max(REPEATS, NEARLY_ALL * len(words)):
        return word
    unit, share = _loop(" ".join(words))
    return unit if share >= NEARLY_ALL and len(unit.split()) == 1 else ""


def _repeated_phrase(text: str) -> str:
    """The phrase, or the few words, that most of the text consists of; empty if there is none."""
    words = text.split()
    phrase, share = _loop(" ".join(words))
    if share >= 0.5:
        return phrase
    last = words[-60:]
    different = list(dict.fromkeys(last))
    # Even a text of short sentences has twice as many.
    return " ".join(different) if len(last) >= 20 and len(different) < len(last) / 3 else ""


def _loop(text: str) -> tuple[str, float]:
    """What the text ends with REPEATS times or more, perhaps cut the last time, and its share of the text."""
    # borders[n] is the length of the longest beginning of the reversed text that its first n characters also end with:
    # the characters before that end are the shortest period.
    turned, borders = text[::-1], [0, 0]
    for length in range(2, len(text) + 1):
        border = borders[-1]
        while border and turned[border] != turned[length - 1]:
            border = borders[border]
        borders.append(border + (turned[border] == turned[length - 1]))
    for length in range(len(text), 0, -1):
        period = length - borders[length]
        # The space after the last unit is not there.
        if length + 1 >= REPEATS * period:
            start = len(text) - length
            # The loop can begin within a word, which then begins each unit.
            start += text[start : start + period].find(" ") + 1 if start else 0
            return text[start : start + period].strip(), length / len(text)
    return "", 0.0


def comparable(prompt: str, text: str) -> str:
    """The new text without the end of a character that was cut, which not every server returns."""
    return new_text(prompt, text).rstrip(REPLACEMENT).strip()


def _gaps(text: str, characters: int) -> list[str]:
    """The spaces before each of the first `characters` that are none."""
    return [match.group(1) for match in re.finditer(r"(\s*)\S", text)][:characters]


def _beginning(prompt: str, parts: t.Sequence[str]) -> str:
    """The text of the first SAME_TOKENS tokens. If a part can have several tokens, words are the better estimate."""
    by_parts = comparable(prompt, "".join(parts[:SAME_TOKENS]))
    by_words = " ".join(comparable(prompt, "".join(parts)).split()[:SAME_TOKENS])
    return min(by_parts, by_words, key=len)
