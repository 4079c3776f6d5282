# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Who can change a folder, other than root and the user who runs this."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import foreign_access, open_regular

MAX_LINKS = 40


def changeable(path: str) -> list[str]:
    """How others could change the content of path, or put another folder in its place."""
    above = [folder for folder in folders_on_the_way(os.path.abspath(path)) if folder != os.path.realpath(path)]
    return [problem for problem in (_problem(folder, is_above=True) for folder in above) if problem] + _below(path)


def is_being_written(path: str) -> bool:
    """Whether a program has the file open for writing, or mapped. Only the kernel knows about all of them.

    It refuses a lease for such a file. Some file systems, such as NFS, have no leases.
    """
    with open_regular(path) as stream:
        try:
            fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as exc:
            return exc.errno == errno.EAGAIN
    return False


def folders_on_the_way(path: str) -> t.Iterator[str]:
    """Every folder in which the system looks up a part of an absolute path, including those behind links."""
    current, parts, links = "/", path.split("/")[::-1], 0
    yield current
    while parts:
        part = parts.pop()
        entry = os.path.normpath(os.path.join(current, part))
        if os.path.islink(entry) and links < MAX_LINKS:
            target, links = os.readlink(entry), links + 1
            parts += target.split("/")[::-1]
            current = "/" if target.startswith("/") else current
        elif entry != current:
            current = entry
            yield current


def _below(path: str) -> list[str]:
    entries = [path]
    for folder, folders, names in os.walk(path):
        entries += [os.path.join(folder, name) for name in sorted([*folders, *names])]
    return [problem for problem in (_problem(entry, is_above=False) for entry in entries) if problem]


def _problem(path: str, is_above: bool) -> str | None:
    status = os.stat(path) if is_above else os.lstat(path)
    if stat.S_ISLNK(status.st_mode) or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    # In a folder like /tmp, others can only replace what is theirs.
    is_shared = is_above and status.st_mode & stat.S_ISVTX
    problem = foreign_access(status, by_mode=not is_shared)
    return f"{path} {problem}" if problem else None
