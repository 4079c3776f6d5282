# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tensors of a Triton request to the tensorrt_llm model, and of the responses to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import triton_python_backend_utils as pb_utils

from . import log
from .generation import Update
from .metrics import blocks
from .sampling import Sampling, parse_word_list

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
# Additional outputs that a request may ask for.
EXTRAS = ("return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens")
NEW_BLOCKS = ("kv_cache_alloc_new_blocks", "kv_cache_alloc_total_blocks")
NO_BLOCKS_OR_DRAFTS = ("kv_cache_reused_blocks", "total_accepted_draft_tokens", "total_draft_tokens")

Scalar = TypeVar("Scalar", int, float, bool)


class InputError(ValueError):
    """The tensors are no request for the executor. The answer has only this text."""


@dataclass(frozen=True)
class Place:
    """A sequence's place in the answer: its row of the batch, and its number among those that continue the row."""

    row: int = 0
    rows: int = 1
    number: int = 0
    numbers: int = 1


class Inputs:
    """The input tensors of a request, with upstream's defaults for missing ones."""

    def __init__(self, request: Any):
        self._request = request

    def array(self, name: str) -> np.ndarray | None:
        tensor = pb_utils.get_input_tensor_by_name(self._request, name)
        return None if tensor is None else tensor.as_numpy()

    def row(self, name: str, index: int) -> np.ndarray | None:
        array = self.array(name)
        return None if array is None or array.size == 0 else array[index]

    def scalar(self, name: str, index: int, default: Scalar) -> Scalar:
        row = self.row(name, index)
        return default if row is None else type(default)(row.reshape(-1)[0])

    def renamed(self, name: str, old_name: str, index: int, default: Scalar) -> Scalar:
        """An input with another name in older versions."""
        return self.scalar(old_name if self.array(name) is None else name, index, default)

    @property
    def batch_size(self) -> int:
        array = self.array("input_ids")
        if array is None:
            raise InputError("input_ids or encoder_input_features is not present in the request.")
        return len(array)

    def prompt(self, index: int) -> list[int]:
        ids = self.row("input_ids", index)
        length = self.scalar("input_lengths", index, 0)
        return [] if ids is None else ids[:length].tolist()

    def sampling(self, place: Place) -> Sampling:
        index = place.row
        bias = self.row("embedding_bias", index)
        sampling = Sampling(
            top_k=self.scalar("runtime_top_k", index, 0),
            top_p=self.scalar("runtime_top_p", index, 0.0),
            temperature=self.scalar("temperature", index, 1.0),
            repetition_penalty=self.scalar("repetition_penalty", index, 1.0),
            presence_penalty=self.scalar("presence_penalty", index, 0.0),
            frequency_penalty=self.scalar("frequency_penalty", index, 0.0),
            min_length=self.renamed("min_tokens", "min_length", index, 0),
            random_seed=self.renamed("seed", "random_seed", index, 0),
            end_id=self.scalar("end_id", index, -1),
            bad_words=parse_word_list(self.row("bad_words_list", index)),
            stop_words=parse_word_list(self.row("stop_words_list", index)),
            # the tensors of a request are freed when execute() returns
            bias=None if bias is None else bias.copy(),
        )
        return replace(sampling, random_seed=sampling.random_seed + place.number)


class Exchange:
    """The responses to a Triton request. The last response of the last sequence is the final one."""

    def __init__(self, sender: Any, request_id: str, sequences: int):
        self.request_id = request_id
        # sequences without a last response
        self.open = sequences
        self.stopped = False
        self._sender = sender
        self._lock = threading.Lock()

    def is_cancelled(self) -> bool:
        return self.stopped or bool(self._sender.is_cancelled())

    def send(self, response: Any, is_last: bool) -> bool:
        """Send a sequence's response, and tell whether it is the final one."""
        with self._lock:
            self.open -= is_last
            is_final = self.open == 0
            self._sender.send(response, flags=FINAL if is_final else 0)
        return is_final

    def fail(self, text: str) -> None:
        log.runtime("ERROR", text)
        self.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(text)), is_last=True)


@dataclass(frozen=True)
class Wishes:
    """What a sequence's responses contain."""

    streaming: bool
    prompt: bool
    log_probs: bool
    context_logits: bool
    generation_logits: bool
    extras: tuple[str, ...]

    @classmethod
    def of(cls, inputs: Inputs, row: int, excludes_prompt: bool) -> Wishes:
        def wants(name: str) -> bool:
            return inputs.scalar(name, row, False)

        streaming = inputs.scalar("streaming", 0, False)
        return cls(
            streaming=streaming,
            prompt=not streaming and not inputs.scalar("exclude_input_in_output", row, excludes_prompt),
            log_probs=wants("return_log_probs"),
            context_logits=wants("return_context_logits"),
            generation_logits=wants("return_generation_logits"),
            extras=tuple(name for name in EXTRAS if wants(name)),
        )


@dataclass(frozen=True)
class Format:
    """What the version, the engine and the template say about responses."""

    serving: Mapping[str, Any]
    logits_dtype: Any
    vocab: int
    tokens_per_block: int

    def executor_error(self, request_id: int, error: str) -> str:
        text: str = self.serving["executor_error"]
        return text.format(id=request_id, error=error)


class Reply:
    """Collects the output of a sequence and sends it, each token immediately or everything at the end."""

    def __init__(
        self,
        exchange: Exchange,
        place: Place,
        prompt: list[int],
        wishes: Wishes,
        form: Format,
        request_id: int,
        on_end: Callable[[int, int], None],
    ):
        self._exchange = exchange
        self._place = place
        self._wishes = wishes
        self._form = form
        self._prompt_tokens = len(prompt)
        self._prompt = prompt if wishes.prompt else []
        self._arrived = self._first_token = time.monotonic_ns()
        self._generated = 0
        self._cum_log_prob = 0.0
        self._sent_log_probs: list[float] = []
        self._pending = Update()
        self._context_logits: list[np.ndarray] = []
        self._request_id = request_id
        self._on_end = on_end

    def add_context_logits(self, logits: np.ndarray) -> None:
        self._context_logits.append(logits)

    def on_update(self, update: Update) -> None:
        if update.error is not None and not self._exchange.stopped:
            self._exchange.fail(self._form.executor_error(self._request_id, update.error))
            return
        if self._generated == 0:
            self._first_token = time.monotonic_ns()
        self._generated += len(update.tokens)
        self._pending.tokens += update.tokens
        self._pending.log_probs += update.log_probs
        self._cum_log_prob += sum(update.log_probs)
        if self._wishes.generation_logits:
            self._pending.logits += update.logits
        if self._wishes.streaming or update.finished:
            response = pb_utils.InferenceResponse(output_tensors=self._tensors(self._pending))
            self._pending = Update()
            if self._exchange.send(response, is_last=update.finished):
                self._on_end(self._prompt_tokens, self._generated)

    def _tensors(self, update: Update) -> list[Any]:
        ids = self._prompt + update.tokens
        arrays = {
            "output_ids": np.array(ids, np.int32)[None, None],
            "sequence_length": np.array([[len(ids)]], np.int32),
            **self._log_probs(update.log_probs),
            **self._logits(update.logits),
        }
        if self._place.rows > 1:
            arrays["batch_index"] = np.array([[self._place.row]], np.int32)
        if self._place.numbers > 1:
            arrays["sequence_index"] = np.array([[self._place.number]], np.int32)
        for name in self._wishes.extras:
            arrays |= {output: np.full((1, 1), value) for output, value in self._extras(name, len(ids)).items()}
        return [pb_utils.Tensor(name, array) for name, array in arrays.items()]

    def _log_probs(self, new: list[float]) -> dict[str, np.ndarray]:
        if not self._wishes.log_probs:
            if not self._form.serving["sends_what_nobody_asked_for"]:
                return {}
            zeros = np.zeros((1, 1, len(new)), np.float32)
            return {"cum_log_probs": np.zeros((1, 1), np.float32), "output_log_probs": zeros}
        if self._form.serving["log_probs_of_a_stream"] == "all":
            new = self._sent_log_probs = self._sent_log_probs + new
        return {
            "cum_log_probs": np.array([[self._cum_log_prob]], np.float32),
            "output_log_probs": np.array(new, np.float32)[None, None],
        }

    def _logits(self, generated: list[np.ndarray]) -> dict[str, np.ndarray]:
        arrays = {}
        if self._context_logits:
            arrays["context_logits"] = np.concatenate(self._context_logits)[None]
        if self._wishes.generation_logits:
            rows = np.stack(generated) if generated else np.zeros((0, self._form.vocab))
            # in a stream, the steps come before the beams
            arrays["generation_logits"] = rows[None, :, None] if self._wishes.streaming else rows[None, None]
        if self._form.serving["sends_what_nobody_asked_for"]:
            arrays = {"context_logits": np.zeros((1, 1, 1)), "generation_logits": np.zeros((1, 1, 1, 1)), **arrays}
        return {name: array.astype(self._form.logits_dtype) for name, array in arrays.items()}

    def _extras(self, name: str, sent_tokens: int) -> dict[str, np.generic]:
        if name == "return_num_input_tokens":
            return {"num_input_tokens": np.int32(self._prompt_tokens)}
        if name == "return_num_output_tokens":
            # of this response, with the prompt if it is repeated
            return {"num_output_tokens": np.int32(sent_tokens)}
        # requests never share blocks here, and there are no draft tokens
        return {
            **dict.fromkeys(NEW_BLOCKS, np.int32(blocks(self._prompt_tokens, self._form.tokens_per_block))),
            **dict.fromkeys(NO_BLOCKS_OR_DRAFTS, np.int32(0)),
            "acceptance_rate": np.float32(0),
            "arrival_time_ns": np.int64(self._arrived),
            "first_scheduled_time_ns": np.int64(self._arrived),
            "first_token_time_ns": np.int64(self._first_token),
            "last_token_time_ns": np.int64(time.monotonic_ns()),
        }
