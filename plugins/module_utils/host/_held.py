# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Files and folders that processes hold: open, as their working folder, or mounted, as in a container."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import unescape_mount

FileId = t.Tuple[int, int]


class Mount(t.NamedTuple):
    point: str
    kind: str
    source: str


def mounts_of(text: str) -> list[Mount]:
    """The mounts in the text of /proc/PID/mountinfo."""
    found = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        if separator:
            kind, source = after.split(" ")[:2]
            found.append(Mount(unescape_mount(before.split(" ")[4]), kind, source))
    return found


def held_files(root: str, proc: str = "/proc") -> set[FileId]:
    """Device and inode of what processes hold. Only mounts of the file system of the root folder are looked at.

    Open files are looked at by their inode, because a container has other paths for them.
    """
    own = _file_system(root, proc)
    held: set[FileId] = set()
    namespaces: set[str] = set()
    for pid in filter(str.isdigit, os.listdir(proc)):
        process = os.path.join(proc, pid)
        paths = [f"{process}/cwd", *(f"{process}/fd/{name}" for name in _names(f"{process}/fd"))]
        namespace = _target(f"{process}/ns/mnt")
        if namespace not in namespaces:
            namespaces.add(namespace)
            mounts = mounts_of(_text(f"{process}/mountinfo"))
            paths += [f"{process}/root{mount.point}" for mount in mounts if (mount.kind, mount.source) == own]
        held.update(found for found in map(_id_of, paths) if found)
    return held


def _file_system(root: str, proc: str) -> tuple[str, str]:
    """The type and the source of the file system of a folder."""
    real = os.path.realpath(root)
    mounts = mounts_of(_text(os.path.join(proc, "self/mountinfo")))
    above = [mount for mount in mounts if os.path.join(real, "").startswith(os.path.join(mount.point, ""))]
    # Of several mounts at the same place, the last one counts.
    nearest = max(enumerate(above), key=lambda pair: (len(pair[1].point), pair[0]), default=None)
    return (nearest[1].kind, nearest[1].source) if nearest else ("", "")


def _id_of(path: str) -> FileId | None:
    try:
        status = os.stat(path)
    except OSError:
        # The process has ended, or it is not a file.
        return None
    return status.st_dev, status.st_ino


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""
