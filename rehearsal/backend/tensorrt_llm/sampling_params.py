# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request's parameters, with the names and defaults of the LLM API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from trtllm_cpu.guiding import Grammar
from trtllm_cpu.sampling import Sampling
from trtllm_cpu.tokenizer import Tokenizer


@dataclass
class SamplingParams:
    max_tokens: int = 32
    min_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    bad: str | Sequence[str] | None = None
    embedding_bias: np.ndarray | None = None
    logprobs: int | None = None
    guided_decoding: Grammar | None = None
    end_id: int | None = None
    ignore_eos: bool = False
    best_of: int = 1
    n: int = 1
    exclude_input_from_output: bool = True
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    add_special_tokens: bool = True

    def __post_init__(self) -> None:
        problems = [*self._problems()]
        if problems:
            raise ValueError("; ".join(problems))

    def _problems(self) -> Iterator[str]:
        if self.top_p is not None and not 0 <= self.top_p <= 1:
            yield f"require 0 <= top_p <= 1, got top_p={self.top_p}"
        if self.top_k is not None and self.top_k < 0:
            yield f"require top_k >= 0, got top_k={self.top_k}"
        if self.temperature is not None and self.temperature < 0:
            yield f"require temperature >= 0, got temperature={self.temperature}"
        for name in ("best_of", "n"):
            if getattr(self, name) != 1:
                yield f"{name} is {getattr(self, name)}, but this build samples one sequence of a request"

    @property
    def _draws(self) -> bool:
        return any(value is not None for value in (self.temperature, self.top_k, self.top_p))

    @property
    def is_greedy(self) -> bool:
        return not self._draws or self.temperature == 0 or self.top_k == 1

    def end_ids(self, known: Sequence[int]) -> list[int]:
        if self.ignore_eos:
            return []
        return list(known) if self.end_id is None else [self.end_id]

    def stop_reasons(self, tokenizer: Tokenizer, known: Sequence[int]) -> dict[tuple[int, ...], str | int]:
        """Tokens that end an answer, with the reason to report; the generator handles the first end id itself."""
        ends = [*self.end_ids(known)[1:], *(self.stop_token_ids or [])]
        words: dict[tuple[int, ...], str | int] = {(token,): token for token in ends}
        for text in _as_list(self.stop):
            ids = tokenizer.encode(text, add_special_tokens=False)
            if ids:
                words[tuple(ids)] = text
        return words

    def as_sampling(self, tokenizer: Tokenizer, known: Sequence[int]) -> Sampling:
        """For the generator: without temperature, top_k and top_p greedy, with any of them sampled."""
        bad = (tokenizer.encode(text, add_special_tokens=False) for text in _as_list(self.bad))
        return Sampling(
            top_k=self.top_k or 0,
            top_p=(self.top_p or 1.0) if self._draws else 0.0,
            min_p=self.min_p or 0.0,
            temperature=1.0 if self.temperature is None else self.temperature,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            min_length=self.min_tokens or 0,
            random_seed=self.seed or 0,
            end_id=next(iter(self.end_ids(known)), -1),
            bad_words=[ids for ids in bad if ids],
            stop_words=[list(ids) for ids in self.stop_reasons(tokenizer, known)],
            bias=self.embedding_bias,
        )


def _as_list(words: str | Sequence[str] | None) -> list[str]:
    if words is None:
        return []
    return [words] if isinstance(words, str) else list(words)
