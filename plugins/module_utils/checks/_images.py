# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The archive of the backend image, and the image that an existing engine was built with."""

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
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    ArchiveImage,
    DockerError,
    archive_images,
    listed,
    with_digest,
)

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Archive, Engine

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True)
class ArchiveContent(Fact):
    """Its images; None if the archive cannot be opened, is invalid, or is compressed."""

    images: t.Sequence[ArchiveImage] | None = None
    unreadable: str = ""
    invalid: str = ""
    compressed: bool = False

    @classmethod
    def gather(cls, host: LiveHost) -> ArchiveContent | None:
        archive = host.needs.archive
        return read_archive(archive.path) if archive and not host.hung(archive.path) else None


def read_archive(path: str) -> ArchiveContent:
    try:
        with open(path, "rb") as stream:
            # In a compressed archive, the list of images can only be found by unpacking all of it.
            if stream.read(4).startswith(_COMPRESSED):
                return ArchiveContent(compressed=True)
        return ArchiveContent(archive_images(path))
    except OSError as exc:
        return ArchiveContent(unreadable=str(exc))
    except DockerError as exc:
        return ArchiveContent(invalid=str(exc))


def archive_missing(_archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.unreadable:
        yield error(f"the image archive cannot be read: {found.unreadable}", "correct O(archive)")


def archive_unreadable(_archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.invalid:
        yield error(found.invalid, "create it again with docker save, or correct O(archive)")


def archive_unchecked(archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.compressed:
        yield warning(
            f"{archive.path} is compressed: its image can only be checked when it is loaded",
            "use an uncompressed archive, which is checked in advance",
        )


def archive_image(archive: Archive, found: ArchiveContent) -> t.Iterator[Finding]:
    if found.images is not None and archive.digest and not with_digest(found.images, archive.digest):
        yield error(
            f"the archive {archive.path} contains image {listed(found.images)}, not {archive.digest}",
            "correct the archive or the digest in O(archive)",
        )


@dataclass(frozen=True)
class EngineRecord(Fact):
    """Why the image cannot serve the existing engine; empty if it can."""

    mismatch: str

    @classmethod
    def gather(cls, host: LiveHost) -> EngineRecord | None:
        engine = host.needs.engine
        return read_engine(engine) if engine and not host.hung(engine.path) else None


def read_engine(engine: Engine) -> EngineRecord:
    try:
        # A missing engine will be built with the right image.
        if is_complete(engine.path):
            check_engine_image(engine.path, engine.image_digest)
    except EngineImageMismatch as exc:
        return EngineRecord(str(exc))
    return EngineRecord("")


def engine_image(_engine: Engine, found: EngineRecord) -> t.Iterator[Finding]:
    if found.mismatch:
        yield error(found.mismatch, "set another engine or another image in O(engine)")


CHECKS = (
    Check(archive_missing, "archive", (ArchiveContent,)),
    Check(archive_unreadable, "archive", (ArchiveContent,)),
    Check(archive_unchecked, "archive", (ArchiveContent,)),
    Check(archive_image, "archive", (ArchiveContent,)),
    Check(engine_image, "engine", (EngineRecord,)),
)
