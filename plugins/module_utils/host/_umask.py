# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Files that other users have to read."""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager


@contextmanager
def readable_by_everybody() -> t.Iterator[None]:
    """Whatever the umask of the login is: new files are made with 0644 and new folders with 0755, also by programs.

    AnsibleModule.atomic_move, too, gives a new file the mode that the umask leaves, not the one that it had.
    """
    umask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(umask)
