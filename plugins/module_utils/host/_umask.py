# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A umask for files that other users must be able to read."""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager


@contextmanager
def readable_by_everybody() -> t.Iterator[None]:
    """Create new files with mode 0644 and new folders with 0755, in this process and the programs that it runs.

    AnsibleModule.atomic_move also sets the mode of a new file from the umask.
    """
    umask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(umask)
