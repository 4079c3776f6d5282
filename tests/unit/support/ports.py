# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for servers that a test starts."""

from __future__ import annotations

import contextlib
import os
import socket

# Below the ports that the kernel gives to connections and to sockets without a port of their own: one of those could be
# in use again before the server listens.
FIRST, LAST = 20000, 32000
# Processes of one run have numbers close to each other; none of them needs so many ports.
APART = 977
_next = FIRST + os.getpid() * APART % (LAST - FIRST)


def free_port(address: str = "127.0.0.1") -> int:
    """A port of the address on which nothing listens; another one each time, and other ones in other test processes."""
    global _next
    while True:
        port = _next
        _next = FIRST + (_next + 1 - FIRST) % (LAST - FIRST)
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind((address, port))
            return port
