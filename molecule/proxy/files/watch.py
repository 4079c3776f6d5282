# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes all command lines of the host's processes to a file."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path


def command_lines() -> set[bytes]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.add(path.read_bytes().replace(b"\0", b" "))
    return found


def main() -> None:
    seen: set[bytes] = set()
    with open(sys.argv[1], "ab", buffering=0) as log:
        while True:
            for line in command_lines() - seen:
                seen.add(line)
                log.write(line.replace(b"\n", b" ") + b"\n")
            time.sleep(0.01)


if __name__ == "__main__":
    main()
