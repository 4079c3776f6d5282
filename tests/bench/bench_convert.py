# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of converting models for eight ranks, compared with writing as many bytes past the page cache.

One model has rows of whole pages, the other has not. All commands run alternately in the same run, with a warm cache,
each as a process including its start. Results are minima, because other work on the machine can only add to them;
memory is that of the largest process. `--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from report import machine, table, write_section

PROJECT = Path(__file__).resolve().parents[2]
MODULE = "tritonops.trtllm.trtllm_checkpoint"
PYTHON_MODULE = "ansible_collections.tritonops.trtllm.plugins.modules.trtllm_checkpoint"
RANKS = 8
MODELS = {"mixtral": "Mixtral, hidden size 2048", "mistral": "Mistral, hidden size 5120"}
# The longest permitted time, in times of the direct write.
LIMITS = {"module, bf16 to bf16": 1.25, "module, bf16 to fp16": 2.0, "module, bf16 to bf16, checksums": 2.5}


class Cost(NamedTuple):
    """Wall-clock and CPU seconds; bytes of the largest process, including mapped pages."""

    wall: float
    cpu: float
    memory: int


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def cost(command: list[str | Path]) -> Cost:
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def commands(model: Path, output: Path, size: int) -> dict[str, list[str | Path]]:
    """What is compared; `size` is that of the checkpoint."""
    common = {"src": str(model), "dest": str(output), "release": "0.17.0", "tp_size": str(RANKS)}

    def module(**options: str) -> list[str | Path]:
        """The command that Ansible runs on a host."""
        arguments = model.with_name(f"{'-'.join(options.values())}.json")
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**common, **options}}))
        return [sys.executable, "-m", PYTHON_MODULE, arguments]

    given = " ".join(f"{name}={value}" for name, value in {**common, "dtype": "bfloat16"}.items())
    return {
        "direct write": [sys.executable, Path(__file__).with_name("direct_write.py"), output, str(size), str(RANKS)],
        "`cp -r` of the model": ["cp", "-r", model, output],
        "module, bf16 to bf16": module(dtype="bfloat16"),
        "module, bf16 to fp16": module(dtype="float16"),
        "module, bf16 to bf16, checksums": module(dtype="bfloat16", checksums="true"),
        "`ansible`, bf16 to bf16": ["ansible", "localhost", "-m", MODULE, "-a", given],
    }


def measure(folder: Path, name: str, size: int, rounds: int) -> list[list[str]]:
    model, output = folder / "model", folder / "output"
    # In another process, because the kernel counts this process's memory for its children.
    subprocess.run([sys.executable, Path(__file__).with_name("random_model.py"), name, model, str(size)], check=True)
    # Unmeasured, for its size and to warm the cache.
    subprocess.run(
        commands(model, output, 0)["module, bf16 to bf16"], cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
    )
    written = bytes_below(output)
    costs: dict[str, list[Cost]] = {what: [] for what in commands(model, output, written)}
    for _round in range(rounds):
        for what, command in commands(model, output, written).items():
            shutil.rmtree(output)
            # The next command must not wait for data that this one has not written to disk yet.
            os.sync()
            costs[what].append(cost(command))
            print(f"{MODELS[name]}, {what}: {costs[what][-1]}", file=sys.stderr, flush=True)
    least = {
        what: Cost(*(fold(values) for fold, values in zip((min, min, max), zip(*found))))
        for what, found in costs.items()
    }
    sizes = dict.fromkeys(costs, written) | {"`cp -r` of the model": bytes_below(model)}
    shutil.rmtree(output)
    shutil.rmtree(model)
    direct = least["direct write"].wall
    return [
        [
            MODELS[name],
            what,
            f"{sizes[what] / 1e9:.1f}",
            f"{found.wall:.2f}",
            f"{found.cpu:.1f}",
            f"{found.memory / (1 << 20):.0f}",
            f"{found.wall / direct:.2f}",
            f"{LIMITS.get(what, '')}",
        ]
        for what, found in least.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=4, help="size of each model in GB")
    parser.add_argument("--rounds", type=int, default=5, help="number of runs of each command")
    parser.add_argument("--folder", type=Path, help="working folder; needs 2.5 times the size")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for name in MODELS:
            rows += measure(Path(folder), name, int(arguments.size * 1e9), arguments.rounds)
    head = ["model", "what", "written, GB", "wall, s", "CPU, s", "peak memory, MiB", "ratio to direct write", "limit"]
    text = f"{table(head, rows)}\n\nOn {machine()}; minimum of {arguments.rounds}, warm cache, {RANKS} ranks."
    print(text)
    if arguments.write:
        write_section("convert", text)


if __name__ == "__main__":
    main()
