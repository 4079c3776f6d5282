# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listening TCP sockets of this host and their processes, from /proc."""

from __future__ import annotations

import ipaddress
import os
import typing as t

_LISTEN = "0A"

IPAddress = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class Listener(t.NamedTuple):
    """One listening socket."""

    address: IPAddress
    port: int
    inode: str


class Holder(t.NamedTuple):
    """A process with a listening socket."""

    pid: int
    command: str


def _address(digits: str) -> IPAddress:
    """The kernel prints 32-bit words in native byte order, which is little-endian on all of Triton's platforms."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def parse_table(text: str) -> list[Listener]:
    """The listening sockets in the text of /proc/net/tcp or tcp6."""
    listeners = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, port = fields[1].split(":")
            listeners.append(Listener(_address(address), int(port, 16), fields[9]))
    return listeners


def listening(proc: str = "/proc") -> list[Listener]:
    """All listening TCP sockets."""
    found: list[Listener] = []
    for table in ("tcp", "tcp6"):
        try:
            with open(os.path.join(proc, "net", table), encoding="ascii") as stream:
                found.extend(parse_table(stream.read()))
        except FileNotFoundError:
            continue  # a kernel without IPv6
    return found


def collides(listener: Listener, address: str, port: int) -> bool:
    """Whether binding to address:port would fail because of the listener."""
    wanted = ipaddress.ip_address(address)
    if listener.port != port:
        return False
    return listener.address == wanted or listener.address.is_unspecified or wanted.is_unspecified


def read_text(path: str) -> str:
    """The text of a file; empty if it cannot be read, for example because a process has ended or is another user's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def command_of(pid: int, proc: str = "/proc") -> str:
    """The command line of a process; its name if there is none."""
    words = read_text(f"{proc}/{pid}/cmdline").replace("\0", " ").strip()
    return words or read_text(f"{proc}/{pid}/comm").strip()


def _sockets_of(pid: str, proc: str) -> t.Iterator[str]:
    folder = os.path.join(proc, pid, "fd")
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(os.path.join(folder, name))
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def holders(inodes: t.Collection[str], proc: str = "/proc") -> dict[str, Holder]:
    """The process of each socket, by inode. Of several processes that share a socket, the one with the lowest pid."""
    wanted = set(inodes)
    found: dict[str, Holder] = {}
    if not wanted:
        return found
    for pid in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        for inode in _sockets_of(pid, proc):
            if inode in wanted and inode not in found:
                found[inode] = Holder(int(pid), command_of(int(pid), proc))
    return found


def cgroups_of(pid: int, proc: str = "/proc") -> list[str]:
    """The control group paths of a process, for cgroups v1 and v2."""
    lines = read_text(f"{proc}/{pid}/cgroup").splitlines()
    return [line.split(":", 2)[2] for line in lines if line.count(":") >= 2]
