# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POST /v1/chat/completions: the response, or the chunks of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .parsers import Parts
from .protocol import ChatRequest
from .service import Answer, Service, event, usage


def _head(request: ChatRequest, kind: str) -> dict[str, Any]:
    # the name of the model is not compared with the served one: the answer repeats the request's
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
    }


def _parts(service: Service, request: ChatRequest, answer: Answer) -> Parts:
    with_tools = bool(request.tools) and request.tool_choice != "none"
    return service.parser.parse(answer.text, with_tools, answer.output.finished)


def _finish_reason(answer: Answer, parts: Parts) -> str | None:
    reason = answer.output.outputs[0].finish_reason
    return "tool_calls" if reason == "stop" and parts.calls else reason


def _log_probs(service: Service, answer: Answer, start: int = 0) -> dict[str, Any]:
    [completion] = answer.output.outputs
    rows = zip(completion.token_ids[start:], completion.logprobs[start:])
    return {"content": [_log_prob_row(service, token, likely) for token, likely in rows]}


def _log_prob_row(service: Service, token: int, likely: Mapping[int, float]) -> dict[str, Any]:
    others = sorted(likely.items(), key=lambda item: -item[1])
    top = [_log_prob(service, other, value) for other, value in others] if len(likely) > 1 else []
    return {**_log_prob(service, token, likely[token]), "top_logprobs": top}


def _log_prob(service: Service, token: int, value: float) -> dict[str, Any]:
    text = service.llm.tokenizer.decode([token], skip_special_tokens=False)
    return {"token": text, "logprob": value, "bytes": list(text.encode())}


def response(service: Service, request: ChatRequest, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        **_head(request, "chat.completion"),
        "choices": [_choice(service, request, answer) for answer in answers],
        "usage": usage(answers),
        "prompt_token_ids": None,
    }


def _choice(service: Service, request: ChatRequest, answer: Answer) -> dict[str, Any]:
    parts = _parts(service, request, answer)
    return {
        "index": answer.index,
        "message": {
            "role": "assistant",
            "content": parts.content,
            "reasoning_content": parts.reasoning or None,
            "tool_calls": parts.calls,
        },
        "logprobs": _log_probs(service, answer) if request.logprobs else None,
        "finish_reason": _finish_reason(answer, parts),
        "stop_reason": answer.output.outputs[0].stop_reason,
        "disaggregated_params": None,
    }


@dataclass
class Sent:
    """How much of an answer the client has."""

    reasoning: int = 0
    content: int = 0
    calls: int = 0
    tokens: int = 0


async def stream(service: Service, request: ChatRequest, answers: Sequence[Answer]) -> AsyncIterator[str]:
    """The first chunk of every choice has the role."""
    head = _head(request, "chat.completion.chunk")
    options = request.stream_options
    counted = options is not None and bool(options.include_usage)
    continuous = counted and options is not None and bool(options.continuous_usage_stats)
    sent = [Sent() for _answer in answers]
    for answer in answers:
        first = {"index": answer.index, "delta": {"role": "assistant", "content": ""}}
        yield event({**head, "choices": [first], **({"usage": usage([answer])} if continuous else {})})
    async for answer in service.grown(answers):
        choice = _stream_choice(service, request, answer, sent[answer.index])
        yield event({**head, "choices": [choice], **({"usage": usage([answer])} if continuous else {})})
    if counted:
        yield event({**head, "choices": [], "usage": usage(answers)})
    yield "data: [DONE]\n\n"


def _stream_choice(service: Service, request: ChatRequest, answer: Answer, sent: Sent) -> dict[str, Any]:
    parts = _parts(service, request, answer)
    delta: dict[str, Any] = {}
    if len(parts.reasoning) > sent.reasoning:
        delta["reasoning_content"] = parts.reasoning[sent.reasoning :]
    if len(parts.content) > sent.content or not parts.reasoning:
        delta["content"] = parts.content[sent.content :]
    if len(parts.calls) > sent.calls:
        delta["tool_calls"] = [
            {"index": number, **call} for number, call in enumerate(parts.calls) if number >= sent.calls
        ]
    choice: dict[str, Any] = {"index": answer.index, "delta": delta}
    if request.logprobs:
        choice["logprobs"] = _log_probs(service, answer, sent.tokens)
    if answer.output.finished:
        choice["finish_reason"] = _finish_reason(answer, parts)
        choice["stop_reason"] = answer.output.outputs[0].stop_reason
    sent.reasoning, sent.content, sent.calls = len(parts.reasoning), len(parts.content), len(parts.calls)
    sent.tokens = len(answer.output.outputs[0].token_ids)
    return choice
