# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes files past the page cache as fast as the disk allows: `direct_write.py FOLDER BYTES FILES`."""

from __future__ import annotations

import mmap
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK_BYTES = 8 << 20
THREADS = 4


def main(folder: Path, size: int, files: int) -> None:
    """The size is rounded up to whole blocks for each file."""
    folder.mkdir()
    # Random, in case the disk stores zeros in another way. The memory is aligned to pages.
    block = mmap.mmap(-1, BLOCK_BYTES)
    block.write(os.urandom(BLOCK_BYTES))
    handles = [os.open(folder / f"{number}", os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600) for number in range(files)]
    offsets = range(0, -(-size // files), BLOCK_BYTES)
    with ThreadPoolExecutor(THREADS) as pool:
        written = [pool.submit(os.pwrite, handle, block, offset) for offset in offsets for handle in handles]
        for future in written:
            assert future.result() == BLOCK_BYTES
        list(pool.map(os.fsync, handles))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
