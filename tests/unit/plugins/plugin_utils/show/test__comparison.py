# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two deployments side by side: the first difference, figures and limits."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.tritonops.trtllm.plugins.filter.comparison_report import comparison_report
from ansible_collections.tritonops.trtllm.plugins.filter.comparison_table import comparison_table
from ansible_collections.tritonops.trtllm.plugins.filter.deployment_on_host import deployment_on_host
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import COLLECTION
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._comparison import LIMITS, compare_completions

PROMPT = "What is it?"
WORDS = ["Cloud", " computing", " lets", " people", " use", " computers", "."]


def completed(parts: list[str], **figures: Any) -> dict[str, Any]:
    usual = {"tokens": len(parts), "counted_by": "usage", "latency_seconds": 1.0, "first_token_seconds": 0.1}
    return {"prompt": PROMPT, "parts": parts, **usual, **figures}


def side(*completions: dict[str, Any], name: str = "chat", tokens_per_second: float | None = 100.0) -> dict[str, Any]:
    load = {"at_once": 4, "tokens": 100, "seconds": 1.0, "tokens_per_second": tokens_per_second}
    about = {"deployment": name, "host": "gpu-1", "release": f"{name}-1", "api": "openai"}
    return {**about, "completions": list(completions) or [completed(WORDS)], "load": load}


@pytest.mark.parametrize(
    ("old", "new", "unit", "position"),
    [
        (WORDS, WORDS, "token", None),
        (WORDS, ["Fog", *WORDS[1:]], "token", 1),
        # Part of a token is the same.
        (WORDS, ["Clouds", " are"], "token", 1),
        (["Clouds", " are"], WORDS, "token", 1),
        (WORDS, [*WORDS[:4], " rent", " them"], "token", 5),
        (WORDS, WORDS[:3], "token", 4),
        (WORDS[:3], WORDS, "token", 4),
        # The spaces within a text belong to its tokens, those around it do not.
        (WORDS, [WORDS[0], "computing", *WORDS[2:]], "token", 2),
        (WORDS, [" Cloud", *WORDS[1:], "\n"], "token", None),
        # Some servers repeat the prompt, or return special tokens.
        ([PROMPT, " ", *WORDS, "</s>"], WORDS, "token", None),
        ([f"{PROMPT} Cloud", *WORDS[1:]], [*WORDS[:2], " is", " this"], "token", 3),
        # One of them was not streamed, or only in large pieces.
        (["".join(WORDS)], WORDS, "word", None),
        (["".join(WORDS)], [*WORDS[:4], " rent", " them"], "word", 5),
        (WORDS, ["Cloud computing lets", " nobody sleep"], "word", 4),
        # Several tokens of one character, the last of which was cut by the number of tokens.
        (["日本", "の", "首"], ["日本", "の", "首", "\ufffd"], "token", None),
        (["日本", "の"], ["日本", "は"], "token", 2),
        ([], WORDS, "word", 1),
        (WORDS, ["</s>"], "word", 1),
    ],
)
def test_the_first_difference(old: list[str], new: list[str], unit: str, position: int | None) -> None:
    row = compare_completions(completed(old), completed(new), same_tokens=4)
    assert (row["unit"], row["first_difference"]) == (unit, position)
    assert row["same"] == (position is None or position > 4)


def test_two_empty_texts_say_nothing() -> None:
    row = compare_completions(completed([]), completed(["</s>"]), same_tokens=4)
    assert row["same"] is None
    assert comparison_report(side(completed([])), side(completed([])))["missed"] == ["no prompt has a completion"]
    # Those of other prompts count.
    mixed = side(completed([]), completed(WORDS))
    assert comparison_report(mixed, mixed, {"same_share": 1})["missed"] == []


def test_a_share_of_prompts_may_differ_early() -> None:
    old = side(*[completed(WORDS)] * 5)
    new = side(*[completed(WORDS)] * 3, *[completed(["Fog", *WORDS])] * 2)
    words = "the first 16 tokens are the same for 3 of 5 prompts (0.6), but same_share is 0.8"
    assert comparison_report(old, new)["missed"] == [words]
    assert comparison_report(old, new, {"same_share": 0.6})["missed"] == []
    assert comparison_report(old, new, {"same_tokens": 0})["missed"] == []


@pytest.mark.parametrize(
    ("changes", "throughput", "missed"),
    [
        ({}, 100, []),
        ({"latency_seconds": 1.5, "first_token_seconds": 0.2}, 70, []),
        (
            {"latency_seconds": 1.6},
            100,
            ["1.6 s for a completion are 1.6 times the 1 of the old deployment, but latency_ratio is 1.5"],
        ),
        (
            {"first_token_seconds": 0.3},
            100,
            ["0.3 s to the first token are 3 times the 0.1 of the old deployment, but first_token_ratio is 2"],
        ),
        ({}, 60, ["60 tokens/s are 0.6 times the 100 of the old deployment, but throughput_ratio is 0.7"]),
        # What is not known is not judged: there was no stream, or only words were counted.
        ({"first_token_seconds": None}, 100, []),
        ({"counted_by": "words"}, 1, []),
    ],
)
def test_times_are_compared(changes: dict[str, Any], throughput: float, missed: list[str]) -> None:
    new = side(completed(WORDS, **changes), tokens_per_second=throughput)
    assert comparison_report(side(), new)["missed"] == missed


def test_the_median_time_counts() -> None:
    slow = [completed(WORDS, latency_seconds=seconds) for seconds in (9.0, 1.0, 1.0)]
    figures = comparison_report(side(*[completed(WORDS)] * 3), side(*slow))["figures"]
    assert figures["latency"] == {"old": 1.0, "new": 1.0, "ratio": 1.0}


def test_the_report_as_text() -> None:
    old, new = side(completed(WORDS), completed(WORDS), name="engine"), side(completed(WORDS), completed(["Fog\n"]))
    lines = comparison_table(comparison_report(old, new))
    assert lines[:2] == ["old: engine on gpu-1: engine-1 (openai)", "new: chat on gpu-1: chat-1 (openai)"]
    text = "\n".join(lines)
    assert "  1 same                   'What is it?'" in text
    assert "  2 differs at token 1     'What is it?'\n    old: 'Cloud computing" in text and "    new: 'Fog'" in text
    assert "the first 16 tokens are the same for 1 of 2 prompts (0.5), limit at least 0.8" in lines
    assert any(" ".join(line.split()) == "tokens/s, 4 at once 100 100 1 at least 0.7" for line in lines), text
    empty = comparison_table(comparison_report(side(completed([])), side(completed([], first_token_seconds=None))))
    assert any(" ".join(line.split()) == "s to the first token 0.1 - - at most 2" for line in empty)


def test_long_texts_are_shown_around_the_difference() -> None:
    old = completed([*[" same"] * 50, " old", *[" end"] * 50])
    new = completed([*[" same"] * 50, " new", *[" end"] * 50])
    lines = comparison_table(comparison_report(side(old), side(new)))
    assert any(line.startswith("    old: ...'") and " old end" in line and line.endswith("'...") for line in lines)
    assert max(map(len, lines)) <= 120


THERE = {"gpu-1": ["default", "chat"], "gpu-2": ["default"]}


@pytest.mark.parametrize(
    ("wanted", "host", "problem"),
    [
        ("chat", "gpu-1", ""),
        ("default@gpu-2", "gpu-2", ""),
        ("default", "", "default is on gpu-1 and gpu-2: say on which, as in default@gpu-1"),
        ("chat@gpu-2", "", "chat@gpu-2 does not exist (did you mean chat@gpu-1?): the deployments are"),
        ("chta", "", "chta does not exist (did you mean chat?): the deployments are default@gpu-1, chat@gpu-1"),
    ],
)
def test_a_deployment_is_found_on_its_host(wanted: str, host: str, problem: str) -> None:
    found = deployment_on_host(wanted, THERE)
    assert (found["name"], found["host"]) == (wanted.partition("@")[0], host)
    assert found["problem"].startswith(problem) and bool(found["problem"]) == bool(problem)
    assert "nothing is deployed on gpu-1" in deployment_on_host(wanted, {"gpu-1": []})["problem"]


def test_other_values_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="completions_info"):
        comparison_report(side(), {})
    with pytest.raises(AnsibleFilterError, match="comparison_report, not list"):
        comparison_table([])
    with pytest.raises(AnsibleFilterError, match="deployments by host, not list"):
        deployment_on_host("chat", [])


def test_the_documented_limits_are_the_defaults() -> None:
    documentation = yaml_load((COLLECTION / "plugins/filter/comparison_report.yml").read_text(encoding="utf-8"))
    limits = documentation["DOCUMENTATION"]["options"]["limits"]["suboptions"]
    assert {name: limit["default"] for name, limit in limits.items()} == LIMITS
