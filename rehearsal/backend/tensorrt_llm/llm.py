# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LLM(): serves a Hugging Face folder directly from its weights, without a checkpoint or an engine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from trtllm_cpu.generation import Limits, RequestError, Update
from trtllm_cpu.tokenizer import Tokenizer

from .executor import Executor, InProcess, Job, Task
from .llm_args import LlmArgs
from .sampling_params import SamplingParams

# The default of the LLM API's KV cache.
TOKENS_PER_BLOCK = 32


@dataclass
class CompletionOutput:
    index: int = 0
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float = 0.0
    # for each token, if the request wants them: its log probability and those of the most likely tokens
    logprobs: list[dict[int, float]] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class RequestOutput:
    """The output of a request so far; iterating waits for the next token of a stream, or for the whole answer."""

    def __init__(self, llm: LLM, prompt: str | Sequence[int], params: SamplingParams, streaming: bool):
        self.prompt = prompt if isinstance(prompt, str) else None
        self.prompt_token_ids = (
            llm.tokenizer.encode(prompt, params.add_special_tokens) if isinstance(prompt, str) else list(prompt)
        )
        self.outputs = [CompletionOutput()]
        self.finished = False
        self.queue_seconds = 0.0
        self.max_tokens = params.max_tokens
        self._params = params
        self._tokenizer = llm.tokenizer
        self._streaming = streaming
        self._arrived = self._first_token = time.monotonic_ns()
        self._stop_reasons = params.stop_reasons(llm.tokenizer, llm.end_ids)
        self._loop = asyncio.get_running_loop()
        self._updates: asyncio.Queue[Update] = asyncio.Queue()

    def begin(self, executor: Executor, task: Task) -> None:
        self._cancel = executor.submit(task, self.add)

    def abort(self) -> None:
        self._cancel()

    def perf_metrics(self) -> dict[str, float]:
        """Requests never share blocks of the KV cache here, and there are no draft tokens."""
        prompt_blocks = -(-len(self.prompt_token_ids) // TOKENS_PER_BLOCK)
        return {
            "kv_cache_reused_block": 0,
            "kv_cache_hit_rate": 0.0,
            "kv_cache_alloc_new_blocks": prompt_blocks,
            "kv_cache_alloc_total_blocks": prompt_blocks,
            "kv_cache_missed_block": prompt_blocks,
            "arrival_time_ns": self._arrived,
            "first_scheduled_time_ns": self._arrived + int(self.queue_seconds * 1e9),
            "first_token_time_ns": self._first_token,
            "last_token_time_ns": time.monotonic_ns(),
            "acceptance_rate": 0.0,
            "total_accepted_draft_tokens": 0,
            "total_draft_tokens": 0,
        }

    def add(self, update: Update) -> None:
        """Called by the generating thread."""
        self._loop.call_soon_threadsafe(self._updates.put_nowait, update)

    async def __aiter__(self) -> AsyncIterator[RequestOutput]:
        while not self.finished:
            self._take(await self._updates.get())
            if self._streaming or self.finished:
                yield self

    def _take(self, update: Update) -> None:
        if update.error is not None:
            raise RequestError(update.error)
        output = self.outputs[0]
        if not output.token_ids:
            self._first_token = time.monotonic_ns()
        output.token_ids += update.tokens
        output.cumulative_logprob += sum(update.log_probs)
        output.logprobs += update.most_likely
        self.queue_seconds = update.queue_seconds
        self.finished = update.finished
        if update.finished:
            self._finish(output, ended=not update.tokens)
        if self._streaming or self.finished:
            output.text = self._text(output.token_ids)

    def _finish(self, output: CompletionOutput, ended: bool) -> None:
        """Set the finish reason, and remove a stop word from the end."""
        output.finish_reason = "stop" if ended else "length"
        for ids, reason in self._stop_reasons.items():
            if tuple(output.token_ids[-len(ids) :]) == ids:
                output.finish_reason, output.stop_reason = "stop", reason
                if not self._params.include_stop_str_in_output:
                    del output.token_ids[-len(ids) :], output.logprobs[-len(ids) :]
                return

    def _text(self, ids: list[int]) -> str:
        # a stream never contains the prompt, even if the request wants it
        repeated = [] if self._streaming or self._params.exclude_input_from_output else self.prompt_token_ids
        return self._tokenizer.decode(repeated + ids, self._params.skip_special_tokens)


class LLM:
    """`start` starts what computes, and `cut` is the division into ranks, which only worker processes can have."""

    def __init__(
        self,
        model: str | Path,
        tokenizer: str | Path | None = None,
        start: Callable[[Job], Executor] = InProcess.of,
        cut: Cut | None = None,
        **kwargs: Any,
    ):
        self.args = LlmArgs.of({"model": model, "tokenizer": tokenizer, **kwargs})
        folder = Path(self.args.model)
        tokenizer_folder = str(self.args.tokenizer or folder)
        self.tokenizer = Tokenizer(tokenizer_folder)
        self.end_ids = _end_ids(folder, self.tokenizer)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.vocab_size = config["vocab_size"]
        self.max_seq_len = self.args.max_seq_len or config["max_position_embeddings"]
        limits = Limits(self.max_seq_len, self.args.max_num_tokens, self.args.max_batch_size)
        tokenizer_file = f"{tokenizer_folder}/tokenizer.json"
        self.executor = start(Job(str(folder), self.args.dtype, cut or Cut(), limits, tokenizer_file, self.end_ids))

    def generate_async(
        self,
        inputs: str | Sequence[int],
        sampling_params: SamplingParams | None = None,
        streaming: bool = False,
    ) -> RequestOutput:
        """Must be called in a running event loop, which receives the answer."""
        params = sampling_params or SamplingParams()
        result = RequestOutput(self, inputs, params, streaming)
        sampling = params.as_sampling(self.tokenizer, self.end_ids)
        result.begin(
            self.executor,
            Task(result.prompt_token_ids, params.max_tokens, sampling, params.logprobs, params.guided_decoding),
        )
        return result

    def shutdown(self) -> None:
        self.executor.close()


def _end_ids(folder: Path, tokenizer: Tokenizer) -> list[int]:
    """The tokenizer's end token, followed by those that only generation_config.json lists."""
    path = folder / "generation_config.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
    ids = [tokenizer.end_id, *(named if isinstance(named, list) else [named])]
    return list(dict.fromkeys(token for token in ids if token is not None and token >= 0))
