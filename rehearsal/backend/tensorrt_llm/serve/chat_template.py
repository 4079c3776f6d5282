# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prompt of a chat: the model's chat template, rendered in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

NO_TEMPLATE = (
    "Cannot use chat template functions because tokenizer.chat_template is not set and no template argument was passed"
)
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def read_template(folder: Path, given: str | None) -> str | None:
    """The template given on the command line, as a file or as text, or the one of the tokenizer."""
    if given is not None:
        return Path(given).read_text(encoding="utf-8") if Path(given).is_file() else given
    separate = folder / "chat_template.jinja"
    if separate.is_file():
        return separate.read_text(encoding="utf-8")
    found: str | None = _read(folder / "tokenizer_config.json").get("chat_template")
    return found


def special_tokens(folder: Path) -> dict[str, str]:
    """The texts of special tokens, which templates use."""
    config = _read(folder / "tokenizer_config.json")
    tokens = {name: config[name] for name in SPECIAL if config.get(name)}
    return {name: token["content"] if isinstance(token, dict) else token for name, token in tokens.items()}


def render(template: str | None, messages: Sequence[Mapping[str, Any]], variables: Mapping[str, Any]) -> str:
    if template is None:
        raise ValueError(NO_TEMPLATE)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template).render(messages=[*map(_message, messages)], **variables)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with its content as one text."""
    if "role" not in message:
        raise ValueError("a message has no role")
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(map(_part, content))
    return {**message, "content": content}


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if part.get("type") != "text":
        raise ValueError(f"content of type {part.get('type')} needs a multimodal model")
    return str(part["text"])


def _raise(text: str) -> NoReturn:
    raise TemplateError(text)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
