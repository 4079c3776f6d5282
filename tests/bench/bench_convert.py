# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cost of converting a Mixtral-shaped model for eight ranks, compared with `cp -r` of the model.

All commands run alternately in the same run, with a warm cache, each as a process including its start. The module's
output is on disk when it ends, that of `cp` is not. Results are medians; memory is that of the largest process.
`--write` writes the table to docs/benchmarks.md.
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

from report import machine, table, write_section

PROJECT = Path(__file__).resolve().parents[2]
MODULE = "tritonops.trtllm.trtllm_checkpoint"
PYTHON_MODULE = "ansible_collections.tritonops.trtllm.plugins.modules.trtllm_checkpoint"


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


def commands(model: Path, output: Path) -> dict[str, list[str | Path]]:
    def arguments(dtype: str) -> dict[str, str]:
        return {"src": str(model), "dest": str(output), "release": "0.17.0", "dtype": dtype, "tp_size": "8"}

    def native(dtype: str) -> list[str | Path]:
        given = " ".join(f"{name}={value}" for name, value in arguments(dtype).items())
        return ["ansible", "localhost", "-m", MODULE, "-a", given]

    # The command that Ansible runs on a host.
    alone = model.with_name("arguments.json")
    alone.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments("bfloat16")}))
    return {
        "`cp -r` of the model": ["cp", "-r", model, output],
        "module alone, bf16 to bf16": [sys.executable, "-m", PYTHON_MODULE, alone],
        "`ansible`, bf16 to bf16": native("bfloat16"),
        "`ansible`, bf16 to fp16": native("float16"),
    }


def measure(folder: Path, size: int, rounds: int) -> list[list[str]]:
    model, output = folder / "model", folder / "output"
    # In another process, because the kernel counts this process's memory for its children.
    subprocess.run([sys.executable, Path(__file__).with_name("mixtral_model.py"), model, str(size)], check=True)
    bytes_in = bytes_below(model)
    costs: dict[str, list[Cost]] = {what: [] for what in commands(model, output)}
    bytes_out: dict[str, int] = {}
    subprocess.run(["cp", "-r", model, output], check=True)
    for _round in range(rounds):
        for what, command in commands(model, output).items():
            shutil.rmtree(output)
            # The next command must not wait for data that this one has not written to disk yet.
            os.sync()
            costs[what].append(cost(command))
            bytes_out[what] = bytes_below(output)
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
    parser.add_argument("--rounds", type=int, default=3, help="number of runs of each command")
    parser.add_argument("--folder", type=Path, help="working folder; needs 2.5 times the largest size")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
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
