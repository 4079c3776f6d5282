# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that are answers, texts that are none, and streams that are the same answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import (
    SAME_TOKENS,
    compare_answers,
    judge_answer,
)

PROMPT = "What is cloud computing?"
ANSWER = " Cloud computing is a model of sharing servers over a network."
LOST = "\ufffd"
EMPTY, ECHO, SPECIAL = "it is empty", "it only repeats the prompt", "it only has special tokens"
UNDECODED = "it has characters that could not be decoded (U+FFFD)"
REFERENCE = Path(__file__).parents[5] / "rehearsal" / "reference" / "smollm2-135m-instruct.json"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", EMPTY),
        (" \n\n", EMPTY),
        (PROMPT, ECHO),
        (f"<s> {PROMPT}</s>", ECHO),
        (PROMPT + "</s>" * 10, ECHO),
        (f"What is  cloud computing?\n\n{PROMPT} {PROMPT}", ECHO),
        (PROMPT * 3 + "What", ECHO),
        ("What is cloud comp", ECHO),
        (PROMPT + "\nWhat is cloud computing", ECHO),
        ("</s>" * 10, SPECIAL),
        ("<|endoftext|><|im_end|>\n", SPECIAL),
        ("<\uff5cend\u2581of\u2581sentence\uff5c>", SPECIAL),
        (f"Cl{LOST}ud computing", UNDECODED),
        (f"{LOST}{ANSWER}", UNDECODED),
        (LOST, UNDECODED),
        (ANSWER + LOST * 4, UNDECODED),
        ("!" * 64, "it only repeats '!'"),
        (PROMPT + " the" * 20, "it only repeats 'the'"),
        (" the" * 20 + " th", "it only repeats 'the'"),
        (" the" * 20 + ".", "it only repeats 'the'"),
        ("Cloud" + "!" * 63, "it only repeats '!'"),
        ("\u7684" * 32, "it only repeats '\u7684'"),
        ("computing" * 20 + LOST, "it only repeats 'computing'"),
    ],
)
def test_what_is_no_answer(text: str, fault: str) -> None:
    assert judge_answer(PROMPT, text, cut=True) == (fault, "")


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        PROMPT + ANSWER,
        f"<s> {PROMPT}{ANSWER}</s>",
        "Yes.",
        "No, no, no.",
        ANSWER + LOST,
        ANSWER + LOST * 3,
        f"{PROMPT}{PROMPT}{ANSWER}",
        ANSWER * 2,
        "\u96f2\u7aef\u904b\u7b97\u662f\u4e00\u7a2e\u5206\u4eab\u4f3a\u670d\u5668\u7684\u65b9\u5f0f\u3002",
        "- It is cheap.\n- It is quick.\n- It is easy.\n- It is old.\n- It is new.\n- It is safe.\n- It is here.",
    ],
)
def test_what_is_an_answer(text: str) -> None:
    assert judge_answer(PROMPT, text, cut=True) == ("", "")


def test_only_a_cut_answer_may_end_within_a_character() -> None:
    assert judge_answer(PROMPT, ANSWER + LOST, cut=False).fault == UNDECODED


def test_a_short_answer_may_be_a_part_of_the_prompt() -> None:
    assert judge_answer("Yes or no?", "Yes or no?Yes", cut=False) == ("", "")


def test_an_answer_without_a_prompt_is_judged() -> None:
    assert judge_answer("", ANSWER, cut=False) == ("", "")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (PROMPT + " with sums" * 32, "with sums"),
        (" with sums" * 10 + " wi", "with sums"),
        (ANSWER + " It is the best way to do it." * 8, "It is the best way to do it."),
        ("".join(f"{number}. It is in the cloud.\n" for number in range(20)), "It is in the cloud."),
    ],
)
def test_a_repeated_phrase_is_a_warning(text: str, phrase: str) -> None:
    fault, warning = judge_answer(PROMPT, text, cut=True)
    assert fault == "" and warning.startswith("it repeats a phrase: ") and phrase in warning


def test_the_answers_of_a_real_model_pass() -> None:
    completions = json.loads(REFERENCE.read_text(encoding="utf-8"))["completions"].values()
    assert len(completions) > 1
    for one in completions:
        assert judge_answer(one["prompt"], one["prompt"] + one["text"], cut=True) == ("", "")


PARTS = [" Cloud", " computing", " is", "\n\n", *(f" word{number}" for number in range(20))]


@pytest.mark.parametrize(
    ("plain", "parts"),
    [
        ("".join(PARTS), PARTS),
        (PROMPT + "".join(PARTS), PARTS),
        (f"<s> {PROMPT}{''.join(PARTS)}</s>", PARTS),
        ("".join(PARTS).strip(), PARTS),
        ("".join(PARTS) + LOST, PARTS),
        (PROMPT * 2 + " is the question", [PROMPT, " is", " the", " question"]),
        ("Yes.", ["Yes", ".", ""]),
    ],
)
def test_the_same_answer(plain: str, parts: list[str]) -> None:
    assert compare_answers(PROMPT, plain, parts) == ("", "")


@pytest.mark.parametrize(
    ("plain", "parts"),
    [
        ("Cloud computing is", ["Cloud", "computing", "is"]),
        ("".join(PARTS), [*PARTS[:20], *(part.strip() for part in PARTS[20:])]),
        ("".join(PARTS), [part.replace("\n\n", "\n") for part in PARTS]),
        ("".join(PARTS) + " end", [*(part.strip() for part in PARTS), "other"]),
    ],
)
def test_other_spaces_are_a_fault_anywhere(plain: str, parts: list[str]) -> None:
    fault, warning = compare_answers(PROMPT, plain, parts)
    assert fault.startswith("the streamed text has other spaces than the plain one; plain: ") and not warning
    assert repr(plain) in fault and repr("".join(parts)) in fault


@pytest.mark.parametrize(
    ("plain", "parts"),
    [
        ("".join(PARTS), ["", *PARTS[:3]]),
        ("".join(PARTS[:3]), PARTS),
        ("".join(PARTS), []),
        ("".join([*PARTS[: SAME_TOKENS - 1], " other"]), PARTS),
        ("".join([" Other", *PARTS]), PARTS),
        # A part with many tokens.
        ("".join(PARTS).replace("word7", "other"), ["".join(PARTS)]),
    ],
)
def test_another_text_is_a_fault_at_the_beginning(plain: str, parts: list[str]) -> None:
    fault, warning = compare_answers(PROMPT, plain, parts)
    assert fault.startswith("the streamed text differs from the plain one in the first 16 tokens; plain: ")
    assert not warning


@pytest.mark.parametrize(
    ("plain", "parts"),
    [
        ("".join([*PARTS[:SAME_TOKENS], " other"]), PARTS),
        ("".join(PARTS), PARTS[:SAME_TOKENS]),
        ("".join(PARTS[:-1]), PARTS),
        ("".join(PARTS).replace("word18", "other"), ["".join(PARTS)]),
    ],
)
def test_another_text_is_a_warning_later(plain: str, parts: list[str]) -> None:
    fault, warning = compare_answers(PROMPT, plain, parts)
    assert not fault and repr(plain) in warning and repr("".join(parts)) in warning
