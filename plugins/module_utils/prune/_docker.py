# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The images of records, and the cache of builds, in Docker's own words. No I/O."""

from __future__ import annotations

import typing as t

Answer = t.Mapping[str, t.Any]


class Image(t.NamedTuple):
    """`bytes` are those of the layers that no other image has. `users` are the containers that use it."""

    bytes: int
    names: frozenset[str] = frozenset()
    users: tuple[str, ...] = ()


def images_of(usage: Answer, containers: t.Iterable[Answer]) -> dict[str, Image]:
    """The images by id, from what Docker answers to `docker system df` and `docker ps --all`."""
    users: dict[str, list[str]] = {}
    for container in containers:
        name = (container.get("Names") or [container.get("Id", "")[:12]])[0].lstrip("/")
        users.setdefault(container.get("ImageID", ""), []).append(name)
    return {
        entry["Id"]: Image(
            # Docker says -1 for a size that it does not know.
            max(0, entry.get("Size") or 0) - max(0, entry.get("SharedSize") or 0),
            frozenset(_names(entry)),
            tuple(users.get(entry["Id"], ())),
        )
        for entry in usage.get("Images") or []
    }


def _names(entry: Answer) -> t.Iterator[str]:
    for names in (entry.get("RepoTags"), entry.get("RepoDigests")):
        yield from (name for name in names or [] if not name.startswith("<none>"))


def freed(image: Image | None, names: t.Collection[str]) -> int:
    """The bytes that removing these names frees: none if the image has another one.

    With the last tag of a repository, Docker also removes the digests that the image has in it.
    """
    if image is None:
        return 0
    by_id = any(name.startswith("sha256:") for name in names)
    own = {name.partition("@")[0] for name in names}
    repositories = own | {name.rpartition(":")[0] for name in own}
    others = [name for name in image.names - set(names) if "@" not in name or name.split("@")[0] not in repositories]
    return image.bytes if by_id or not others else 0


def cache_bytes(usage: Answer) -> int:
    """The bytes of the cache that no build uses."""
    return sum(entry.get("Size") or 0 for entry in usage.get("BuildCache") or [] if not entry.get("InUse"))
