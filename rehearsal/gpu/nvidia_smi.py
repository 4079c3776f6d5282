# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for nvidia-smi on hosts without a GPU: replays the recording that a file names.

It supports the few queries that the collection uses, and rejects all other arguments like the real program, with the
same messages and exit codes (2 for invalid arguments).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

FOLDER = Path(os.environ.get("REHEARSAL_GPU", "/etc/rehearsal/gpu"))
# The real program's exit code for invalid arguments.
INVALID = 2


def die(text: str, code: int = INVALID) -> None:
    print(text)
    sys.exit(code)


def recording() -> dict:
    name = (FOLDER / "recording").read_text().strip()
    found = json.loads((FOLDER / "recordings" / f"{name}.json").read_text())
    if "error" in found:
        die(found["error"]["text"], found["error"]["code"])
    return found


def csv(fields: str, style: str) -> None:
    wanted, options = fields.split(","), style.split(",")
    gpus = recording()["gpus"]
    for field in wanted:
        if field not in gpus[0]:
            die(f'Field "{field}" is not a valid field to query.\n')
    if options[0] != "csv" or set(options) - {"csv", "noheader", "nounits"}:
        die(f'"{style}" is not a valid format.')
    if "noheader" not in options:
        print(", ".join(wanted))
    for gpu in gpus:
        values = [gpu[field] for field in wanted]
        print(", ".join(value.split(" MiB")[0] if "nounits" in options else value for value in values))


def main(arguments: list[str]) -> None:
    if arguments == ["-q", "-x"]:
        print(recording()["query"], end="")
    elif arguments in (["nvlink", "-s"], ["nvlink", "--status"]):
        print(recording()["nvlink"], end="")
    elif arguments == ["-L"]:
        for gpu in recording()["gpus"]:
            print(f"GPU {gpu['index']}: {gpu['name']} (UUID: {gpu['uuid']})")
    elif len(arguments) == 2 and arguments[0].startswith("--query-gpu=") and arguments[1].startswith("--format="):
        csv(arguments[0].split("=", 1)[1], arguments[1].split("=", 1)[1])
    elif not arguments:
        die("This stand-in only supports a few queries, such as -L or -q -x.")
    elif arguments[0] in ("-q", "-x", "-L", "nvlink"):
        die("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n")
    else:
        die(f"ERROR: Option {arguments[0]} is not recognized. Please run 'nvidia-smi -h'.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
