# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In-flight batching with a tiny random network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trtllm_cpu.engine import read_config, read_weights
from trtllm_cpu.generation import Generator, Limits, Request, RequestError, Step, Update
from trtllm_cpu.network import Chunk, Llama
from trtllm_cpu.sampling import Sampling
from trtllm_cpu.tools import convert_checkpoint, trtllm_build

LIMITS = Limits(max_seq_len=32, max_num_tokens=16, max_batch_size=2)
PROMPT = [3, 41, 7]


@pytest.fixture
def network(snapshot: Callable[..., Path], tmp_path: Path) -> Llama:
    convert_checkpoint(["--model_dir", str(snapshot()), "--output_dir", str(tmp_path / "ck")])
    trtllm_build(["--checkpoint_dir", str(tmp_path / "ck"), "--output_dir", str(tmp_path / "en")])
    return Llama(read_config(tmp_path / "en")["pretrained_config"], read_weights(tmp_path / "en", 0))


class Collector:
    """A request and its updates."""

    def __init__(self, prompt: list[int], count: int, **options: Any):
        self.updates: list[Update] = []
        self.cancelled = False
        self.finished = threading.Event()
        self.request = Request(
            prompt, count, Sampling(**options), on_update=self._add, is_cancelled=lambda: self.cancelled
        )

    def _add(self, update: Update) -> None:
        self.updates.append(update)
        if update.finished:
            self.finished.set()

    @property
    def tokens(self) -> list[int]:
        return [token for update in self.updates for token in update.tokens]


def run(network: Llama, *collectors: Collector) -> None:
    generator = Generator(network, LIMITS)
    for collector in collectors:
        generator.submit(collector.request)
    for _step in range(200):
        # another step after all have finished, in which the network forgets the last of them
        finished = all(collector.finished.is_set() for collector in collectors)
        generator.step()
        if finished:
            return
    raise AssertionError("not finished after 200 steps")


def complete(network: Llama, prompt: list[int], count: int, **options: Any) -> Collector:
    collector = Collector(prompt, count, **options)
    run(network, collector)
    return collector


def greedy(network: Llama, prompt: list[int], count: int) -> list[int]:
    """The same result, calculated by running the whole text for every token."""
    tokens = list(prompt)
    for _step in range(count):
        [logits] = network.step([Chunk(-1, tokens)])
        network.step([], forgotten=[-1])
        tokens.append(int(logits.argmax()))
    return tokens[len(prompt) :]


@pytest.mark.parametrize(
    ("build", "longest_prompt", "longest"),
    [
        ({"max_input_len": 1024, "max_seq_len": 2048, "max_num_tokens": 8192}, 2047, 2048),
        ({"max_input_len": 1024, "max_seq_len": 2048, "max_num_tokens": 512}, 512, 2048),
        ({"max_input_len": 1024, "max_output_len": 512, "max_num_tokens": 8192}, 1024, 1536),
    ],
)
def test_limits_are_read_from_engines_of_all_versions(build: dict[str, int], longest_prompt: int, longest: int) -> None:
    limits = Limits.of({**build, "max_batch_size": 4})
    assert (limits.max_input_len, limits.max_seq_len, limits.max_batch_size) == (longest_prompt, longest, 4)


def test_each_token_is_one_update(network: Llama) -> None:
    result = complete(network, PROMPT, 6)
    assert result.tokens == greedy(network, PROMPT, 6)
    assert [len(update.tokens) for update in result.updates] == [1] * 6
    assert [update.finished for update in result.updates] == [False] * 5 + [True]
    assert all(log_prob <= 0 for update in result.updates for log_prob in update.log_probs)


def test_requests_in_a_batch_have_the_same_answers_as_alone(network: Llama) -> None:
    prompts = [[3, 41, 7], list(range(30, 44)), [1], [9, 9]]
    collectors = [Collector(prompt, 5) for prompt in prompts]
    run(network, *collectors)
    assert [collector.tokens for collector in collectors] == [complete(network, prompt, 5).tokens for prompt in prompts]


def test_the_end_token_ends_an_answer_and_is_not_part_of_it(network: Llama) -> None:
    tokens = greedy(network, PROMPT, 6)
    end = next(token for token in tokens if token != tokens[0])
    result = complete(network, PROMPT, 6, end_id=end)
    assert result.tokens == tokens[: tokens.index(end)]
    assert result.updates[-1] == Update(finished=True)


def test_a_stop_word_ends_an_answer_and_is_part_of_it(network: Llama) -> None:
    tokens = greedy(network, PROMPT, 6)
    result = complete(network, PROMPT, 6, stop_words=[tokens[1:3]])
    assert result.tokens == tokens[:3]


def test_bad_words_are_never_generated(network: Llama) -> None:
    tokens = greedy(network, PROMPT, 4)
    result = complete(network, PROMPT, 4, bad_words=[[tokens[0]], tokens[2:4]])
    assert tokens[0] not in result.tokens


def test_the_engines_length_limits_an_answer(network: Llama) -> None:
    assert len(complete(network, [5] * 15, 100).tokens) == LIMITS.max_seq_len - 15


@pytest.mark.parametrize(
    ("prompt", "count", "message"),
    [
        ([5] * 17, 1, r"Prompt length \(17\) exceeds maximum input length \(16\)"),
        ([], 1, r"Prompt length \(0\)"),
        (PROMPT, 0, r"maxNewTokens \(0\) must be greater than 0"),
        ([5, 53], 1, r"input_ids must be in the range \[0, 53\)"),
    ],
)
def test_requests_that_cannot_be_served_are_refused(
    network: Llama, prompt: list[int], count: int, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Generator(network, LIMITS).submit(Collector(prompt, count).request)


def test_steps_are_counted(network: Llama) -> None:
    steps: list[Step] = []
    generator = Generator(network, Limits(max_seq_len=64, max_num_tokens=64, max_batch_size=1), steps.append)
    for prompt in (PROMPT, PROMPT[:2]):
        generator.submit(Request(prompt, 2, Sampling(), lambda _update: None))
    for _step in range(6):
        generator.step()
    found = [(step.waiting, step.contexts, step.context_tokens, step.generating, step.cached_tokens) for step in steps]
    size = len(PROMPT)
    assert found == [(1, 1, size, 0, size), (1, 0, 0, 1, size + 1), (0, 1, 2, 0, 2), (0, 0, 0, 1, 3)]


def test_a_cancelled_request_leaves_the_batch(network: Llama) -> None:
    generator = Generator(network, LIMITS)
    cancelled, other = Collector(PROMPT, 8), Collector([9, 9], 8)
    for collector in (cancelled, other):
        generator.submit(collector.request)
    generator.step()
    cancelled.cancelled = True
    while not other.finished.is_set():
        generator.step()
    assert cancelled.updates[-1].error == "Request was cancelled"
    assert len(cancelled.tokens) == 1
    assert other.tokens == greedy(network, [9, 9], 8)


def test_finished_sequences_are_forgotten(network: Llama) -> None:
    generator = Generator(network, LIMITS)
    ended, cancelled = Collector(PROMPT, 2), Collector([9, 9], 8)
    for collector in (ended, cancelled):
        generator.submit(collector.request)
    generator.step()
    assert len(network._caches) == 2
    cancelled.cancelled = True
    for _step in range(3):
        generator.step()
    assert (ended.finished.is_set(), cancelled.finished.is_set(), network._caches) == (True, True, {})


def test_logits_of_the_prompt_are_returned(network: Llama) -> None:
    collector = Collector([5] * 10, 2)
    seen: list[np.ndarray] = []
    collector.request.on_context_logits = seen.append
    run(network, collector)
    assert np.concatenate(seen).shape == (10, 53)


def test_a_failed_step_returns_an_error_and_the_next_request_works(
    network: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = Generator(network, LIMITS)
    thread = threading.Thread(target=generator.serve)
    thread.start()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(network, "step", lambda _chunks, _forgotten: 1 / 0)
            broken = Collector(PROMPT, 2)
            generator.submit(broken.request)
            assert broken.finished.wait(60)
        assert broken.updates[-1].error == "ZeroDivisionError: division by zero"
        fine = Collector(PROMPT, 2)
        generator.submit(fine.request)
        assert fine.finished.wait(60)
        assert fine.tokens == greedy(network, PROMPT, 2)
    finally:
        generator.close()
        thread.join(60)
