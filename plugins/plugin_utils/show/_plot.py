# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Line plots as SVG, for pages without scripts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 10, 38
STYLE = """
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1rem 2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; margin-top: .5rem; }
svg { width: 100%; height: auto; display: block; font: 11px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: var(--line); }
svg .line { fill: none; stroke: var(--series); stroke-width: 2; }
svg .point { fill: var(--series); }
.key { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0 1rem; }
.key svg { display: inline-block; width: 2rem; height: .75rem; margin-right: .25rem; }
.s0 { --series: #0969da; }
.s1 { --series: #bc4c00; }
.s2 { --series: #1a7f37; }
.s1 .line { stroke-dasharray: 6 3; }
.s2 .line { stroke-dasharray: 2 3; }
@media (prefers-color-scheme: dark) {
  .s0 { --series: #58a6ff; }
  .s1 { --series: #f0883e; }
  .s2 { --series: #3fb950; }
}
"""
Series = Mapping[str, Sequence[float | None]]


def plot(title: str, unit: str, horizontal: str, labels: Sequence[str], series: Series) -> str:
    """A figure with a line for each series, of at most three; the labels are equally far apart. None is a gap."""
    values = [value for line in series.values() for value in line if value is not None]
    if not values:
        return ""
    ticks = ticks_up_to(max(values))
    parts = [*_grid(ticks), *_labels(labels), _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "middle", horizontal)]
    # The first one is on top.
    for place, line in reversed(list(enumerate(series.values()))):
        parts.append(f'<g class="s{place}">{"".join(_line(line, ticks[-1]))}</g>')
    name = escape(f"{title} in {unit}: the table has the figures")
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{"".join(parts)}</svg>'
    return f"<figure><figcaption>{escape(title)} ({escape(unit)})</figcaption>{svg}{_key(list(series))}</figure>"


def ticks_up_to(most: float, parts: int = 4) -> list[float]:
    """Round numbers from 0 to at least `most`."""
    if most <= 0:
        return [0.0, 1.0]
    magnitude = 10 ** math.floor(math.log10(most / parts))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude * parts >= most * 0.999999)
    return [step * number for number in range(math.ceil(most / step - 1e-6) + 1)]


def _grid(ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        y = _y(tick, ticks[-1])
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 6, y + 4, "end", f"{tick:.6g}")


def _labels(labels: Sequence[str]) -> Iterator[str]:
    for place, label in enumerate(labels):
        yield _text(_x(place, len(labels)), HEIGHT - BOTTOM + 16, "middle", label)


def _line(values: Sequence[float | None], top: float) -> Iterator[str]:
    points = [None if value is None else (_x(place, len(values)), _y(value, top)) for place, value in enumerate(values)]
    path, gap = "", True
    for point in points:
        if point:
            path += f"{'M' if gap else 'L'}{point[0]:.1f} {point[1]:.1f}"
        gap = point is None
    yield f'<path class="line" d="{path}"/>'
    for point in filter(None, points):
        yield f'<circle class="point" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3.5"/>'


def _x(place: int, count: int) -> float:
    room = WIDTH - LEFT - RIGHT
    return LEFT + room * (place + 0.5) / count


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _key(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    sample = '<svg viewBox="0 0 32 12" aria-hidden="true"><path class="line" d="M0 6L32 6"/></svg>'
    items = "".join(f'<li class="s{place}">{sample}{escape(name)}</li>' for place, name in enumerate(names))
    return f'<ul class="key">{items}</ul>'
