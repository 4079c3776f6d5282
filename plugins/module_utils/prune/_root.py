# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What no release needs below the root folder: found, measured and removed."""

from __future__ import annotations

import json
import os
import stat
import typing as t
from contextlib import nullcontext

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    is_locked,
    lock_if_free,
    mark_of,
    read_record,
    remove,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import open_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    DEPLOYMENTS,
    KINDS,
    RELEASE_JSON,
    UNFINISHED,
    deployments,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import own_entries
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._decision import (
    KEEP,
    Entry,
    FileUse,
    freed_by,
    in_use,
    unused,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import PROVED, links

# The unit of st_blocks.
BLOCK = 512


class Found(t.NamedTuple):
    """Paths are relative to the root folder. `unused`: why a path is not needed. `busy`: what is in use, and what that
    needs."""

    unused: dict[str, str]
    busy: list[str]


def entries_of(root: str) -> list[Entry]:
    return [_entry(root, path) for path in own_entries(root)]


def _entry(root: str, relative: str) -> Entry:
    path, kind = os.path.join(root, relative), relative.split("/")[0]
    name = os.path.basename(relative)
    if Entry(relative).what in ("cache", "log"):
        return Entry(relative, frozenset([name]))
    if kind == DEPLOYMENTS:
        record = os.path.join(path, RELEASE_JSON)
        return Entry(
            relative,
            frozenset([Entry(relative).name]),
            None if name.endswith(UNFINISHED) else _text(record),
            _mtime(record) or 0.0,
            _mtime(os.path.join(path, PROVED)),
        )
    found = read_record(path, mark_of(relative)) or {}
    key = [found["key"]] if isinstance(found.get("key"), str) else []
    names = [Entry(relative).name, *key, *image_names(root, relative)]
    # The files of an artifact name nothing else.
    return Entry(relative, frozenset(names), json.dumps({**found, "files": None}))


def image_names(root: str, relative: str) -> list[str]:
    """The names that Docker may know the image of this record by; empty if it is not the record of an image.

    An image that was asked for by a tag is pulled by its digest, and Docker then does not know the tag. The id comes
    last, because it would also remove the names that others gave the image.
    """
    if relative.split("/")[0] != "image":
        return []
    found = read_record(os.path.join(root, relative), mark_of(relative)) or {"inputs": {}}
    names = [found["inputs"].get("image"), found.get("image"), found.get("image_id")]
    return [name for name in names if isinstance(name, str) and name]


def find(root: str, keep: int = KEEP, wanted: str = "", held: t.Container[tuple[int, int]] = ()) -> Found:
    """What is not needed and not in use. `held` is what processes hold."""
    entries = entries_of(root)
    served = {name: links(os.path.join(root, DEPLOYMENTS, name)) for name in deployments(root)}
    candidates = unused(entries, served, keep, wanted)
    files = {path: list(files_in(os.path.join(root, path))) for path in candidates}
    # This includes a release that a container still serves although the deployment has another current one.
    busy = in_use(files, held) | {path for path in candidates if _is_locked(os.path.join(root, path))}
    left = unused(entries, served, keep, wanted, busy)
    return Found(left, sorted(set(candidates) - set(left)))


def prunable(root: str) -> dict[str, int]:
    """The bytes that removing what no release needs would free, by path. What processes hold is not looked at."""
    try:
        return freed_by({path: list(files_in(os.path.join(root, path))) for path in find(root).unused})
    except OSError:
        # A run removes something at this moment, or this user may not read it. This is only for advice.
        return {}


def remove_entry(root: str, relative: str) -> bool:
    """Whether it was removed. It is not if it was replaced meanwhile, or a run makes it."""
    path, entry = os.path.join(root, relative), Entry(relative)
    # Only artifacts have a lock. The lease of the host excludes runs that make releases.
    lock = lock_if_free(os.path.join(root, entry.finished_path)) if entry.what in KINDS else nullcontext(True)
    with lock as is_free:
        if not is_free or relative not in own_entries(root):
            return False
        remove(path)
    return True


def files_in(path: str) -> t.Iterator[FileUse]:
    """The files and folders at a path, without following links."""
    status = os.lstat(path)
    yield _use(status)
    if stat.S_ISDIR(status.st_mode):
        for folder, folders, names in os.walk(path):
            for name in [*folders, *names]:
                yield _use(os.lstat(os.path.join(folder, name)))


def _use(status: os.stat_result) -> FileUse:
    # The links of a folder are those of the folders in it.
    links_of_file = 1 if stat.S_ISDIR(status.st_mode) else status.st_nlink
    return FileUse((status.st_dev, status.st_ino), links_of_file, status.st_blocks * BLOCK)


def _is_locked(path: str) -> bool:
    """Whether a run makes the artifact, or the folders of the release."""
    locks = [f"{Entry(path).finished_path}.lock"]
    if os.path.isdir(path):
        locks += [os.path.join(path, name) for name in os.listdir(path) if name.endswith(".lock")]
    return any(map(is_locked, locks))


def _text(path: str) -> str | None:
    try:
        with open_regular(path) as stream:
            return stream.read().decode("utf-8")
    except (OSError, ValueError):
        return None


def _mtime(path: str) -> float | None:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return None
