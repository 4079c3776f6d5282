# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ranks of a network compared with one that has the whole model: as threads, and a few as MPI processes."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.mpi import MPI, needs_mpi
from trtllm_cpu import ranks
from trtllm_cpu.checkpoint import read_whole
from trtllm_cpu.engine import read_config, read_weights
from trtllm_cpu.generation import Generator, Limits, Request, Update
from trtllm_cpu.group import Alone
from trtllm_cpu.network import Chunk, Llama
from trtllm_cpu.sampling import Sampling
from trtllm_cpu.tools import convert_checkpoint, trtllm_build

PROJECT = Path(__file__).parents[3]
PROMPTS = [[3, 41, 7, 19, 52, 0, 7], [28, 11]]
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"],
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 2,
}
QWEN = {"architectures": ["Qwen2ForCausalLM"]}
BIASED = {"attention_bias": True}
SCALED = {
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
}
EIGHT_HEADS = {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 4}
Snapshot = Callable[..., Path]
Weights = dict[str, np.ndarray]


class Wires:
    """The data that the ranks of one network share as threads."""

    def __init__(self, tp_size: int, stages: int):
        self.barriers = [threading.Barrier(tp_size) for _stage in range(stages)]
        self.slots: list[list[Any]] = [[None] * tp_size for _stage in range(stages)]
        self.mail: dict[tuple[int, int, int], queue.Queue[np.ndarray]] = defaultdict(queue.Queue)


class Threads:
    """A group whose ranks are threads of this process."""

    def __init__(self, index: int, tp_size: int, stages: int, wires: Wires):
        self.size, self.stages = tp_size, stages
        self.stage, self.rank = divmod(index, tp_size)
        self._wires = wires

    def _exchange(self, part: np.ndarray) -> list[np.ndarray]:
        slots, barrier = self._wires.slots[self.stage], self._wires.barriers[self.stage]
        slots[self.rank] = part
        barrier.wait(60)
        parts = list(slots)
        barrier.wait(60)
        return parts

    def all_reduce(self, partial: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.sum(self._exchange(partial), axis=0)
        return total

    def all_gather(self, part: np.ndarray) -> np.ndarray:
        return np.concatenate(self._exchange(part), axis=-1)

    def send(self, array: np.ndarray, stage: int) -> None:
        self._wires.mail[self.rank, self.stage, stage].put(array)

    def receive(self, shape: tuple[int, ...], stage: int) -> np.ndarray:
        array = self._wires.mail[self.rank, stage, self.stage].get(timeout=60)
        assert array.shape == shape
        return array


def engine(source: Path, *flags: str) -> Path:
    work = source.parent
    assert convert_checkpoint(["--model_dir", str(source), "--output_dir", str(work / "ck"), *flags]) == 0
    assert trtllm_build(["--checkpoint_dir", str(work / "ck"), "--output_dir", str(work / "en")]) == 0
    return work / "en"


def steps(network: Llama) -> list[np.ndarray]:
    """The logits for two prompts, one of them in two parts, and then for a token of each."""
    first, second = PROMPTS
    logits = network.step([Chunk(0, first[:4], 0), Chunk(1, second, 2)])
    logits += network.step([Chunk(0, first[4:], len(first[4:])), Chunk(1, [5])])
    logits += network.step([Chunk(0, [5]), Chunk(1, [6])])
    return logits


def together(folder: Path, alter: Callable[[int, Weights], None] = lambda _rank, _weights: None) -> list[np.ndarray]:
    """The result of the leading rank; `alter` may damage a rank's weights first."""
    config = read_config(folder)["pretrained_config"]
    tp_size, stages = config["mapping"]["tp_size"], config["mapping"]["pp_size"]
    wires = Wires(tp_size, stages)

    def run(index: int) -> list[np.ndarray]:
        weights = read_weights(folder, index)
        alter(index, weights)
        return steps(Llama(config, weights, Threads(index, tp_size, stages, wires)))

    with ThreadPoolExecutor(tp_size * stages) as pool:
        return next(iter(pool.map(run, range(tp_size * stages))))


def alone(source: Path) -> list[np.ndarray]:
    return steps(Llama(*read_whole(source, "auto")))


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        assert np.array_equal(ours.argmax(-1), theirs.argmax(-1))


@pytest.mark.parametrize(
    ("model", "flags"),
    [
        ({}, "--tp_size 2"),
        ({}, "--tp_size 4"),
        ({"num_key_value_heads": 1}, "--tp_size 4"),
        (EIGHT_HEADS, "--tp_size 8"),
        (SCALED, "--tp_size 2"),
        (QWEN, "--tp_size 2"),
        (BIASED, "--tp_size 4"),
        ({}, "--pp_size 2"),
        (BIASED, "--tp_size 2 --pp_size 2"),
        ({"tie_word_embeddings": True}, "--tp_size 2 --pp_size 2"),
        ({}, "--tp_size 2 --use_parallel_embedding"),
        ({}, "--tp_size 4 --use_parallel_embedding --embedding_sharding_dim 1"),
        ({}, "--tp_size 2 --pp_size 2 --use_parallel_embedding"),
        (MIXTRAL, "--tp_size 2"),
        (MIXTRAL, "--tp_size 2 --moe_ep_size 2"),
        (MIXTRAL, "--tp_size 4 --moe_ep_size 4"),
        (MIXTRAL, "--tp_size 4 --moe_tp_size 2 --moe_ep_size 2"),
        ({**MIXTRAL, **EIGHT_HEADS}, "--tp_size 8 --moe_tp_size 4 --moe_ep_size 2"),
        (MIXTRAL, "--tp_size 2 --pp_size 2"),
    ],
)
def test_several_ranks_compute_the_same_as_one(snapshot: Snapshot, model: dict[str, Any], flags: str) -> None:
    source = snapshot(**model)
    assert_same(together(engine(source, *flags.split())), alone(source))


def test_a_shared_embedding_is_used_as_the_head(snapshot: Snapshot) -> None:
    source = snapshot(tie_word_embeddings=True)
    folder = engine(source, "--tp_size", "2", "--use_parallel_embedding")
    config = {**read_config(folder)["pretrained_config"], "share_embedding_table": True}
    wires = Wires(2, 1)

    def run(index: int) -> list[np.ndarray]:
        weights = read_weights(folder, index)
        del weights["lm_head.weight"]
        return steps(Llama(config, weights, Threads(index, 2, 1, wires)))

    with ThreadPoolExecutor(2) as pool:
        assert_same(next(iter(pool.map(run, range(2)))), alone(source))


def swap_halves(weights: Weights, name: str) -> None:
    """Swap the two halves of every expert, or of a matrix."""
    first, second = np.split(weights[name], 2, axis=-2)
    weights[name] = np.concatenate([second, first], axis=-2)


def shift_rows(weights: Weights, name: str) -> None:
    weights[name] = np.roll(weights[name], 1, axis=0)


@pytest.mark.parametrize(
    ("model", "flags", "spoil", "tensor"),
    [
        (MIXTRAL, "--tp_size 2", swap_halves, "transformer.layers.1.mlp.fc.weight"),
        (MIXTRAL, "--tp_size 2 --moe_ep_size 2", shift_rows, "transformer.layers.0.mlp.proj.weight"),
        ({}, "--tp_size 2", shift_rows, "transformer.layers.0.attention.qkv.weight"),
        ({}, "--tp_size 2", swap_halves, "transformer.layers.1.attention.qkv.weight"),
        ({}, "--tp_size 2", shift_rows, "lm_head.weight"),
        ({}, "--tp_size 2 --use_parallel_embedding", shift_rows, "transformer.vocab_embedding.weight"),
    ],
)
def test_a_wrongly_sliced_rank_is_noticed(
    snapshot: Snapshot, model: dict[str, Any], flags: str, spoil: Callable[[Weights, str], None], tensor: str
) -> None:
    source = snapshot(**model)

    def second_rank(index: int, weights: Weights) -> None:
        if index == 1:
            spoil(weights, tensor)

    with pytest.raises(AssertionError):
        assert_same(together(engine(source, *flags.split()), second_rank), alone(source))


class Mail:
    """A communicator whose ranks are threads, with the methods that a leader and its workers use."""

    def __init__(self, rank: int, boxes: list[queue.Queue[Any]]):
        self._rank, self._boxes = rank, boxes

    def Get_rank(self) -> int:
        return self._rank

    def Get_size(self) -> int:
        return len(self._boxes)

    def send(self, what: Any, dest: int) -> None:
        self._boxes[dest].put(what)

    def Iprobe(self, source: int) -> bool:
        return not self._boxes[self._rank].empty()

    def recv(self, source: int) -> Any:
        return self._boxes[self._rank].get()


def answers(
    folder: Path, prompts: list[list[int]], count: int, spoil: Callable[[int, Weights], None]
) -> list[list[int]]:
    """The greedy answers of a whole deployment to several concurrent prompts."""
    config = read_config(folder)["pretrained_config"]
    tp_size, stages = config["mapping"]["tp_size"], config["mapping"]["pp_size"]
    wires, boxes = Wires(tp_size, stages), [queue.Queue() for _rank in range(tp_size * stages)]

    def network(index: int) -> Llama:
        weights = read_weights(folder, index)
        spoil(index, weights)
        return Llama(config, weights, Threads(index, tp_size, stages, wires))

    with ThreadPoolExecutor(len(boxes)) as pool:
        for index in range(1, len(boxes)):
            pool.submit(ranks.follow, network(index), Mail(index, boxes))  # type: ignore[arg-type]
        leader = ranks.Leader(network(0), Mail(0, boxes))  # type: ignore[arg-type]
        try:
            return generate(leader, prompts, count)
        finally:
            leader.close()


def generate(leader: ranks.Leader, prompts: list[list[int]], count: int) -> list[list[int]]:
    generator = Generator(leader, Limits(max_seq_len=512, max_num_tokens=512, max_batch_size=len(prompts)))
    updates: list[list[Update]] = [[] for _prompt in prompts]
    for prompt, seen in zip(prompts, updates):
        generator.submit(Request(prompt, count, Sampling(end_id=2), seen.append))
    while not all(seen and seen[-1].finished for seen in updates):
        generator.step()
    return [[token for update in seen for token in update.tokens] for seen in updates]


def reference() -> tuple[int, list[list[int]], list[list[int]]]:
    """The reference of transformers: maximum length, prompts and answers."""
    recorded = json.loads((PROJECT / "rehearsal/reference/tiny-mixtral.json").read_text(encoding="utf-8"))
    completions = recorded["completions"].values()
    return recorded["max_new_tokens"], *([one[key] for one in completions] for key in ("input_ids", "output_ids"))


@pytest.fixture
def tiny_mixtral(tmp_path: Path) -> Path:
    return shutil.copytree(PROJECT / "rehearsal/mixtral/tiny-mixtral", tmp_path / "hf")


@pytest.mark.long
@pytest.mark.parametrize("flags", ["--tp_size 8", "--tp_size 2 --pp_size 2", "--tp_size 4 --moe_ep_size 4"])
def test_a_mixture_of_experts_in_ranks_answers_like_transformers(tiny_mixtral: Path, flags: str) -> None:
    count, prompts, expected = reference()
    folder = engine(tiny_mixtral, "--dtype", "float32", *flags.split())
    said = answers(folder, prompts, count, lambda _rank, _weights: None)
    assert said == [[token for token in answer if token != 2] for answer in expected]


def gate_before_up(_rank: int, weights: Weights) -> None:
    """The halves of every expert in the order of dense layers."""
    for layer in range(4):
        swap_halves(weights, f"transformer.layers.{layer}.mlp.fc.weight")


def neighbours_values(rank: int, weights: Weights) -> None:
    """In one layer of one rank, values are in the place of keys."""
    if rank == 5:
        qkv = weights["transformer.layers.1.attention.qkv.weight"]
        qkv[-16:] = np.roll(qkv[-16:], 8, axis=0)


def experts_moved(rank: int, weights: Weights) -> None:
    """In one layer of one rank, the experts are shifted."""
    if rank == 1:
        for name in ("fc", "proj"):
            shift_rows(weights, f"transformer.layers.1.mlp.{name}.weight")


@pytest.mark.parametrize(
    ("flags", "spoil"),
    [
        ("--tp_size 8", gate_before_up),
        ("--tp_size 8", neighbours_values),
        ("--tp_size 4 --moe_ep_size 4", experts_moved),
    ],
)
def test_wrong_slicing_changes_the_answer(
    tiny_mixtral: Path, flags: str, spoil: Callable[[int, Weights], None]
) -> None:
    _count, prompts, expected = reference()
    folder = engine(tiny_mixtral, "--dtype", "float32", *flags.split())
    assert answers(folder, prompts, 24, spoil) != [
        [token for token in answer[:24] if token != 2] for answer in expected
    ]


class Broken(Llama):
    def __init__(self) -> None:
        """A network without weights."""

    def step(self, chunks: Any, forgotten: Any = ()) -> list[np.ndarray]:
        raise MemoryError("no room for the cache")


class Letters:
    """A communicator whose other side is the test."""

    def __init__(self, rank: int, size: int, inbox: list[Any] | None = None):
        self._rank, self._size = rank, size
        self.inbox = inbox or []
        self.sent: list[tuple[int, Any]] = []
        self.looks = 0
        self.aborted: list[int] = []

    def Get_rank(self) -> int:
        return self._rank

    def Get_size(self) -> int:
        return self._size

    def Iprobe(self, source: int) -> bool:
        self.looks += 1
        return self.looks % 3 == 0

    def recv(self, source: int) -> Any:
        return self.inbox.pop(0)

    def send(self, what: Any, dest: int) -> None:
        self.sent.append((dest, what))

    def Abort(self, code: int) -> None:
        self.aborted.append(code)


def test_workers_take_every_step_of_the_leader(snapshot: Snapshot) -> None:
    """A worker replays the leader's steps: both have the same caches, and none at the end."""
    parts = read_whole(snapshot(), "auto")
    world = Letters(0, 2)
    leader = ranks.Leader(Llama(*parts), world)  # type: ignore[arg-type]
    generator = Generator(leader, Limits(max_seq_len=32, max_num_tokens=16, max_batch_size=2))
    cancelled = threading.Event()
    finished: list[Update] = []
    requests = [
        Request([3, 41, 7], 8, Sampling(), finished.append, cancelled.is_set),
        Request([9, 9], 3, Sampling(), finished.append),
        Request([1] * 14, 2, Sampling(top_k=4, random_seed=3), finished.append),
    ]
    for request in requests:
        generator.submit(request)
    for number in range(12):
        generator.step()
        if number == 1:
            cancelled.set()
    assert sum(update.finished for update in finished) == 3
    leader.close()
    assert {rank for rank, _told in world.sent} == {1}
    told = [what for _rank, what in world.sent]
    seen: list[list[int]] = []

    class Worker(Llama):
        def step(self, chunks: Any, forgotten: Any = ()) -> list[np.ndarray]:
            result = super().step(chunks, forgotten)
            seen.append(sorted(self._caches))
            return result

    worker = Worker(*parts)
    ranks.follow(worker, Letters(1, 2, told))  # type: ignore[arg-type]
    assert max(map(len, seen)) == 2
    assert seen[-1] == []


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_fails_ends_all_with_the_reason(rank: int, capsys: pytest.CaptureFixture[str]) -> None:
    world = Letters(rank, 2, [([Chunk(0, [1])], ())])
    with pytest.raises(MemoryError):
        if rank == 0:
            ranks.Leader(Broken(), world).step([Chunk(0, [1])])  # type: ignore[arg-type]
        else:
            ranks.follow(Broken(), world)  # type: ignore[arg-type]
    assert world.aborted == [1]
    said = capsys.readouterr().out
    expected = f"Encountered an error in forwardAsync function: MemoryError: no room for the cache (rank {rank})"
    assert f"[TensorRT-LLM][ERROR] {expected}" in said


def test_a_single_stage_has_no_neighbours() -> None:
    with pytest.raises(NotImplementedError):
        Alone().send(np.zeros(1), 1)
    with pytest.raises(NotImplementedError):
        Alone().receive((1,), 1)


RANK = """
import sys
import numpy as np
from pathlib import Path
from trtllm_cpu import ranks
from trtllm_cpu.engine import read_config, read_weights
from trtllm_cpu.network import Llama
from test_ranks import steps

folder = Path(sys.argv[1])
model = read_config(folder)["pretrained_config"]
place = ranks.World.of_environment()
world = ranks.communicator()
from mpi4py import MPI
weights = read_weights(folder, place.rank)
if sys.argv[2] == "broken" and place.rank == 1:
    weights["transformer.layers.0.attention.dense.weight"] = np.zeros((1, 1))
network = Llama(model, weights, ranks.MpiGroup(world, model["mapping"]["tp_size"]))
if place.rank:
    ranks.follow(network, world)
else:
    leader = ranks.Leader(network, world)
    np.savez(folder / "logits.npz", *steps(leader))
    leader.close()
MPI.Finalize()
"""


def mpirun(world_size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(
        [str(PROJECT / "rehearsal/backend"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    environment = {**os.environ, **MPI, "PYTHONPATH": path}
    command = ["mpirun", "-n", str(world_size), sys.executable, "-c", RANK]
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.long
@needs_mpi
def test_processes_over_mpi_compute_the_same(snapshot: Snapshot) -> None:
    source = snapshot(**MIXTRAL)
    folder = engine(source, "--tp_size", "2", "--pp_size", "2", "--moe_ep_size", "2")
    done = mpirun(4, str(folder), "whole")
    assert done.returncode == 0, done.stderr
    assert_same(list(np.load(folder / "logits.npz").values()), alone(source))


@needs_mpi
def test_a_process_that_fails_ends_the_others(snapshot: Snapshot) -> None:
    folder = engine(snapshot(), "--tp_size", "2")
    done = mpirun(2, str(folder), "broken")
    assert done.returncode == 1
    assert "[TensorRT-LLM][ERROR] Encountered an error in forwardAsync function: ValueError" in done.stdout
