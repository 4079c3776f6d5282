# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What to measure, and what the figures mean: the settings, the power of the GPUs, regressions, the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from statistics import fmean
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._generator import objective_fault
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._estimate import TYPICAL_ANSWER, TYPICAL_PROMPT
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted

Level = Mapping[str, Any]
COMPARABLE = ("hosts", "api", "stream", "prompt_tokens", "answer_tokens", "dataset")
"""Settings that must be the same for figures to be compared."""
TIMES = ("first_token", "between_tokens", "end_to_end")


class CannotMeasure(Exception):
    """What is wrong with the settings, and what to change."""


DEFAULTS: Mapping[str, Any] = {"dataset": "", "each": 8, "seconds": 120, "objective": {}, "regression": 10.0}


def settings_of(plan: Mapping[str, Any], given: Mapping[str, Any], hosts: int) -> dict[str, Any]:
    """What to measure; what is not given is that of the plan's estimate, so that they can be compared."""
    limits, estimate = plan["limits"], plan["estimate"]
    most = limits["max_batch_size"] * hosts
    room = limits["max_seq_len"] - 1
    prompt = (
        given.get("prompt_tokens")
        or estimate.get("prompt_tokens")
        or min(TYPICAL_PROMPT, limits["max_input_len"], room)
    )
    answer = (
        given.get("answer_tokens")
        or estimate.get("answer_tokens")
        or min(TYPICAL_ANSWER, limits["max_seq_len"] - prompt)
    )
    numbers = given.get("at_once") or [row["at_once"] * hosts for row in estimate["rows"]] or [1, most]
    settings = {"at_once": sorted(set(numbers)), "prompt_tokens": prompt, "answer_tokens": answer}
    _check(settings, limits, most)
    serve = plan.get("serve_service")
    of_server = _of_openai(serve) if serve else _of_triton(plan["triton_service"], plan["profile"])
    others = {name: given.get(name) or default for name, default in DEFAULTS.items()}
    objective = {name: most for name, most in others["objective"].items() if most is not None}
    fault = objective_fault(objective, of_server["stream"], answer)
    if fault:
        raise CannotMeasure(fault)
    return {"url": given["url"], "hosts": hosts, **others, "objective": objective, **settings, **of_server}


def _check(settings: Mapping[str, Any], limits: Mapping[str, int], most: int) -> None:
    prompt, answer = settings["prompt_tokens"], settings["answer_tokens"]
    if settings["at_once"][-1] > most:
        raise CannotMeasure(
            f"at_once: {settings['at_once'][-1]} requests are more than the {most} that max_batch_size allows: "
            "choose fewer"
        )
    if prompt > limits["max_input_len"] or answer < 1 or prompt + answer > limits["max_seq_len"]:
        raise CannotMeasure(
            f"prompt_tokens, answer_tokens: {prompt} and {answer} tokens are more than max_input_len "
            f"{limits['max_input_len']} or max_seq_len {limits['max_seq_len']} allows: choose fewer"
        )


def _of_openai(service: Mapping[str, Any]) -> dict[str, Any]:
    return {"api": "openai", "model": service["endpoint"]["model"], "stream": True, "exact": True}


def _of_triton(service: Mapping[str, Any], profile: str) -> dict[str, Any]:
    """The events of the LLM API have the whole text so far, and it has no minimum length, so nothing is streamed."""
    proof = service["proof"]
    exact = profile == "engine"
    stream = exact and proof.get("stream_model") is not None
    of_model = {"model": proof["model"], "max_tokens_field": proof["max_tokens_field"]}
    return {"api": "triton", **of_model, "stream": stream, "exact": exact}


def power_of(samples: Iterable[str], level: Level) -> float | None:
    """Watts of all GPUs of a host while a level was measured; None if it was shorter than the time between samples.

    `samples`: lines of nvidia-smi with the time in UTC, the index and the power of a GPU.
    """
    watts: dict[str, list[float]] = {}
    for line in samples:
        found = _sample(line)
        if found and level["started"] is not None and level["started"] <= found[0] <= level["ended"]:
            watts.setdefault(found[1], []).append(found[2])
    return sum(map(fmean, watts.values())) if watts else None


def _sample(line: str) -> tuple[float, str, float] | None:
    try:
        moment, index, power = (part.strip() for part in line.split(","))
        parsed = datetime.strptime(moment, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
        return parsed.timestamp(), index, float(power)
    except ValueError:
        return None


def rows_of(levels: Iterable[Level], samples: Sequence[Iterable[str]]) -> list[dict[str, Any]]:
    """The levels as rows of `trtllm_benchmarks`, with all other figures. `samples`: of each host."""
    return [_row(level, [power_of(list(lines), level) for lines in samples]) for level in levels]


def _row(level: Level, watts: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in watts if value is not None]
    power = sum(known) if known and len(known) == len(watts) else None
    means = {name: level[name]["mean"] if level[name] else None for name in TIMES}
    return {
        "at_once": level["at_once"],
        "tokens_per_second": level["tokens_per_second"],
        **means,
        "power": power,
        "joules_per_token": None if power is None else power / level["tokens_per_second"],
        "level": dict(level),
    }


def check_comparable(settings: Mapping[str, Any], baseline: Mapping[str, Any]) -> None:
    """CannotMeasure if the baseline was measured in another way."""
    other = [name for name in COMPARABLE if baseline["settings"].get(name) != settings.get(name)]
    if other:
        was = ", ".join(f"{name} {baseline['settings'].get(name)}" for name in other)
        raise CannotMeasure(
            f"the baseline was measured with {was}: measure in the same way, or choose another folder for the results"
        )


def regressions(
    rows: Iterable[Mapping[str, Any]], baseline: Iterable[Mapping[str, Any]], percent: float
) -> Iterator[str]:
    """What became worse than the baseline by more than `percent`, for numbers of requests that both have."""
    before = {row["at_once"]: row for row in baseline}
    for row in rows:
        if row["at_once"] in before:
            for text in _worse(row, before[row["at_once"]], percent):
                yield f"{counted(row['at_once'], 'request')} at once: {text}"


def _worse(row: Mapping[str, Any], before: Mapping[str, Any], percent: float) -> Iterator[str]:
    was, now = before["tokens_per_second"], row["tokens_per_second"]
    if now < was * (1 - percent / 100):
        yield f"tokens per second fell from {was:.1f} to {now:.1f} ({_change(was, now)})"
    for name in TIMES:
        was, now = before.get(name), row.get(name)
        if was and now and now > was * (1 + percent / 100):
            yield f"{name.replace('_', ' ')} rose from {was * 1000:.1f} to {now * 1000:.1f} ms ({_change(was, now)})"
    was, now = failed_percent(before), failed_percent(row)
    if now > was + percent:
        yield f"failed requests rose from {was:.3g} to {now:.3g} %"


def _change(was: float, now: float) -> str:
    return f"{100 * (now - was) / was:+.0f} %"


def failed_percent(row: Mapping[str, Any]) -> float:
    level = row["level"]
    return float(100 * level["failed"] / (level["failed"] + level["answered"]))


def report_of(
    levels: Iterable[Level],
    plan: Mapping[str, Any],
    settings: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
    samples: Sequence[Iterable[str]],
    **about: Any,
) -> dict[str, Any]:
    """Everything that is stored, as an entry of `trtllm_benchmarks`. `about`: where, when and by what."""
    rows = rows_of(levels, samples)
    worse = list(regressions(rows, baseline["rows"], settings["regression"])) if baseline else []
    estimate = plan["estimate"]
    of_plan = ("model", "release", "profile", "precision", "release_id")
    return {
        "prompt_tokens": settings["prompt_tokens"],
        "answer_tokens": settings["answer_tokens"],
        "rows": rows,
        **{name: plan[name] for name in of_plan},
        **about,
        "gpus": counted(plan["parallelism"]["world_size"], "GPU") if plan["gpus"] else "none",
        "settings": dict(settings),
        # The estimate is for one host.
        "estimate": [] if estimate["measured"] or settings["hosts"] > 1 else estimate["rows"],
        "baseline": {name: baseline[name] for name in ("release_id", "measured", "rows")} if baseline else None,
        "regressions": worse,
    }


def entry_key(plan: Mapping[str, Any], hosts: int) -> str:
    """That of the plan's estimate, which the figures of several hosts must not replace."""
    key: str = plan["estimate"]["key"]
    return key if hosts == 1 else f"{key}-x{hosts}"


def figure_lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"measured for prompts of {report['prompt_tokens']} and answers of {report['answer_tokens']} tokens:"
    for row in report["rows"]:
        times = ", ".join(
            f"{name.replace('_', ' ')} {row[name] * 1000:.1f} ms" for name in TIMES if row[name] is not None
        )
        failed = f", {row['level']['failed']} failed" if row["level"]["failed"] else ""
        yield f"{counted(row['at_once'], 'request')} at once: {row['tokens_per_second']:.1f} tokens/s, {times}{failed}"
