# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on a host, whose connections to a port are redirected to it, and flips one bit of what each of them receives.

python flipping_proxy.py PORT SOURCE-PORTS FILE

A packet filter redirects the connections that have none of the source ports FIRST-LAST to PORT. FILE gets a line for
each bit.
"""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import threading
from contextlib import suppress

# Of Linux, from linux/netfilter_ipv4.h.
SO_ORIGINAL_DST = 80
# After the handshake, in the middle of the content.
OFFSET = 3_000_000


def target_of(client: socket.socket) -> tuple[str, int]:
    """Where the connection was to go."""
    port, address = struct.unpack("!2xH4s8x", client.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
    return socket.inet_ntoa(address), port


def connect(target: tuple[str, int], ports: itertools.cycle[int]) -> socket.socket:
    while True:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            connection.bind(("", next(ports)))
            connection.connect(target)
            return connection
        except OSError as exc:
            connection.close()
            if isinstance(exc, ConnectionRefusedError):
                raise


def copy(source: socket.socket, destination: socket.socket, flip_at: int, log: str) -> None:
    passed = 0
    with suppress(OSError):
        while content := source.recv(65536):
            if passed <= flip_at < passed + len(content):
                damaged = bytearray(content)
                damaged[flip_at - passed] ^= 1
                content = bytes(damaged)
                with open(log, "a", encoding="ascii") as stream:
                    stream.write(f"{flip_at}\n")
            passed += len(content)
            destination.sendall(content)
    for end in (source, destination):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def serve(client: socket.socket, ports: itertools.cycle[int], log: str) -> None:
    try:
        server = connect(target_of(client), ports)
    except OSError:
        client.close()
        return
    threading.Thread(target=copy, args=(client, server, -1, log), daemon=True).start()
    copy(server, client, OFFSET, log)


def main() -> None:
    port, source_ports, log = sys.argv[1:]
    first, last = map(int, source_ports.split("-"))
    ports = itertools.cycle(range(first, last + 1))
    listener = socket.create_server(("", int(port)))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], ports, log), daemon=True).start()


if __name__ == "__main__":
    main()
