# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The page of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.benchmark._benchmark import failed_percent
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._page import bullets, definitions, document, table
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._plot import STYLE, plot

Row = Mapping[str, Any]
HORIZONTAL = "requests at once"


def benchmark_page(report: Mapping[str, Any]) -> str:
    """A page that needs nothing else. Whatever is in the report is shown as text."""
    return document(f"Benchmark of {report['release_id']}", [*_head(report), *_figures(report)], STYLE)


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    settings, baseline = report["settings"], report["baseline"]
    yield definitions(
        {
            "Outcome": _outcome(report),
            "Measured": f"{report['measured']} UTC, by {report['generator']}, at {settings['url']}",
            "Deployment": f"{report['deployment']} on {', '.join(report['hosts'])}",
            "Model": f"{report['model']['name']} ({report['model']['repository']} at {report['model']['revision']})",
            "TensorRT-LLM": f"{report['release']}, profile {report['profile']}, {report['precision']}",
            "GPUs": report["gpus"],
            "Requests": _requests(settings),
            "Objective": _objective(settings["objective"]),
            "Baseline": f"{baseline['release_id']}, measured {baseline['measured']} UTC" if baseline else "this run",
        }
    )
    yield from bullets("Worse than the baseline", report["regressions"], level=2)


def _outcome(report: Mapping[str, Any]) -> str:
    if report["regressions"]:
        return f"worse than the baseline by more than {report['settings']['regression']:g} %"
    return "no regression" if report["baseline"] else "no baseline to compare with yet"


def _requests(settings: Mapping[str, Any]) -> str:
    answers = f"answers of {settings['answer_tokens']} tokens, {'streamed' if settings['stream'] else 'not streamed'}"
    if settings["dataset"]:
        return f"prompts of {settings['dataset']}, {answers}"
    return f"random prompts of {settings['prompt_tokens']} tokens, {answers}"


def _objective(objective: Mapping[str, float]) -> str:
    return (
        ", ".join(f"{name.replace('_', ' ')} {number(most, 'ms', 1000)}" for name, most in objective.items()) or "none"
    )


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    rows = report["rows"]
    yield "<h2>Figures</h2>"
    yield '<div class="plots">'
    yield from filter(None, _plots(report))
    yield "</div>"
    yield "<h3>Throughput</h3>"
    yield _throughput(rows)
    for title, name in (("First token", "first_token"), ("Between tokens", "between_tokens"), ("Answer", "end_to_end")):
        if any(row["level"][name] for row in rows):
            yield f"<h3>{title} (ms)</h3>"
            yield table(["At once", "Mean", "p50", "p90", "p99"], [_times(row, name) for row in rows], numbers=True)
    errors = [f"{row['at_once']} at once: {error}" for row in rows for error in row["level"]["errors"]]
    yield from bullets("Errors", errors)


def _throughput(rows: Sequence[Row]) -> str:
    """Columns without a figure, such as the power without a GPU, are left out."""
    columns = {
        "At once": [str(row["at_once"]) for row in rows],
        "Tokens/s": [number(row["tokens_per_second"]) for row in rows],
        "Requests/s": [number(row["level"]["requests_per_second"]) for row in rows],
        "Good/s": [number(row["level"]["good_per_second"]) for row in rows],
        "Good": [number(row["level"]["good_fraction"], "%", 100) for row in rows],
        "Failed": [number(failed_percent(row), "%") for row in rows],
        "Power": [number(row["power"], "W") for row in rows],
        "J/token": [number(row["joules_per_token"]) for row in rows],
    }
    shown = {head: cells for head, cells in columns.items() if any(cells)}
    return table(list(shown), zip(*shown.values()), numbers=True)


def _times(row: Row, name: str) -> list[str]:
    times = row["level"][name] or {}
    return [str(row["at_once"]), *(number(times.get(part), factor=1000) for part in ("mean", "p50", "p90", "p99"))]


def number(value: float | None, unit: str = "", factor: float = 1) -> str:
    """With three significant digits, and nothing if it is not known."""
    if value is None:
        return ""
    value *= factor
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def _plots(report: Mapping[str, Any]) -> Iterator[str]:
    rows = report["rows"]
    labels = [str(row["at_once"]) for row in rows]
    others = {"baseline": (report["baseline"] or {}).get("rows", ()), "estimate": report["estimate"]}

    def compared(name: str, factor: float) -> dict[str, list[float | None]]:
        measured = _values(rows, rows, name, factor)
        lines = {other: _values(rows, found, name, factor) for other, found in others.items()}
        known = {other: line for other, line in lines.items() if any(value is not None for value in line)}
        return {"measured": measured, **(known if any(value is not None for value in measured) else {})}

    yield plot("Tokens per second", "tokens/s", HORIZONTAL, labels, compared("tokens_per_second", 1))
    yield plot("First token, mean", "ms", HORIZONTAL, labels, compared("first_token", 1000))
    yield plot("Between tokens, mean", "ms", HORIZONTAL, labels, compared("between_tokens", 1000))
    yield plot("Whole answer, mean", "s", HORIZONTAL, labels, compared("end_to_end", 1))
    good = [row["level"]["good_per_second"] for row in rows]
    sent = [row["level"]["requests_per_second"] for row in rows]
    if any(value is not None for value in good):
        yield plot("Answers per second", "1/s", HORIZONTAL, labels, {"all": sent, "within the objective": good})
    yield plot("Power of the GPUs", "W", HORIZONTAL, labels, {"measured": [row["power"] for row in rows]})


def _values(rows: Sequence[Row], found: Sequence[Row], name: str, factor: float) -> list[float | None]:
    """A figure of `found` at the numbers of requests of `rows`."""
    by_number = {row["at_once"]: row.get(name) for row in found}
    values = [by_number.get(row["at_once"]) for row in rows]
    return [None if value is None else value * factor for value in values]
