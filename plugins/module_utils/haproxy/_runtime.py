# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""HAProxy's runtime API: commands to a running HAProxy over its stats socket.

Source: HAProxy Management Guide 2.8, section 9.3 (Unix socket commands).
"""

from __future__ import annotations

import csv
import errno
import io
import re
import socket
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within

TIMEOUT = 10
MAX_ANSWER = 64 << 20
# A command with its payload must fit in HAProxy's buffer, which has 16 KiB by default.
BATCH = 8 << 10
# srv_admin_state in `show servers state`.
FORCED_MAINT = 0x01
FORCED_DRAIN = 0x08
_NOT_RUNNING = {errno.ENOENT, errno.ECONNREFUSED}
# A process that ends closes connections that it has not answered.
_ENDING = {errno.ECONNRESET, errno.EPIPE}
_ATTEMPTS = 10
_ATTEMPT_SECONDS = 0.2


class HAProxyError(Exception):
    """HAProxy refused a command, or did not answer."""


class Server(t.NamedTuple):
    """A server of a backend.

    `state` is the administrative state: `ready`, `drain` or `maint`. `status` is HAProxy's, such as `UP` or `DOWN`.
    `in_flight` is the number of requests, with those that wait in the server's queue.
    """

    backend: str
    name: str
    state: str
    status: str
    in_flight: int


class Runtime:
    def __init__(self, path: str) -> None:
        self.path = path

    def is_running(self) -> bool:
        """Whether HAProxy answers. If a process is ending, another may take its place, so this asks again for 2 s."""
        for _attempt in range(_ATTEMPTS):
            try:
                self.run("show version")
                return True
            except OSError as exc:
                if exc.errno in _NOT_RUNNING:
                    return False
                if exc.errno not in _ENDING:
                    raise
            time.sleep(_ATTEMPT_SECONDS)
        return False

    def run(self, command: str) -> str:
        """The answer to a command. Most commands that change something answer only if they fail."""
        return within(TIMEOUT, lambda: self._ask(command))

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self.path)
            connection.sendall(f"{command}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            answer = bytearray()
            while True:
                part = connection.recv(1 << 16)
                if not part:
                    return answer.decode("utf-8", "replace").strip("\n")
                answer += part
                if len(answer) > MAX_ANSWER:
                    raise HAProxyError(f"{self.path}: the answer to '{command.splitlines()[0]}' is too long")

    def change(self, command: str) -> None:
        """Run a command that answers only if it fails."""
        answer = self.run(command)
        if answer:
            raise HAProxyError(f"{self.path}: '{command.splitlines()[0]}': {answer}")

    # --- maps -------------------------------------------------------------------------------------------------------

    def read_map(self, path: str) -> dict[str, str]:
        answer = self.run(f"show map {path}")
        entries = {}
        for line in answer.splitlines():
            # The first word is the address of the entry.
            words = line.split(" ", 2)
            if len(words) < 2 or not words[0].startswith("0x"):
                raise HAProxyError(f"{self.path}: 'show map {path}': {answer}")
            entries[words[1]] = words[2] if len(words) == 3 else ""
        return entries

    def replace_map(self, path: str, entries: t.Mapping[str, str]) -> None:
        """Replace all entries at once: a request sees either the old or the new ones."""
        answer = self.run(f"prepare map {path}")
        version = re.search(r"New version created: (\d+)", answer)
        if not version:
            raise HAProxyError(f"{self.path}: 'prepare map {path}': {answer}")
        for batch in _batches(entries):
            self.change(f"add map @{version[1]} {path} <<\n{batch}\n")
        self.change(f"commit map @{version[1]} {path}")

    def read_table(self, name: str, data: str) -> dict[str, int]:
        """One kind of data of a stick table with text as keys. Empty if there is no such table."""
        entry = re.compile(rf"^0x[0-9a-f]+: key=(\S+) .*\b{data}=(\d+)", re.MULTILINE)
        return {key: int(value) for key, value in entry.findall(self.run(f"show table {name}"))}

    # --- servers ----------------------------------------------------------------------------------------------------

    def servers(self) -> list[Server]:
        # -1: all proxies; 4: servers.
        statistics = csv.DictReader(io.StringIO(self.run("show stat -1 4 -1").lstrip("# ")))
        states = self._administrative_states()
        return [
            Server(
                row["pxname"],
                row["svname"],
                states.get((row["pxname"], row["svname"]), "ready"),
                row["status"],
                int(row["scur"] or 0) + int(row["qcur"] or 0),
            )
            for row in statistics
        ]

    def _administrative_states(self) -> dict[tuple[str, str], str]:
        """The state of each server, by backend and name."""
        # The first line is the version of the format, the second one has the columns.
        lines = self.run("show servers state").splitlines()[1:]
        rows = csv.DictReader([line.lstrip("# ") for line in lines], delimiter=" ")
        return {(row["be_name"], row["srv_name"]): _state(int(row["srv_admin_state"])) for row in rows}

    def set_state(self, server: Server, state: str) -> None:
        """Set a server's administrative state: `ready`, `drain` or `maint`."""
        self.change(f"set server {server.backend}/{server.name} state {state}")


def _state(flags: int) -> str:
    return "maint" if flags & FORCED_MAINT else "drain" if flags & FORCED_DRAIN else "ready"


def _batches(entries: t.Mapping[str, str]) -> t.Iterator[str]:
    """Lines of entries, in parts that fit in HAProxy's buffer. Each part ends with a line feed."""
    batch = ""
    for key, value in entries.items():
        line = f"{key} {value}\n"
        if batch and len(batch) + len(line) > BATCH:
            yield batch
            batch = ""
        batch += line
    if batch:
        yield batch
