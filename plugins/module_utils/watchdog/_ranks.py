# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""How many processes of a server compute the model, and how many should."""

from __future__ import annotations

import math
import os
import typing as t

Record = t.Mapping[str, t.Any]

# Options of trtllm-serve, which has a rank for each combination.
_SIZES = ("--tp_size", "--pp_size")
# trtllm-serve starts its workers with the pool of mpi4py.
_WORKER = "mpi4py.futures.server"


def planned(record: Record) -> int | None:
    """What the record of the release says; None if it says nothing. With Triton, the LLM API starts ranks by itself."""
    try:
        launch = record["launch"]
        if record["service"]["api"] == "openai":
            argv = launch["argv"]
            return math.prod(int(argv[argv.index(size) + 1]) for size in _SIZES)
        return int(launch["world_size"])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def running(table: str, api: str) -> int:
    """The ranks in the output of `docker top` with the command lines, whose first line has the names of the columns.

    There is a Triton for each rank. mpirun has Triton's path as an argument.
    """
    rows = [line.split(None, 1) for line in table.splitlines()[1:]]
    commands = [row[1] for row in rows if len(row) == 2]
    if api == "openai":
        return sum(_WORKER in command for command in commands)
    return sum(os.path.basename(command.split(None, 1)[0]) == "tritonserver" for command in commands)
