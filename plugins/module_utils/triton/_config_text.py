# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Where the fields of a protobuf text are, so that one can be exchanged and the rest be left as it was written."""

from __future__ import annotations

import re
import typing as t

_TOKEN = re.compile(r"""\#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [\w.+-]+ | [^\s]""", re.VERBOSE)
_FIELD_NAME = re.compile(r"[A-Za-z_]\w*(?=\s*[:{<\[])")
_REST_OF_LINE = re.compile(r"[ \t]*(?:\n|$)")


class Field(t.NamedTuple):
    """A field of the outermost message: text[start:end], its separator included."""

    name: str
    start: int
    end: int


def fields(text: str) -> list[Field]:
    """The fields in their order; one that repeats is there more than once."""
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


def exchange(text: str, news: t.Sequence[tuple[Field, str]], appended: str) -> str:
    """The text with fields, in their order, exchanged for other text; taken out with their line where that is empty."""
    parts, position = [], 0
    for field, new in news:
        parts += [text[position : field.start], new.rstrip("\n")]
        position = field.end
        rest_of_line = _REST_OF_LINE.match(text, position)
        if not new and rest_of_line:
            position = rest_of_line.end()
    parts.append(text[position:])
    whole = "".join(parts)
    return f"{whole.rstrip()}\n{appended}" if appended else whole
