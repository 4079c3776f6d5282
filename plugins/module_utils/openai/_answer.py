# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""One answer of a server with the OpenAI API, plain or streamed, and what is wrong with it."""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import dataclass, field
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import (
    CHAT,
    COMPLETIONS,
    OpenAiClient,
    choice_of,
    usage_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import Judgement, judge_answer

# What ends the reasoning of most models. With a parser of another family, it stays in the content.
THOUGHT = "</think>"


@dataclass(frozen=True)
class Request:
    model: str
    prompt: str
    max_tokens: int
    chat: bool = True
    reasoning: bool = False
    parameters: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return CHAT if self.chat else COMPLETIONS

    def body(self) -> dict[str, t.Any]:
        asked: dict[str, t.Any] = (
            {"messages": [{"role": "user", "content": self.prompt}]} if self.chat else {"prompt": self.prompt}
        )
        # Greedy, so that the plain and the streamed answer can be compared.
        return {"model": self.model, "max_tokens": self.max_tokens, "temperature": 0, **asked, **self.parameters}


@dataclass
class Answer:
    parts: list[str]  # the new text of each chunk
    reasoning: str
    finish_reason: str
    usage: dict[str, int]
    latency_seconds: float
    first_token_seconds: float | None

    @property
    def text(self) -> str:
        return "".join(self.parts)

    @property
    def tokens(self) -> int:
        return self.usage.get("completion_tokens", 0)

    @property
    def tokens_per_second(self) -> float | None:
        return round(self.tokens / self.latency_seconds, 2) if self.latency_seconds else None


def ask(client: OpenAiClient, request: Request, stream: bool = False) -> Answer:
    started = time.monotonic()
    first: float | None = None
    parts: list[str] = []
    usage: dict[str, int] = {}
    reasoning = reason = ""
    body = request.body()
    for event in client.stream(request.path, body) if stream else [client.create(request.path, body)]:
        choice = choice_of(event)
        text, thought = _texts(choice)
        if first is None and (text or thought):
            first = time.monotonic() - started
        parts += [text] if text else []
        reasoning += thought
        reason = str(choice.get("finish_reason") or reason)
        usage = usage_of(event) or usage
    return Answer(
        parts=parts,
        reasoning=reasoning,
        finish_reason=reason,
        usage=usage,
        latency_seconds=round(time.monotonic() - started, 3),
        first_token_seconds=round(first, 3) if stream and first is not None else None,
    )


def _texts(choice: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """The content and the reasoning of a message, of a chunk's delta, or of a completion."""
    part = choice.get("message") or choice.get("delta") or choice
    content, thought = (part.get(name) for name in ("content", "reasoning_content"))
    return str(content or part.get("text") or ""), str(thought or part.get("reasoning") or "")


def judge(request: Request, answer: Answer, pattern: str | None = None, min_tokens: int = 1) -> Judgement:
    """Whether it is an answer, the expected one, and counted."""
    fault = _count_fault(request, answer, min_tokens) or _reasoning_fault(request, answer)
    if fault:
        return Judgement(fault)
    return judge_answer(request.prompt, answer.text, answer.finish_reason == "length", pattern)


def _reasoning_fault(request: Request, answer: Answer) -> str:
    if request.reasoning and THOUGHT in answer.text:
        return f"its content has reasoning ({THOUGHT}): the reasoning parser is not the model's"
    if not answer.text.strip() and answer.reasoning.strip():
        hint = "allow more tokens" if request.reasoning else "the server has a reasoning parser that was not expected"
        return f"it has only reasoning and no content: {hint}"
    return ""


def _count_fault(request: Request, answer: Answer, min_tokens: int) -> str:
    usage, limit = answer.usage, int(request.parameters.get("max_tokens", request.max_tokens))
    counts = [usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    if not all(counts) or counts[0] + counts[1] != counts[2]:
        return f"its usage does not add up: {json.dumps(usage, sort_keys=True)}"
    if answer.tokens < min_tokens:
        return f"{answer.tokens} tokens were returned, not {min_tokens} or more"
    if answer.tokens > limit:
        return f"{answer.tokens} tokens were returned, but at most {limit} requested"
    if not answer.finish_reason:
        return "it has no finish_reason"
    return ""


def compare_usage(plain: Answer, streamed: Answer) -> Judgement:
    if plain.usage.get("prompt_tokens") != streamed.usage.get("prompt_tokens"):
        return Judgement(f"the stream's usage differs: plain {plain.usage}, streamed {streamed.usage}")
    return Judgement()


@dataclass(frozen=True)
class Mistake:
    """A request that every version refuses, with the part of the message that all have."""

    name: str
    content: str
    says: str = ""


def mistakes(request: Request, max_seq_len: int) -> list[Mistake]:
    body = request.body()
    found = [
        # The field is named by pydantic in all versions.
        Mistake("an unknown field", json.dumps({**body, "no_such_field": 1}), "no_such_field"),
        Mistake("malformed JSON", json.dumps(body)[:-1]),
    ]
    if max_seq_len:
        # A word is at least one token. Without max_tokens, the message says that there is room for none.
        long = Request(request.model, "word " * max_seq_len, 1, chat=False).body()
        del long["max_tokens"]
        found.append(Mistake("a prompt that is too long", json.dumps(long)))
    return found


def accepted_mistake(client: OpenAiClient, request: Request, max_seq_len: int) -> str:
    """What is wrong with how the server handles mistakes; empty if it refuses them all with a message."""
    for mistake in mistakes(request, max_seq_len):
        path = COMPLETIONS if mistake.name.startswith("a prompt") else request.path
        status, message = client.refusal(path, mistake.content)
        if status != HTTPStatus.BAD_REQUEST:
            return f"{mistake.name} gave status {status}, not {HTTPStatus.BAD_REQUEST.value}: {message[:200]}"
        if not message or mistake.says not in message:
            return f"{mistake.name} was refused without saying so: {message[:200]!r}"
    return ""
