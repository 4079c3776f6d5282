# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""An archive of the backend image, and an engine that some image has built."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    EngineImageMismatch,
    check_engine_image,
    is_complete,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import EngineError, archive_ids

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Archive, Engine

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True)
class ArchiveContent(Fact):
    """The ids of its images; None if they cannot be told: it cannot be opened, is something else, or is compressed."""

    ids: t.Collection[str] | None = None
    closed: str = ""
    wrong: str = ""
    compressed: bool = False

    @classmethod
    def look(cls, host: LiveHost) -> ArchiveContent | None:
        return look_into_archive(host.needs.archive.path) if host.needs.archive else None


def look_into_archive(path: str) -> ArchiveContent:
    try:
        with open(path, "rb") as stream:
            # To find the list of images in a compressed one, all of it would have to be unpacked.
            if stream.read(4).startswith(_COMPRESSED):
                return ArchiveContent(compressed=True)
        return ArchiveContent(sorted(archive_ids(path)))
    except OSError as exc:
        return ArchiveContent(closed=str(exc))
    except EngineError as exc:
        return ArchiveContent(wrong=str(exc))


def archive_missing(_archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.closed:
        yield error(f"the image archive cannot be read: {found.closed}", "correct O(archive)")


def archive_unreadable(_archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.wrong:
        yield error(found.wrong, "make it again with docker save, or correct O(archive)")


def archive_unchecked(archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.compressed:
        yield warning(
            f"{archive.path} is compressed: which image is in it shows only when it is loaded",
            "keep it uncompressed to have it checked now",
        )


def archive_image(archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.ids is not None and archive.digest and archive.digest not in found.ids:
        ids = " or ".join(found.ids) or "none"
        yield error(
            f"the archive {archive.path} has the image {ids}, wanted is {archive.digest}",
            "correct the archive or the digest in O(archive)",
        )


@dataclass(frozen=True)
class EngineRecord(Fact):
    """Why the image of the needs cannot serve the engine that is there, if it cannot."""

    mismatch: str

    @classmethod
    def look(cls, host: LiveHost) -> EngineRecord | None:
        return look_at_engine(host.needs.engine) if host.needs.engine else None


def look_at_engine(engine: Engine) -> EngineRecord:
    try:
        # One that is not there yet is going to be built by the right image.
        if is_complete(engine.path):
            check_engine_image(engine.path, engine.image_digest)
    except EngineImageMismatch as exc:
        return EngineRecord(str(exc))
    return EngineRecord("")


def engine_image(_engine: Engine, found: EngineRecord) -> t.Iterator[Finding]:
    if found.mismatch:
        yield error(found.mismatch, "name another engine or another image in O(engine)")


CHECKS = (
    Check(archive_missing, "archive", (ArchiveContent,)),
    Check(archive_unreadable, "archive", (ArchiveContent,)),
    Check(archive_unchecked, "archive", (ArchiveContent,)),
    Check(archive_image, "archive", (ArchiveContent,)),
    Check(engine_image, "engine", (EngineRecord,)),
)
