# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a token: forbidden tokens, penalties, sampling."""

from __future__ import annotations

import numpy as np
import pytest
from trtllm_cpu.sampling import Sampler, Sampling, candidates, ends_with_any, log_softmax, most_likely, parse_word_list

LOGITS = np.array([0.0, 3.0, 2.0, 1.0, -1.0], np.float32)


def first(sampling: Sampling, tokens: list[int] | None = None, generated: int = 0) -> int:
    return Sampler(sampling).choose(LOGITS, tokens or [], generated)[0]


@pytest.mark.parametrize("changes", [{}, {"top_k": 1, "top_p": 0.9}, {"temperature": 0.0, "top_k": 50}])
def test_greedy_chooses_the_most_likely_token(changes: dict[str, float]) -> None:
    assert first(Sampling(**changes, random_seed=9)) == 1


def test_log_probability_is_that_of_the_chosen_token() -> None:
    _token, log_prob = Sampler(Sampling()).choose(LOGITS, [], 0)
    assert log_prob == pytest.approx(3.0 - np.log(np.exp(LOGITS).sum()))


def test_word_lists_are_read_from_the_backends_layout() -> None:
    array = np.array([[5, 6, 7, 8, 0, 0], [2, 3, 4, -1, -1, -1]], np.int32)
    assert parse_word_list(array) == [[5, 6], [7], [8]]
    assert parse_word_list(np.array([[0], [-1]], np.int32)) == []
    assert parse_word_list(None) == []


def test_a_bad_word_is_banned_before_its_last_token() -> None:
    assert first(Sampling(bad_words=[[1]])) == 2
    assert first(Sampling(bad_words=[[4, 1]]), [0, 4]) == 2
    assert first(Sampling(bad_words=[[4, 1]]), [4, 0]) == 1


def test_a_stop_word_must_be_at_the_end() -> None:
    assert ends_with_any([1, 2, 3], [[9], [2, 3]])
    assert not ends_with_any([1, 2, 3], [[1, 2]])
    assert not ends_with_any([3], [[2, 3]])


def test_the_end_token_waits_for_the_minimum_length() -> None:
    assert first(Sampling(end_id=1, min_length=2), generated=1) == 2
    assert first(Sampling(end_id=1, min_length=2), generated=2) == 1


def test_penalties_lower_repeated_tokens() -> None:
    assert first(Sampling(repetition_penalty=2.0), [1]) == 2
    assert first(Sampling(presence_penalty=1.5), [1, 1]) == 2
    assert first(Sampling(frequency_penalty=0.6), [1]) == 1
    assert first(Sampling(frequency_penalty=0.6), [1, 1]) == 2


def test_a_bias_raises_a_token() -> None:
    assert first(Sampling(bias=np.array([0, 0, 0, 0, 10], np.float32))) == 4


def test_candidates_are_the_top_k_and_the_nucleus() -> None:
    log_probs = log_softmax(np.log(np.array([0.1, 0.4, 0.3, 0.2], np.float32)))
    assert candidates(log_probs, 2, 1.0).tolist() == [1, 2]
    assert candidates(log_probs, 0, 0.6).tolist() == [1, 2]
    assert candidates(log_probs, 0, 0.75).tolist() == [1, 2, 3]
    assert candidates(log_probs, 10, 0.0).tolist() == [1, 2, 3, 0]


def test_unlikely_candidates_are_left_out() -> None:
    log_probs = log_softmax(LOGITS)
    assert candidates(log_probs, 0, 1.0, min_p=0.3).tolist() == [1, 2]
    assert candidates(log_probs, 0, 1.0, min_p=1.0).tolist() == [1]


def test_the_most_likely_tokens_include_the_chosen_one() -> None:
    forbidden = np.where(np.arange(5) == 4, -np.inf, LOGITS)
    log_probs = log_softmax(forbidden)
    assert most_likely(forbidden, 0, 3) == pytest.approx({3: log_probs[3]})
    assert most_likely(forbidden, 2, 3) == pytest.approx({token: log_probs[token] for token in (3, 1, 2)})
    assert 4 not in most_likely(forbidden, 5, 1)


def test_sampling_follows_the_seed_and_the_distribution() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(top_k=2, random_seed=seed))
        return [sampler.choose(LOGITS, [], 0)[0] for _draw in range(400)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert set(draws(1)) == {1, 2}
    # e^3 compared with e^2
    assert draws(1).count(1) / 400 == pytest.approx(np.e / (1 + np.e), abs=0.07)
