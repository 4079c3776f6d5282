# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The speed of a host's network interface."""

from __future__ import annotations

import os

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text

# A route of /proc/net/route that is up and leads everywhere.
ANYWHERE, UP = "00000000", 1


def link_speed(proc: str = "/proc", sys: str = "/sys") -> int | None:
    """Of the interface with the default route, in Mbit/s; None if its driver does not report it."""
    for line in read_text(os.path.join(proc, "net/route")).splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[1] == ANYWHERE and int(fields[3], 16) & UP:
            try:
                # Virtual interfaces report -1, or an error.
                speed = int(read_text(os.path.join(sys, "class/net", fields[0], "speed")) or -1)
            except (OSError, ValueError):
                return None
            return speed if speed > 0 else None
    return None
