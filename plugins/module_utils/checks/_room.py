# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether disks and memory are large enough."""

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

# What NCCL needs in /dev/shm between the ranks of a model.
RANKS_SHM = 1 << 30
# The module option for file systems that will be created or grown; documented by the fragment coming_storage.
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
    """Where data is written: an identifier of the file system, and the bytes written so far; None if complete."""

    file_system: object
    mount: str
    free: int
    written: int | None


class Space(t.NamedTuple):
    """A file system, with the bytes that are still needed on it and the free bytes."""

    mount: str
    needed: int
    free: int
    parts: t.Sequence[str]


@dataclass(frozen=True)
class Places(Fact):
    """Places by path. Other paths are unknown."""

    by_path: t.Mapping[str, Place]

    @classmethod
    def gather(cls, host: LiveHost) -> Places:
        storage = host.options["storage"]
        paths = [wanted.path for wanted in host.needs.disk if not host.hung(wanted.path)]
        return cls({path: place_of(path, storage) for path in paths})

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
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
    """`storage` are file systems that will be created or grown."""
    path = os.path.abspath(path)
    existing, coming = nearest_existing(path), {entry["mount"]: entry["free_bytes"] for entry in storage}
    below = [mount for mount in coming if path == mount or path.startswith(mount.rstrip("/") + "/")]
    written = None if is_complete(path) else sum(list_files(path + ".partial").values())
    mount, nearest = mount_of(existing), max(below, key=len, default="")
    if len(nearest) >= len(mount):
        return Place(nearest, nearest, coming[nearest], written)
    return Place(os.stat(existing).st_dev, mount, free_bytes(existing), written)


def spaces_of(disk: t.Sequence[Disk], places: Places) -> list[Space]:
    """What is still needed on each file system: nothing for a complete artifact, the rest for an unfinished one."""
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
                f"the file system {space.mount} has {human_bytes(space.free)} free, but"
                f" {human_bytes(space.needed)} is needed: {', '.join(space.parts)}",
                f"free {human_bytes(space.needed - space.free)} there, or choose another folder in O(disk)",
            )


@dataclass(frozen=True)
class Memory(Fact):
    bytes: int

    @classmethod
    def gather(cls, host: LiveHost) -> Memory:
        return cls(memory_total())

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"memory_bytes": self.bytes}


def memory(needed: int, found: Memory) -> t.Iterator[Finding]:
    if needed > found.bytes:
        yield error(
            f"the host has {human_bytes(found.bytes)} of memory, but {human_bytes(needed)} is needed",
            "use a larger host or a smaller model; the required amount comes from O(memory_bytes)",
        )


def shm(wanted: Shm, found: Memory) -> t.Iterator[Finding]:
    """The container has its own /dev/shm, which uses the host's memory."""
    size = human_to_bytes(wanted.size.lower().rstrip("b"))
    if size > found.bytes:
        yield error(
            f"/dev/shm needs {human_bytes(size)}, but the host has {human_bytes(found.bytes)} of memory",
            "reduce O(shm)",
        )
    elif wanted.ranks > 1 and size < RANKS_SHM:
        yield warning(
            f"a /dev/shm of {human_bytes(size)} is too small for {wanted.ranks} ranks: NCCL needs"
            f" {human_bytes(RANKS_SHM)}",
            "increase O(shm)",
        )


CHECKS = (
    Check(disk_space, "disk", (Places,)),
    Check(memory, "memory_bytes", (Memory,)),
    Check(shm, "shm", (Memory,)),
)
