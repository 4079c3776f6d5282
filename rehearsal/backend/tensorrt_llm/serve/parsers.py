# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a model's text: reasoning, an answer and calls of tools. All parsers take a growing text."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

# Whether an answer begins with reasoning that has no opening tag.
REASONING = {"deepseek-r1": True, "nano-v3": True, "qwen3": False}
TOOLS = ("qwen3",)
OPEN, CLOSE = "<think>", "</think>"
CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
CALL_BEGINS = "<tool_call>"


@dataclass
class Parts:
    reasoning: str = ""
    content: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Parser:
    """The parsers of a server; None where there is none."""

    reasoning: str | None = None
    tools: str | None = None

    def __post_init__(self) -> None:
        for option, name, known in (
            ("--reasoning_parser", self.reasoning, tuple(REASONING)),
            ("--tool_parser", self.tools, TOOLS),
        ):
            if name is not None and name not in known:
                raise ValueError(f"{option} {name} cannot be honoured here: only {', '.join(known)} are there")

    def parse(self, text: str, with_tools: bool, finished: bool) -> Parts:
        """The parts of a text. While it grows, what may be the beginning of a tag is in none of them."""
        reasoning, content = self._split(text, finished)
        if not (with_tools and self.tools):
            return Parts(reasoning, content)
        calls = [call for found in CALL.findall(content) if (call := _call(found))]
        before = _before(content, CALL_BEGINS, finished)
        return Parts(reasoning, before.rstrip() if calls else before, calls)

    def _split(self, text: str, finished: bool) -> tuple[str, str]:
        if self.reasoning is None:
            return "", text
        begins = text.startswith(OPEN) or REASONING[self.reasoning]
        if not begins:
            return "", "" if OPEN.startswith(text) and not finished else text
        text = text.removeprefix(OPEN)
        reasoning, tag, content = text.partition(CLOSE)
        return (reasoning, content) if tag else (_before(text, CLOSE, finished), "")


def _before(text: str, tag: str, finished: bool) -> str:
    """The text before a tag, or before what may become one."""
    text, found, _rest = text.partition(tag)
    if found or finished:
        return text
    size = next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
    return text[: len(text) - size]


def _call(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
        name, arguments = found["name"], found.get("arguments", {})
    except (ValueError, KeyError, TypeError):
        return None
    return {
        "id": f"chatcmpl-tool-{uuid.uuid4().hex}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
    }
