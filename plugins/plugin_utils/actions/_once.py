# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What all hosts of a run share, found by the first of them."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable

from ansible import constants


def looked_up_once(key: str, look_up: Callable[[], str]) -> str:
    """What the first caller finds. Callers are processes of one run of Ansible, which share its temporary folder."""
    path = os.path.join(constants.DEFAULT_LOCAL_TMP, f"once-{hashlib.sha256(key.encode()).hexdigest()}")
    with open(path, "a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        found = stream.read()
        if not found:
            found = look_up()
            stream.write(found)
        return found
