# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POST /v1/completions: the response, or the chunks of a stream."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from .protocol import CompletionRequest
from .service import Answer, Service, event, usage


def _head(service: Service, request: CompletionRequest) -> dict[str, Any]:
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": request.model if len(request.prompts) == 1 else service.served_name,
    }


def _text(service: Service, request: CompletionRequest, answer: Answer) -> str:
    if not request.echo:
        return answer.text
    return service.llm.tokenizer.decode(answer.output.prompt_token_ids, skip_special_tokens=True) + answer.text


def _log_probs(service: Service, answer: Answer, start: int = 0) -> dict[str, Any]:
    [completion] = answer.output.outputs
    found: dict[str, Any] = {"text_offset": [], "token_logprobs": [], "tokens": [], "top_logprobs": []}
    offset = len(_decode(service, completion.token_ids[:start])) if start else 0
    for token, likely in zip(completion.token_ids[start:], completion.logprobs[start:]):
        text = _decode(service, [token])
        found["text_offset"].append(offset)
        found["token_logprobs"].append(likely[token])
        found["tokens"].append(text)
        found["top_logprobs"].append({_decode(service, [other]): value for other, value in likely.items()})
        offset += len(text)
    return found


def _decode(service: Service, ids: Sequence[int]) -> str:
    return service.llm.tokenizer.decode(ids, skip_special_tokens=False)


def response(service: Service, request: CompletionRequest, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        **_head(service, request),
        "choices": [_choice(service, request, answer) for answer in answers],
        "usage": usage(answers),
        "prompt_token_ids": None,
    }


def _choice(service: Service, request: CompletionRequest, answer: Answer) -> dict[str, Any]:
    [completion] = answer.output.outputs
    return {
        "index": answer.index,
        "text": _text(service, request, answer),
        "token_ids": None if request.detokenize else completion.token_ids,
        "logprobs": None if request.logprobs is None else _log_probs(service, answer),
        "context_logits": None,
        "finish_reason": completion.finish_reason,
        "stop_reason": completion.stop_reason,
        "disaggregated_params": None,
    }


async def stream(service: Service, request: CompletionRequest, answers: Sequence[Answer]) -> AsyncIterator[str]:
    head = _head(service, request)
    options = request.stream_options
    counted = options is not None and bool(options.include_usage)
    continuous = counted and options is not None and bool(options.continuous_usage_stats)
    texts, tokens = [0] * len(answers), [0] * len(answers)
    async for answer in service.grown(answers):
        [completion] = answer.output.outputs
        text = _text(service, request, answer)
        choice: dict[str, Any] = {"index": answer.index, "text": text[texts[answer.index] :]}
        if request.logprobs is not None:
            choice["logprobs"] = _log_probs(service, answer, tokens[answer.index])
        if answer.output.finished:
            choice |= {"finish_reason": completion.finish_reason, "stop_reason": completion.stop_reason}
        texts[answer.index], tokens[answer.index] = len(text), len(completion.token_ids)
        yield event({**head, "choices": [choice], **({"usage": usage([answer])} if continuous else {})})
    if counted:
        yield event({**head, "choices": [], "usage": usage(answers)})
    yield "data: [DONE]\n\n"
