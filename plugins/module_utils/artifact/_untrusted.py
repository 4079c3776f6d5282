# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.
"""Untrusted file names and files, such as those of a hub, a mirror, a bundle, an archive or a container."""

from __future__ import annotations

import os
import stat
import typing as t
import unicodedata
from collections import Counter

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._errors import ArtifactError

ARTIFACT_JSON = "artifact.json"
MOST_SHOWN = 10
LONGEST = 200
# Unicode categories: control characters, surrogates, line and paragraph separators.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


class UntrustedError(ArtifactError):
    """A name or file that could lead out of the folder that it belongs in."""


def foreign_access(status: os.stat_result, by_mode: bool = True) -> str | None:
    """How others than root and this process can write to a file, as the end of a sentence; None if they cannot.

    Without `by_mode` only its owner counts.
    """
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to the user {status.st_uid}"
    if by_mode and status.st_mode & stat.S_IWOTH:
        return "can be written to by everybody"
    if by_mode and status.st_mode & stat.S_IWGRP and status.st_gid not in (0, os.getegid()):
        return f"can be written to by the group {status.st_gid}"
    return None


def name_problem(name: t.Any, reserved: t.Container[str] = ()) -> str | None:
    """Why a relative file name must not be used below a folder; None if it can be used.

    `reserved` are names that the path must not begin with, in addition to the name of our own record.
    """
    if not isinstance(name, str) or not name:
        return "is not a file name"
    if "\\" in name:
        return "has a backslash"
    if any(unicodedata.category(character) in UNPRINTABLE for character in name):
        return "has control characters"
    if name.startswith("/"):
        return "is absolute"
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty part, . or .."
    if parts[0] == ARTIFACT_JSON or parts[0] in reserved:
        return "is reserved"
    return None


def check_names(
    names: t.Iterable[t.Any], origin: str, reserved: t.Container[str] = (), folders: t.Iterable[t.Any] = ()
) -> None:
    """Refuse file and folder names of `origin` that are not safe to use; UntrustedError lists all problems."""
    names, folders = list(names), list(folders)
    every = [*names, *folders]
    problems = [(name, problem) for name in every for problem in [name_problem(name, reserved)] if problem]
    _refuse(problems or _clashes(names, set(folders)), origin)


def _clashes(names: t.Sequence[str], folders: set[str]) -> list[tuple[str, str]]:
    folders = folders.union(parent for name in names for parent in _parents(name))
    problems = [(name, "is both a file and a folder") for name in sorted(folders.intersection(names))]
    return problems + [(name, "occurs twice") for name, count in sorted(Counter(names).items()) if count > 1]


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _refuse(problems: t.Sequence[tuple[t.Any, str]], origin: str) -> None:
    if not problems:
        return
    shown = [f"{_shown(name)} {problem}" for name, problem in problems[:MOST_SHOWN]]
    more = f" and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
    raise UntrustedError(
        f"{origin} has unsafe file names: {', '.join(shown)}{more}. Nothing was used: find out where these names come"
        " from, or use another source"
    )


def _shown(name: t.Any) -> str:
    text = ascii(name) if isinstance(name, str) and not name.isprintable() else repr(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def path_below(folder: str, name: str, origin: str) -> str:
    """The path of a checked name in the folder; UntrustedError if a link on the way leads out of the folder."""
    path = os.path.join(folder, name)
    real, top = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, top]) != top:
        _refuse([(name, f"leads to {real}")], origin)
    return path


def check_tree(folder: str, origin: str, reserved: t.Container[str] = ()) -> None:
    """Refuse a folder that contains anything but regular files and folders with safe names."""
    problems = []
    for parent, folders, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in sorted([*folders, *names])):
            name, mode = os.path.relpath(path, folder), os.lstat(path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                problems.append((name, _kind(path, mode)))
            elif name_problem(name, reserved):
                problems.append((name, str(name_problem(name, reserved))))
    _refuse(problems, origin)


def set_modes(folder: str) -> None:
    """Let every user read the files, as containers must, but only their owner write them; without setuid bits.

    Neither the umask nor the modes of a copied file, or those that a tool gave its output, matter.
    """
    for parent, folders, names in os.walk(folder):
        for path in (os.path.join(parent, name) for name in [*folders, *names]):
            mode = os.lstat(path).st_mode
            # The target of a link may belong to someone else.
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)


def _kind(path: str, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return f"is a link to {_shown(os.readlink(path))}"
    return "is neither a file nor a folder"


def open_regular(path: str) -> t.BinaryIO:
    """Open a regular file for reading; OSError for a link, a pipe or any other type of file."""
    # Without O_NONBLOCK, opening a pipe blocks until a process writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    return t.cast(t.BinaryIO, os.fdopen(_regular(handle, path), "rb"))


def create_regular(path: str) -> t.BinaryIO:
    """Open a new file for writing. An existing file, such as a link, is removed first."""
    if os.path.lexists(path):
        os.unlink(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    return t.cast(t.BinaryIO, os.fdopen(handle, "wb"))


def open_appending(path: str) -> t.BinaryIO:
    """Open a regular file, such as a log, for appending; OSError for a link or a pipe."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return t.cast(t.BinaryIO, os.fdopen(_regular(os.open(path, flags, 0o644), path), "ab"))


def _regular(handle: int, path: str) -> int:
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(f"{path} is not a regular file")
