# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the next token from a row of logits, with the request's sampling parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

WordList = list[list[int]]


@dataclass
class Sampling:
    """A request's parameters, named like the backend's inputs. Zero or missing top_k and top_p mean greedy."""

    top_k: int = 0
    top_p: float = 0.0
    min_p: float = 0.0
    temperature: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    min_length: int = 0
    random_seed: int = 0
    end_id: int = -1
    bad_words: WordList = field(default_factory=list)
    stop_words: WordList = field(default_factory=list)
    bias: np.ndarray | None = None

    @property
    def is_greedy(self) -> bool:
        return self.temperature <= 0.0 or self.top_k == 1 or (self.top_k <= 0 and not 0.0 < self.top_p <= 1.0)


class Sampler:
    """Chooses the tokens of one sequence."""

    def __init__(self, sampling: Sampling):
        self._sampling = sampling
        self._random = np.random.Generator(np.random.PCG64(sampling.random_seed))

    def choose(self, logits: np.ndarray, tokens: Sequence[int], generated: int) -> tuple[int, float]:
        """The next token after `tokens` (prompt and generated tokens), and its log probability."""
        scores = adjust(logits, tokens, generated, self._sampling)
        log_probs = log_softmax(scores)
        token = int(np.argmax(scores)) if self._sampling.is_greedy else self._draw(log_probs)
        return token, float(log_probs[token])

    def _draw(self, log_probs: np.ndarray) -> int:
        ids = candidates(log_probs, self._sampling.top_k, self._sampling.top_p, self._sampling.min_p)
        weights = np.exp(log_probs[ids].astype(np.float64))
        edges = np.cumsum(weights)
        place = int(np.searchsorted(edges, self._random.random() * edges[-1], side="right"))
        return int(ids[min(place, len(ids) - 1)])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max()
    return shifted - np.log(np.exp(shifted).sum())


def candidates(log_probs: np.ndarray, top_k: int, top_p: float, min_p: float = 0.0) -> np.ndarray:
    """Ids that may be sampled, most likely first: the top k, of these the fewest that reach `top_p` together.

    Ids with less than `min_p` times the probability of the first are left out.
    """
    count = min(top_k, len(log_probs)) if top_k > 0 else len(log_probs)
    # a stable sort keeps equal scores in the order of their ids, so sampling is reproducible
    ids = np.argsort(-log_probs, kind="stable")[:count]
    if 0.0 < top_p < 1.0:
        probabilities = np.exp(log_probs[ids])
        held = np.cumsum(probabilities) / probabilities.sum()
        ids = ids[: int(np.searchsorted(held, top_p)) + 1]
    if min_p > 0.0:
        ids = ids[np.exp(log_probs[ids] - log_probs[ids[0]]) >= min_p]
    return ids


def most_likely(logits: np.ndarray, count: int, chosen: int) -> dict[int, float]:
    """The log probabilities of the chosen token and of the `count` most likely ones."""
    log_probs = log_softmax(logits)
    ids = [chosen, *candidates(log_probs, count, 1.0)] if count else [chosen]
    return {int(token): float(log_probs[token]) for token in ids if np.isfinite(log_probs[token])}


def adjust(logits: np.ndarray, tokens: Sequence[int], generated: int, sampling: Sampling) -> np.ndarray:
    """Temperature, bias, penalties and forbidden tokens applied to a copy of the logits."""
    scores = logits.astype(np.float32, copy=True)
    if sampling.bias is not None:
        scores[: len(sampling.bias)] += sampling.bias
    if sampling.temperature > 0.0:
        scores /= np.float32(sampling.temperature)
    _penalise(scores, tokens, sampling)
    if generated < sampling.min_length and 0 <= sampling.end_id < len(scores):
        scores[sampling.end_id] = -np.inf
    for token in banned(tokens, sampling.bad_words):
        if token < len(scores):
            scores[token] = -np.inf
    return scores


def _penalise(scores: np.ndarray, tokens: Sequence[int], sampling: Sampling) -> None:
    penalties = (sampling.repetition_penalty, sampling.presence_penalty, sampling.frequency_penalty)
    if penalties == (1.0, 0.0, 0.0):
        return
    ids, counts = np.unique(np.asarray(tokens, np.int64), return_counts=True)
    seen = scores[ids]
    seen = np.where(seen > 0, seen / sampling.repetition_penalty, seen * sampling.repetition_penalty)
    scores[ids] = seen - sampling.presence_penalty - sampling.frequency_penalty * counts


def parse_word_list(array: np.ndarray | None) -> WordList:
    """The backend's [2, n] layout: all ids, and the end of each word; the second row is padded with -1."""
    if array is None or array.size == 0:
        return []
    ids, ends = array.reshape(2, -1).tolist()
    words, start = [], 0
    for end in ends:
        if end < 0:
            break
        if end > start:
            words.append(ids[start:end])
        start = end
    return words


def banned(tokens: Sequence[int], words: WordList) -> Iterator[int]:
    """Tokens that would complete a bad word."""
    for word in words:
        head = word[:-1]
        if not head or list(tokens[-len(head) :]) == head:
            yield word[-1]


def ends_with_any(tokens: Sequence[int], words: WordList) -> bool:
    return any(list(tokens[-len(word) :]) == word for word in words)
