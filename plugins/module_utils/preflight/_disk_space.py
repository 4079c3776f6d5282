# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether file systems have room for what is going to be written."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    free_bytes,
    is_complete,
    list_files,
    nearest_existing,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding, error

# The option that modules have for file systems still to be made or to grow; documented by the fragment coming_storage.
STORAGE = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "mount": {"type": "path", "required": True},
        "free_bytes": {"type": "int", "required": True},
    },
}


class Space(t.NamedTuple):
    """A file system, what is to be put on it and what is free."""

    mount: str
    needed: int
    free: int
    parts: list[str]


def mount_of(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def _space_of(path: str, storage: t.Mapping[str, int]) -> tuple[object, Space]:
    """The file system, and what tells it from others. `storage`: free bytes of those still to be made or to grow."""
    existing = nearest_existing(path)
    mount = mount_of(existing)
    below = [coming for coming in storage if path == coming or path.startswith(coming.rstrip("/") + "/")]
    coming = max(below, key=len, default="")
    if len(coming) >= len(mount):
        return coming, Space(coming, 0, storage[coming], [])
    return os.stat(existing).st_dev, Space(mount, 0, free_bytes(existing), [])


def measure_disk(wanted: t.Sequence[t.Mapping[str, t.Any]], storage: t.Mapping[str, int] | None = None) -> list[Space]:
    """What is still needed, by file system: nothing for a finished artifact, the rest for a half-made one."""
    spaces: dict[object, Space] = {}
    for item in wanted:
        key, found = _space_of(os.path.abspath(item["path"]), storage or {})
        space = spaces.setdefault(key, found)
        if is_complete(item["path"]):
            continue
        needed = max(0, item["bytes"] - sum(list_files(item["path"] + ".partial").values()))
        spaces[key] = space._replace(
            needed=space.needed + needed,
            parts=[*space.parts, f"{item.get('what') or 'data'} {human_bytes(needed)} in {item['path']}"],
        )
    return list(spaces.values())


def check_disk(spaces: t.Sequence[Space], variable: str) -> list[Finding]:
    return [
        error(
            "disk_space",
            f"the file system {space.mount} has {human_bytes(space.free)} free,"
            f" {human_bytes(space.needed)} is needed: {', '.join(space.parts)}",
            f"free {human_bytes(space.needed - space.free)} there, or choose another folder in {variable}",
        )
        for space in spaces
        if space.needed > space.free
    ]
