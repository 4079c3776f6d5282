# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What converting a Mixtral-shaped model for eight ranks costs, against `cp -r` of it.

All run by turns in the same run, from a warm cache, each as a process with its start included: Ansible's for the
module, which also hashes and syncs what it wrote. The median of each counts. Memory is that of the largest process.
`--write` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils._decoder import read_decoder, source_tensors
from ansible_collections.tritonops.trtllm.plugins.module_utils._weight_files import INDEX, make_head, tensor_bytes
from report import machine, table, write_section

PROJECT = Path(__file__).resolve().parents[2]
SHARD_BYTES = 1 << 30
LAYER_BYTES = 365_000_000
CONFIG = {
    "architectures": ["MixtralForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 3584,
    "max_position_embeddings": 32768,
    "num_attention_heads": 16,
    "num_experts_per_tok": 2,
    "num_key_value_heads": 8,
    "num_local_experts": 8,
    "torch_dtype": "bfloat16",
    "vocab_size": 32000,
}


class Cost(NamedTuple):
    """Seconds of the clock and of all processors; bytes of the largest process, mapped pages included."""

    wall: float
    cpu: float
    memory: int


def make_model(folder: Path, size: int) -> int:
    """A model of at least so many bytes, in shards of 1 GiB; its exact size."""
    config = {**CONFIG, "num_hidden_layers": -(-size // LAYER_BYTES)}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tensors = source_tensors(read_decoder(config), has_head=True)
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in tensors.items():
        if filled > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += tensor_bytes("bfloat16", shape)
    files = {f"model-{number:05d}-of-{len(shards):05d}.safetensors": names for number, names in enumerate(shards, 1)}
    for file, names in files.items():
        write_shard(folder / file, {name: ("bfloat16", tensors[name]) for name in names})
    weight_map = {name: file for file, names in files.items() for name in names}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return sum(path.stat().st_size for path in folder.iterdir())


def write_shard(path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """Values as in trained weights: around zero, a few of them too small for float16's normal range."""
    generator = np.random.default_rng(0)
    values = (generator.standard_normal(1 << 24, np.float32) * np.float32(0.02)).astype(ml_dtypes.bfloat16)
    head, offsets = make_head(tensors)
    with path.open("wb") as file:
        file.write(head)
        for name in sorted(tensors, key=lambda name: offsets[name]):
            shift = int(generator.integers(values.size))
            count = int(np.prod(tensors[name][1]))
            file.write(np.resize(np.roll(values, shift), count).view(np.uint8).data)


def cost(command: list[str | Path]) -> Cost:
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def commands(model: Path, output: Path) -> dict[str, list[str | Path]]:
    def native(dtype: str) -> list[str | Path]:
        arguments = f"src={model} dest={output} release=0.17.0 dtype={dtype} tp_size=8"
        return ["ansible", "localhost", "-m", "tritonops.trtllm.trtllm_checkpoint", "-a", arguments]

    return {
        "`cp -r` of the model": ["cp", "-r", model, output],
        "converted, bf16 to bf16": native("bfloat16"),
        "converted, bf16 to fp16": native("float16"),
    }


def measure(folder: Path, size: int, rounds: int) -> list[list[str]]:
    model, output = folder / "model", folder / "output"
    bytes_in = make_model(model, size)
    costs: dict[str, list[Cost]] = {what: [] for what in commands(model, output)}
    bytes_out: dict[str, int] = {}
    subprocess.run(["cp", "-r", model, output], check=True)
    for _round in range(rounds):
        for what, command in commands(model, output).items():
            shutil.rmtree(output)
            # What one leaves to be written must not be paid for by the next.
            os.sync()
            costs[what].append(cost(command))
            bytes_out[what] = sum(path.stat().st_size for path in output.iterdir())
            print(f"{bytes_in / 1e9:.1f} GB, {what}: {costs[what][-1]}", file=sys.stderr, flush=True)
    shutil.rmtree(output)
    shutil.rmtree(model)
    middle = {what: Cost(*(statistics.median(values) for values in zip(*found))) for what, found in costs.items()}
    copied = next(iter(middle.values())).wall
    return [
        [
            f"{bytes_in / 1e9:.1f}",
            what,
            f"{bytes_out[what] / 1e9:.1f}",
            f"{found.wall:.1f}",
            f"{found.cpu:.1f}",
            f"{found.memory / (1 << 20):.0f}",
            f"{found.wall / copied:.2f}",
        ]
        for what, found in middle.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 2, 4], help="sizes of the model in GB")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--folder", type=Path, help="where to work; it needs 2.5 times the largest size")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for size in arguments.sizes:
            rows += measure(Path(folder), int(size * 1e9), arguments.rounds)
    head = ["model, GB", "what", "written, GB", "wall, s", "CPU, s", "peak memory, MiB", "ratio to cp"]
    text = f"{table(head, rows)}\n\nOn {machine()}; median of {arguments.rounds}, warm cache, 8 ranks."
    print(text)
    if arguments.write:
        write_section("convert", text)


if __name__ == "__main__":
    main()
