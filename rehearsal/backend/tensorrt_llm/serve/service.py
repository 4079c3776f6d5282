# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the handlers of requests share: the LLM, the server's settings, and the answers that are under way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tensorrt_llm import LLM, RequestOutput

from .chat_template import read_template, render, special_tokens
from .kv_cache import KvCache
from .metrics import Metrics
from .parsers import Parser
from .protocol import ChatRequest, CompletionRequest
from .sampling import sampling_params
from .versions import Version

POLL_SECONDS = 1.0


@dataclass
class Answer:
    """One sequence: the prompt's number, the choice's number in the response, and the growing output."""

    prompt: int
    index: int
    output: RequestOutput

    @property
    def text(self) -> str:
        """Without a character of which only the first bytes are there."""
        text = self.output.outputs[0].text
        return text if self.output.finished else text.rstrip("\ufffd")


@dataclass
class Service:
    llm: LLM
    version: Version
    arguments: Mapping[str, Any]
    served_name: str
    parser: Parser
    cache: KvCache
    metrics: Metrics
    chat_template: str | None = None
    allows_request_template: bool = True

    def __post_init__(self) -> None:
        folder = Path(self.llm.args.tokenizer or self.llm.args.model)
        self._template = read_template(folder, self.chat_template)
        self._special = special_tokens(folder)

    def chat_prompt(self, request: ChatRequest) -> str | list[int]:
        if request.prompt_token_ids is not None:
            return request.prompt_token_ids
        if request.chat_template is not None and not self.allows_request_template:
            raise ValueError(
                "chat_template in a request is not allowed: start the server with --allow_request_chat_template"
            )
        tools = [tool.model_dump(exclude_none=True) for tool in request.tools or []]
        variables = {
            **self._special,
            "tools": tools or None,
            "documents": request.documents,
            "add_generation_prompt": request.add_generation_prompt,
            **(request.chat_template_kwargs or {}),
        }
        return render(request.chat_template or self._template, request.messages, variables)

    def start(self, request: ChatRequest | CompletionRequest, prompts: Sequence[str | list[int]]) -> list[Answer]:
        """Start every choice of every prompt; all are checked first."""
        answers, tasks = [], []
        for prompt in prompts:
            ids = self._ids(prompt, request)
            params = sampling_params(request, self.llm, self.version, self.arguments, len(ids))
            tasks += [(ids, replace(params, seed=(params.seed or 0) + choice)) for choice in range(request.n)]
        for index, (ids, params) in enumerate(tasks):
            output = self.llm.generate_async(ids, params, streaming=True)
            answers.append(Answer(index // request.n, index, output))
        return answers

    def _ids(self, prompt: str | list[int], request: ChatRequest | CompletionRequest) -> list[int]:
        ids = prompt if isinstance(prompt, list) else self.llm.tokenizer.encode(prompt, request.add_special_tokens)
        return ids[-request.truncate_prompt_tokens :] if request.truncate_prompt_tokens else ids

    async def grown(self, answers: Sequence[Answer]) -> AsyncIterator[Answer]:
        """Every answer after each of its tokens. Answers that are not read to their end are aborted."""
        queue: asyncio.Queue[Answer | Exception] = asyncio.Queue()
        readers = [asyncio.create_task(self._read(answer, queue)) for answer in answers]
        complete: set[int] = set()
        try:
            while len(complete) < len(answers):
                found = await queue.get()
                if isinstance(found, Exception):
                    raise found
                # several tokens may have come before this is read
                if found.index not in complete:
                    complete |= {found.index} if found.output.finished else set()
                    yield found
        finally:
            for reader, answer in zip(readers, answers):
                reader.cancel()
                if not answer.output.finished:
                    answer.output.abort()

    async def _read(self, answer: Answer, queue: asyncio.Queue[Answer | Exception]) -> None:
        output = answer.output
        try:
            self.cache.check(len(output.prompt_token_ids) + output.max_tokens)
            async for _output in output:
                if output.finished:
                    self.metrics.finished(output)
                queue.put_nowait(answer)
        except Exception as error:
            queue.put_nowait(error)

    async def finished(self, answers: Sequence[Answer], http: Request) -> None:
        """Wait for whole answers, unless the client goes away."""

        async def read() -> None:
            async for _answer in self.grown(answers):
                pass

        reading = asyncio.create_task(read())
        while not (await asyncio.wait([reading], timeout=POLL_SECONDS))[0]:
            if await http.is_disconnected():
                reading.cancel()
        await reading


def usage(answers: Sequence[Answer]) -> dict[str, int]:
    prompts = {answer.prompt: len(answer.output.prompt_token_ids) for answer in answers}
    prompt, completion = sum(prompts.values()), sum(len(answer.output.outputs[0].token_ids) for answer in answers)
    return {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}


def event(chunk: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
