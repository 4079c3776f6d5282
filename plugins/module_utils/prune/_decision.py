# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Decides what no release needs, and how much space its removal would free. No I/O."""

from __future__ import annotations

import posixpath
import re
import typing as t
from collections import Counter

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import CACHE, DEPLOYMENTS, UNFINISHED
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import Links

KEEP = 2
_LOG = re.compile(r"logs/image-([0-9a-f]+)\.log(\.1)?")


class Entry(t.NamedTuple):
    """An artifact, a release, a cache of compiled kernels or a log below the root folder, with its path relative to it.

    `names` are those by which a record refers to it. `record` is the text of its own record, which names what it was
    made from; None if it cannot be read. `made` and `proved` are times of releases.
    """

    path: str
    names: frozenset[str] = frozenset()
    record: str | None = ""
    made: float = 0.0
    proved: float | None = None

    @property
    def what(self) -> str:
        first, *others = self.path.split("/")
        if first == DEPLOYMENTS:
            return "cache" if others[1] == CACHE else "release"
        return "log" if first == "logs" else first

    @property
    def unfinished(self) -> bool:
        return self.path.endswith(UNFINISHED)

    @property
    def finished_path(self) -> str:
        return self.path[: -len(UNFINISHED)] if self.unfinished else self.path

    @property
    def deployment(self) -> str:
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        return posixpath.basename(self.finished_path)


class FileUse(t.NamedTuple):
    """A file or folder on disk: its device and inode, its number of hard links, and the bytes that it takes."""

    id: tuple[int, int]
    links: int
    bytes: int


def unused(
    entries: t.Sequence[Entry],
    links: t.Mapping[str, Links],
    keep: int = KEEP,
    wanted: str = "",
    busy: t.Container[str] = (),
) -> dict[str, str]:
    """The paths that no release needs, and why each of them is not needed.

    `links`: what each deployment serves. `keep`: the number of newest releases of a deployment to keep. `wanted`: a
    text; what it names is needed. `busy`: paths that are needed because they are in use.
    """
    releases = [entry for entry in entries if entry.what == "release"]
    artifacts = [entry for entry in entries if entry.what not in ("release", "cache", "log")]
    needed = {
        *kept_releases([entry for entry in releases if not entry.unfinished], links, keep),
        *(entry.path for entry in entries if not entry.unfinished and _named(entry, wanted)),
        *(entry.path for entry in entries if entry.path in busy),
    }
    records = [entry.record for entry in releases if entry.path in needed and not entry.unfinished]
    if None in records:
        # It may need any of them.
        needed.update(entry.path for entry in artifacts)
    text = "\n".join([wanted, *(record for record in records if record)])
    needed |= _closure([entry for entry in artifacts if not entry.unfinished], needed, text)
    made_from = "\n".join([text, *(entry.record or "" for entry in artifacts if entry.path in needed)])
    finished = {entry.path for entry in entries if not entry.unfinished}
    for entry in [*releases, *artifacts]:
        # A run would continue it.
        if entry.unfinished and entry.finished_path not in finished and _named(entry, made_from):
            needed.add(entry.path)
    images = {entry.name for entry in artifacts if entry.what == "image" and entry.path in needed}
    needed.update(entry.path for entry in entries if _image_of(entry) in images)
    return {entry.path: _why(entry) for entry in entries if entry.path not in needed}


def kept_releases(releases: t.Sequence[Entry], links: t.Mapping[str, Links], keep: int) -> set[str]:
    """The current, the previous, the last proved and the newest releases of each deployment."""
    kept: set[str] = set()
    for deployment in {entry.deployment for entry in releases}:
        own = [entry for entry in releases if entry.deployment == deployment]
        served = links.get(deployment, Links("", ""))
        proved = [entry for entry in own if entry.proved is not None]
        newest = sorted(own, key=lambda entry: (entry.made, entry.name), reverse=True)
        kept.update(entry.path for entry in own if entry.name in served)
        kept.update(entry.path for entry in sorted(proved, key=lambda entry: entry.proved or 0.0)[-1:])
        kept.update(entry.path for entry in newest[: max(0, keep)])
    return kept


def _closure(artifacts: t.Sequence[Entry], needed: t.Collection[str], text: str) -> set[str]:
    """The artifacts that the text names, and those that these were made from."""
    found = {entry.path for entry in artifacts if entry.path in needed}
    texts = [text, *(entry.record or "" for entry in artifacts if entry.path in found)]
    while texts:
        known = "\n".join(texts)
        new = [entry for entry in artifacts if entry.path not in found and _named(entry, known)]
        found.update(entry.path for entry in new)
        texts = [entry.record or "" for entry in new]
    return found


def _named(entry: Entry, text: str) -> bool:
    """Whether the text contains one of its names anywhere, so that nothing is overlooked."""
    return any(name in text for name in entry.names)


def _image_of(entry: Entry) -> str | None:
    """The key of the image that a cache or a log belongs to."""
    if entry.what == "cache":
        return entry.name
    match = _LOG.fullmatch(entry.path)
    return match.group(1) if match else None


def _why(entry: Entry) -> str:
    if entry.unfinished:
        return "an interrupted run left it"
    if entry.what in ("cache", "log"):
        return f"{entry.what} of an image that is not needed"
    return "older than the releases to keep" if entry.what == "release" else "no release needs it"


def freed_by(files: t.Mapping[str, t.Iterable[FileUse]]) -> dict[str, int]:
    """The bytes that removing all of these paths frees, by path.

    A file is freed with its last hard link. If all its links are in these paths, it counts for the last of them.
    """
    uses = {path: list(found) for path, found in files.items()}
    counts = Counter(use.id for found in uses.values() for use in found)
    seen: set[tuple[int, int]] = set()
    freed = dict.fromkeys(uses, 0)
    for path, found in reversed(list(uses.items())):
        for use in found:
            if use.id not in seen and counts[use.id] >= use.links:
                freed[path] += use.bytes
            seen.add(use.id)
    return freed


def in_use(files: t.Mapping[str, t.Iterable[FileUse]], held: t.Container[tuple[int, int]]) -> set[str]:
    """The paths of which a process holds a file or folder. A file with a link elsewhere may be held through that."""
    uses = {path: list(found) for path, found in files.items()}
    counts = Counter(use.id for found in uses.values() for use in found)
    return {
        path for path, found in uses.items() if any(use.id in held and counts[use.id] >= use.links for use in found)
    }
