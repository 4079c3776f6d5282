# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets in /proc, from files in the kernel's format and on this machine."""

from __future__ import annotations

import os
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _listeners as listeners

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
# 127.0.0.1:8000 listening, 0.0.0.0:22 listening, 127.0.0.1:8000 in an established connection
TCP = HEAD + (
    "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0\n"
    "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0\n"
    "   2: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 100 0 0 10 0\n"
)
# [::]:9000 and an IPv4-mapped IPv6 address, 127.0.0.1:9001
TCP6 = HEAD + (
    "   0: 00000000000000000000000000000000:2328 00000000000000000000000000000000:0000 0A"
    " 00000000:00000000 00:00000000 00000000     0        0 201 1 0 100 0 0 10 0\n"
    "   1: 0000000000000000FFFF00000100007F:2329 00000000000000000000000000000000:0000 0A"
    " 00000000:00000000 00:00000000 00000000     0        0 202 1 0 100 0 0 10 0\n"
)


def make_proc(root: Path, processes: t.Mapping[int, t.Mapping[str, t.Any]]) -> str:
    """A /proc with the two tables above and processes with sockets, a command and control groups."""
    (root / "net").mkdir(parents=True)
    (root / "net/tcp").write_text(TCP)
    (root / "net/tcp6").write_text(TCP6)
    for pid, process in processes.items():
        (root / str(pid) / "fd").mkdir(parents=True)
        for number, inode in enumerate(process["sockets"]):
            (root / str(pid) / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (root / str(pid) / "cmdline").write_text(process["command"].replace(" ", "\0") + "\0")
        (root / str(pid) / "cgroup").write_text("".join(f"0::{path}\n" for path in process.get("cgroups", [])))
    return str(root)


def test_only_listening_sockets_are_read(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    assert [(str(listener.address), listener.port, listener.inode) for listener in listeners.listening(proc)] == [
        ("127.0.0.1", 8000, "101"),
        ("0.0.0.0", 22, "102"),
        ("::", 9000, "201"),
        ("127.0.0.1", 9001, "202"),
    ]


def test_kernel_without_ipv6(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    (tmp_path / "proc/net/tcp6").unlink()
    assert len(listeners.listening(proc)) == 2


@pytest.mark.parametrize(
    ("address", "port", "taken"),
    [
        ("127.0.0.1", 8000, True),
        ("0.0.0.0", 8000, True),
        ("192.0.2.1", 8000, False),
        ("127.0.0.1", 22, True),
        ("127.0.0.1", 9000, True),
        ("127.0.0.1", 9001, True),
        ("127.0.0.1", 8001, False),
    ],
)
def test_collisions(tmp_path: Path, address: str, port: int, taken: bool) -> None:
    proc = make_proc(tmp_path / "proc", {})
    assert any(listeners.collides(listener, address, port) for listener in listeners.listening(proc)) == taken


def test_a_shared_socket_belongs_to_the_parent(tmp_path: Path) -> None:
    nginx = {"sockets": ["101"], "command": "nginx: master process"}
    worker = {"sockets": ["7", "101"], "command": "nginx: worker process"}
    proc = make_proc(tmp_path / "proc", {900: nginx, 1000: worker})
    assert listeners.holders(["101", "999"], proc) == {"101": listeners.Holder(900, "nginx: master process")}


def test_sockets_of_this_machine_are_found() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        (found,) = [one for one in listeners.listening() if listeners.collides(one, "127.0.0.1", port)]
        assert listeners.holders([found.inode])[found.inode].pid == os.getpid()
