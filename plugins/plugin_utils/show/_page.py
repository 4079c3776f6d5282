# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Parts of pages that need nothing else. Whatever they are given is shown as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8886; --bar: #0969da; --changed: #1a7f37; --failed: #cf222e; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 60rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; }
h2 { border-top: 1px solid var(--line); padding-top: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; padding-right: 1rem; }
dl + .wide { margin-top: 1rem; }
blockquote, pre { margin: .5rem 0; padding: .5rem .75rem; border: 1px solid var(--line); }
blockquote, pre { white-space: pre-wrap; overflow-wrap: anywhere; }
ul { padding-left: 1.25rem; overflow-wrap: anywhere; }
@media (max-width: 32rem) { dl { grid-template-columns: 1fr; } dt { font-weight: 600; } }
"""


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """`parts` is HTML; `style` is added to the style of all pages."""
    body = "\n".join(parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def definitions(entries: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in entries.items())}</dl>"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], numbers: bool = False) -> str:
    """`numbers`: the columns after the first one are numbers, and the first one says what they belong to."""
    kind = ' class="number"' if numbers else ""
    first, *others = heads
    head = f'<th scope="col">{escape(first)}</th>'
    head += "".join(f'<th scope="col"{kind}>{escape(cell)}</th>' for cell in others)
    body = "".join(f"<tr>{_row(row, kind)}</tr>" for row in rows)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(row: Iterable[str], kind: str) -> str:
    first, *others = row
    named = f'<th scope="row">{escape(first)}</th>' if kind else f"<td>{escape(first)}</td>"
    return named + "".join(f"<td{kind}>{escape(cell)}</td>" for cell in others)


def bullets(title: str, texts: Iterable[str], level: int = 3) -> Iterator[str]:
    """A list with a heading of that level; nothing if it is empty."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    if items:
        yield f"<h{level}>{escape(title)}</h{level}>\n<ul>{items}</ul>"
