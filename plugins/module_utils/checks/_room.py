# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether disks and memory have room for what is going to be there."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    free_bytes,
    is_complete,
    list_files,
    nearest_existing,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_total

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk, Needs, Shm

# What NCCL wants between the ranks of a model.
RANKS_SHM = 1 << 30
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


class Place(t.NamedTuple):
    """Where something goes: what tells the file system from others, and how much of it is written; None for all."""

    file_system: object
    mount: str
    free: int
    written: int | None


class Space(t.NamedTuple):
    """A file system, what is still to be put on it and what is free."""

    mount: str
    needed: int
    free: int
    parts: t.Sequence[str]


@dataclass(frozen=True)
class Places(Fact):
    """By path. A path that is not in it is not known."""

    by_path: t.Mapping[str, Place]

    @classmethod
    def look(cls, host: LiveHost) -> Places:
        storage = host.options["storage"]
        return cls({wanted.path: place_of(wanted.path, storage) for wanted in host.needs.disk})

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        spaces = spaces_of(needs.disk, self)
        return {
            "disk": [{"mount": space.mount, "needed_bytes": space.needed, "free_bytes": space.free} for space in spaces]
        }


def mount_of(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def place_of(path: str, storage: t.Sequence[t.Mapping[str, t.Any]]) -> Place:
    """`storage`: file systems that are still to be made or to grow."""
    path = os.path.abspath(path)
    existing, coming = nearest_existing(path), {entry["mount"]: entry["free_bytes"] for entry in storage}
    below = [mount for mount in coming if path == mount or path.startswith(mount.rstrip("/") + "/")]
    written = None if is_complete(path) else sum(list_files(path + ".partial").values())
    mount, nearest = mount_of(existing), max(below, key=len, default="")
    if len(nearest) >= len(mount):
        return Place(nearest, nearest, coming[nearest], written)
    return Place(os.stat(existing).st_dev, mount, free_bytes(existing), written)


def spaces_of(disk: t.Sequence[Disk], places: Places) -> list[Space]:
    """What is still needed, by file system: nothing for a finished artifact, the rest for a half-made one."""
    spaces: dict[object, Space] = {}
    for wanted in disk:
        place = places.by_path.get(wanted.path)
        if place is None:
            continue
        space = spaces.setdefault(place.file_system, Space(place.mount, 0, place.free, []))
        if place.written is not None:
            needed = max(0, wanted.bytes - place.written)
            part = f"{wanted.what} {human_bytes(needed)} in {wanted.path}"
            spaces[place.file_system] = space._replace(needed=space.needed + needed, parts=[*space.parts, part])
    return list(spaces.values())


def disk_space(disk: t.Sequence[Disk], places: Places) -> t.Iterator[Finding]:
    for space in spaces_of(disk, places):
        if space.needed > space.free:
            yield error(
                f"the file system {space.mount} has {human_bytes(space.free)} free,"
                f" {human_bytes(space.needed)} is needed: {', '.join(space.parts)}",
                f"free {human_bytes(space.needed - space.free)} there, or choose another folder in O(disk)",
            )


@dataclass(frozen=True)
class Memory(Fact):
    bytes: int

    @classmethod
    def look(cls, host: LiveHost) -> Memory:
        return cls(memory_total())

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        return {"memory_bytes": self.bytes}


def memory(needed: int, found: Memory) -> t.Iterator[Finding]:
    if needed > found.bytes:
        yield error(
            f"the host has {human_bytes(found.bytes)} of memory, {human_bytes(needed)} is needed",
            "use a larger host or a smaller model; the need is set in O(memory_bytes)",
        )


def shm(wanted: Shm, found: Memory) -> t.Iterator[Finding]:
    """The container has a /dev/shm of its own, whose pages are memory of the host."""
    size = human_to_bytes(wanted.size.lower().rstrip("b"))
    if size > found.bytes:
        yield error(
            f"a /dev/shm of {human_bytes(size)} is asked for, the host has {human_bytes(found.bytes)} of memory",
            "ask for less in O(shm)",
        )
    elif wanted.ranks > 1 and size < RANKS_SHM:
        yield warning(
            f"a /dev/shm of {human_bytes(size)} is little for {wanted.ranks} ranks: NCCL wants"
            f" {human_bytes(RANKS_SHM)}",
            "ask for more in O(shm)",
        )


CHECKS = (
    Check(disk_space, "disk", (Places,)),
    Check(memory, "memory_bytes", (Memory,)),
    Check(shm, "shm", (Memory,)),
)
