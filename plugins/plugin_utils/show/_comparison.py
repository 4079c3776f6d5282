# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Two deployments side by side: where their completions differ, how fast they are, and which limits the new one misses.

Texts are compared, because neither API returns the numbers of tokens. Positions are counted in the pieces of the
streams, which are usually a token each, or else in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from statistics import median
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import (
    SAME_TOKENS,
    common_length,
    comparable,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted, hint

LIMITS: Mapping[str, float] = {
    "same_tokens": SAME_TOKENS,
    "same_share": 0.8,
    "first_token_ratio": 2.0,
    "latency_ratio": 1.5,
    "throughput_ratio": 0.7,
}
"""The defaults. Ratios are new to old: at most, except for the throughput. Other versions and precisions round
differently, so some of the prompts may differ early."""

FIRST_TOKEN, LATENCY, THROUGHPUT = "first_token", "latency", "throughput"
FIGURES = {FIRST_TOKEN: "s to the first token", LATENCY: "s for a completion", THROUGHPUT: "tokens/s"}
TOKEN, WORD = "token", "word"
AROUND = 40
"""Characters that are shown before and after a difference."""

Side = Mapping[str, Any]
"""`deployment`, `host`, `release`, `api`, and what completions_info returns: `completions` and `load`."""


def placed(wanted: str, there: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The deployment that NAME or NAME@HOST means, with `problem` if it is not exactly one. `there`: names by host."""
    name, at, host = wanted.partition("@")
    hosts = [one for one, names in there.items() if name in names and (not at or one == host)]
    if len(hosts) == 1:
        return {"name": name, "host": hosts[0], "problem": ""}
    known = [f"{one}@{where}" for where, names in there.items() for one in names]
    if hosts:
        problem = f"{name} is on {' and '.join(hosts)}: say on which, as in {name}@{hosts[0]}"
    elif not known:
        problem = f"{wanted} does not exist: nothing is deployed on {', '.join(there)}"
    else:
        near = hint(wanted, [*(name for names in there.values() for name in names), *known])
        problem = f"{wanted} does not exist{near}: the deployments are {', '.join(known)}"
    return {"name": name, "host": "", "problem": problem}


def comparison_of(old: Side, new: Side, limits: Mapping[str, Any]) -> dict[str, Any]:
    """`missed` has a sentence for each limit that the new deployment misses."""
    allowed = {**LIMITS, **{name: float(value) for name, value in limits.items()}}
    pairs = zip(old["completions"], new["completions"])
    rows = [compare_completions(first, second, int(allowed["same_tokens"])) for first, second in pairs]
    figures = {name: _figure(name, old, new) for name in FIGURES}
    return {
        "old": dict(old),
        "new": dict(new),
        "limits": allowed,
        "prompts": rows,
        "figures": figures,
        "missed": [*_different(rows, allowed), *_slow(figures, allowed)],
    }


def compare_completions(old: Side, new: Side, same_tokens: int) -> dict[str, Any]:
    """`first_difference` is the number of the first `unit` that differs, from 1; None if nothing does.

    `same` is whether the first `same_tokens` agree; None if both texts are empty, which says nothing.
    """
    prompt = old["prompt"]
    texts = [comparable(prompt, "".join(side["parts"])) for side in (old, new)]
    units = [_pieces(side["parts"], text) for side, text in zip((old, new), texts)]
    unit = TOKEN if all(units) else WORD
    if unit == WORD:
        units = [_words(text) for text in texts]
    position = None
    if texts[0] != texts[1]:
        characters = common_length(*texts)
        position = 1 + min(sum(end <= characters for end in ends) for ends in units)
    return {
        "prompt": prompt,
        "old": texts[0],
        "new": texts[1],
        "unit": unit,
        "first_difference": position,
        "same": (position is None or position > same_tokens) if any(texts) else None,
    }


def _pieces(parts: Sequence[str], text: str) -> list[int]:
    """Where the pieces of the stream end in the text; empty if they are not a token each."""
    joined = "".join(parts)
    # What is left out can be before the text (the prompt) and after it (special tokens), or within it.
    start = joined.rfind(text)
    ends = {min(end - start, len(text)) for end in accumulate(map(len, parts)) if end > start}
    # A word is at least one token.
    return sorted(ends) if start >= 0 and len(ends) >= len(_words(text)) else []


def _words(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\S+", text)]


def _figure(name: str, old: Side, new: Side) -> dict[str, float | None]:
    before, after = (_measured(name, side) for side in (old, new))
    return {"old": before, "new": after, "ratio": after / before if before and after is not None else None}


def _measured(name: str, side: Side) -> float | None:
    if name == THROUGHPUT:
        # Words are fewer than tokens, so they give no rate.
        exact = all(completed["counted_by"] != "words" for completed in side["completions"])
        return side["load"]["tokens_per_second"] if exact else None
    times = [completed[f"{name}_seconds"] for completed in side["completions"]]
    known = [seconds for seconds in times if seconds is not None]
    return median(known) if known else None


def _different(rows: Sequence[Mapping[str, Any]], limits: Mapping[str, float]) -> Iterator[str]:
    compared = _compared(rows)
    if not compared:
        yield "no prompt has a completion"
    elif sum(compared) / len(compared) < limits["same_share"]:
        yield (
            f"the first {limits['same_tokens']:g} tokens are the same for {_share(compared)}, but same_share is "
            f"{limits['same_share']:g}"
        )


def _compared(rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    return [row["same"] for row in rows if row["same"] is not None]


def _share(compared: Sequence[bool]) -> str:
    return f"{sum(compared)} of {counted(len(compared), 'prompt')} ({sum(compared) / len(compared):.2g})"


def _slow(figures: Mapping[str, Mapping[str, Any]], limits: Mapping[str, float]) -> Iterator[str]:
    for name, figure in figures.items():
        ratio, limit = figure["ratio"], limits[f"{name}_ratio"]
        if ratio is not None and (ratio < limit if name == THROUGHPUT else ratio > limit):
            yield (
                f"{figure['new']:g} {FIGURES[name]} are {ratio:.3g} times the {figure['old']:g} of the old deployment, "
                f"but {name}_ratio is {limit:g}"
            )


# --- as text ----------------------------------------------------------------------------------------------------------

ROW = "{:<28} {:>12} {:>12} {:>8}  {}"


def comparison_lines(comparison: Mapping[str, Any]) -> Iterator[str]:
    for name in ("old", "new"):
        side = comparison[name]
        yield f"{name}: {side['deployment']} on {side['host']}: {side['release']} ({side['api']})"
    yield "greedy completions of the prompts as they are, without a chat template; a token is a piece of the stream"
    yield ""
    for number, row in enumerate(comparison["prompts"], 1):
        yield from _prompt_lines(number, row)
    yield from _share_line(comparison)
    yield ""
    yield ROW.format("", "old", "new", "new/old", "limit").rstrip()
    yield from _figure_lines(comparison)


def _prompt_lines(number: int, row: Mapping[str, Any]) -> Iterator[str]:
    position = row["first_difference"]
    state = f"differs at {row['unit']} {position}" if position else "same" if row["same"] else "empty"
    yield f"{number:>3} {state:<22} {_shown(row['prompt'], AROUND)}"
    if position:
        place = common_length(row["old"], row["new"])
        yield from (f"    {name}: {_shown(row[name], place)}" for name in ("old", "new"))


def _shown(text: str, place: int) -> str:
    """The text around a place. Line breaks and quotes are shown as in Python."""
    start, end = max(0, place - AROUND), place + AROUND
    return f"{'...' if start else ''}{text[start:end]!r}{'...' if end < len(text) else ''}"


def _share_line(comparison: Mapping[str, Any]) -> Iterator[str]:
    limits, compared = comparison["limits"], _compared(comparison["prompts"])
    if compared:
        yield (
            f"the first {limits['same_tokens']:g} tokens are the same for {_share(compared)}, "
            f"limit at least {limits['same_share']:g}"
        )


def _figure_lines(comparison: Mapping[str, Any]) -> Iterator[str]:
    limits, at_once = comparison["limits"], comparison["new"]["load"]["at_once"]
    for name, figure in comparison["figures"].items():
        title = f"{FIGURES[name]}, {at_once} at once" if name == THROUGHPUT else FIGURES[name]
        limit = f"{'at least' if name == THROUGHPUT else 'at most'} {limits[f'{name}_ratio']:g}"
        numbers = ["-" if figure[key] is None else f"{figure[key]:.3g}" for key in ("old", "new", "ratio")]
        yield ROW.format(title, *numbers, limit)
