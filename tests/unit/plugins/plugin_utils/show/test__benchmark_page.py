# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a benchmark is well-formed and harmless, and its plots show the figures."""

from __future__ import annotations

import re
from typing import Any

import html5lib
import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._benchmark_page import benchmark_page, number
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._plot import HEIGHT, WIDTH, plot, ticks_up_to
from ansible_collections.tritonops.trtllm.tests.unit.plugins.plugin_utils.benchmark.test__benchmark import level, report

HOSTILE = "<script>alert(1)</script>\"'&"


def words(page: str) -> str:
    """The text of a page; html5lib fails at the first error."""
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert [tag for tag in ("script", "link", "img", "iframe") if root.findall(f".//{tag}")] == []
    return " ".join("".join(root.find("body").itertext()).split())


def test_a_page_has_the_figures_and_the_baseline() -> None:
    levels = [level(1, good_fraction=0.5, good_per_second=8.0), level(8, tokens_per_second=123.0)]
    before = report(levels=[level(1), level(8)])
    page = benchmark_page(report(levels=levels, baseline=before))
    text = words(page)
    assert "worse than the baseline by more than 10 %" in text
    assert "8 requests at once: tokens per second fell from 400.0 to 123.0 (-69 %)" in text
    assert "baseline" in text and "estimate" in text and "within the objective" in text
    assert "Power" not in text and "url(" not in page and "http-equiv" in page


def test_a_page_without_streams_and_power_leaves_them_out() -> None:
    text = words(benchmark_page(report(levels=[level(first_token=None, between_tokens=None)])))
    assert "First token" not in text and "Whole answer" in text and "no baseline to compare with yet" in text


def test_whatever_is_in_a_report_is_shown_as_text() -> None:
    made = report(levels=[level(errors=[HOSTILE])])
    for name in ("release_id", "deployment", "generator", "measured"):
        made[name] = HOSTILE
    made["settings"]["url"] = made["settings"]["dataset"] = HOSTILE
    made["model"] = dict.fromkeys(made["model"], HOSTILE)
    assert words(benchmark_page(made)).count(HOSTILE) >= 6


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (18.2, [0, 5, 10, 15, 20]),
        (4, [0, 1, 2, 3, 4]),
        (0.55, [0, 0.2, 0.4, 0.6]),
        (33000, [0, 10000, 20000, 30000, 40000]),
        (0, [0, 1]),
    ],
)
def test_ticks_are_round_and_reach_the_largest_value(most: float, expected: list[float]) -> None:
    assert ticks_up_to(most) == pytest.approx(expected)


def points(figure: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', figure)]


def test_a_plot_is_to_scale() -> None:
    (left, low), (middle, half), (right, top) = points(plot("T", "ms", "x", ["1", "2", "4"], {"m": [0, 50, 100]}))
    assert left < middle < right < WIDTH and low - half == pytest.approx(half - top, abs=0.2)
    assert 0 < top < half < low < HEIGHT


def test_an_unknown_value_is_a_gap() -> None:
    line: dict[str, Any] = {"m": [1, None, 3, 4]}
    figure = plot("T", "ms", "x", ["1", "2", "4", "8"], line)
    assert len(points(figure)) == 3 and figure.count("M") == 2 and 'class="key"' not in figure
    assert plot("T", "ms", "x", ["1"], {"m": [None]}) == ""


def test_numbers_are_short_and_without_exponents() -> None:
    shown = [number(3450.4), number(0.123456, "%", 100), number(12.04, "W"), number(None)]
    assert shown == ["3450", "12.3 %", "12 W", ""]
