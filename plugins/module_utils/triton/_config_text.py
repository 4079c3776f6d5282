# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Replaces single fields in a protobuf text and keeps the rest of the text unchanged."""

from __future__ import annotations

import re
import typing as t

_TOKEN = re.compile(r"""\#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [\w.+-]+ | [^\s]""", re.VERBOSE)
_FIELD_NAME = re.compile(r"[A-Za-z_]\w*(?=\s*[:{<\[])")
_REST_OF_LINE = re.compile(r"[ \t]*(?:\n|$)")


class Field(t.NamedTuple):
    """A field of the top-level message: text[start:end], including its separator."""

    name: str
    start: int
    end: int


def fields(text: str) -> list[Field]:
    """The fields in their order; a repeated field occurs more than once."""
    found: list[Field] = []
    depth = 0
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.startswith("#"):
            continue
        if depth == 0 and _FIELD_NAME.match(text, token.start()):
            found.append(Field(word, token.start(), token.end()))
        elif found:
            found[-1] = found[-1]._replace(end=token.end())
        depth += (word in "{[<") - (word in "}]>")
    return found


def replace_fields(text: str, replacements: t.Sequence[tuple[Field, str]], appended: str) -> str:
    """Replace fields, in their order. A field whose replacement is empty is removed with its line."""
    parts, position = [], 0
    for field, new in replacements:
        parts += [text[position : field.start], new.rstrip("\n")]
        position = field.end
        rest_of_line = _REST_OF_LINE.match(text, position)
        if not new and rest_of_line:
            position = rest_of_line.end()
    parts.append(text[position:])
    whole = "".join(parts)
    return f"{whole.rstrip()}\n{appended}" if appended else whole
