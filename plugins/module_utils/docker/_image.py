# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The image artifact: an image in Docker, identified by digest, and its record."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    difference,
    locked,
    read_artifact,
    reason_to_make,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    ArchiveImage,
    Docker,
    DockerError,
    Login,
    archive_images,
    listed,
    with_digest,
)

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REFUSE, KEEP = "refuse", "keep"
TAG_MOVED = (REFUSE, KEEP)
"""What to do if a tag no longer points at the recorded image."""


@dataclass(frozen=True)
class ImageRequest:
    """The options of trtllm_image."""

    dest: str
    source: str
    digest: str
    reference: str
    archive: str | None
    login: Login
    tag_moved: str
    check_mode: bool
    # The digest of the tag, if it was looked up before.
    resolved: str | None = None

    @property
    def asked(self) -> str:
        """The name that identifies the image among the inputs of its record; with a tag only if no digest is set."""
        if self.source == "archive":
            return self.digest
        return f"{self.repository}@{self.digest}" if self.digest else self.reference

    @property
    def repository(self) -> str:
        """The reference without its tag."""
        path, colon, tag = self.reference.rpartition(":")
        return path if colon and "/" not in tag else self.reference

    @property
    def inputs(self) -> dict[str, t.Any]:
        return {"image": self.asked}

    @property
    def problem(self) -> str | None:
        """Why the request does not identify an image; None if it does."""
        if self.digest and not DIGEST.fullmatch(self.digest):
            return f"digest: {self.digest!r} does not have the form sha256: and 64 hexadecimal digits"
        if not self.digest and self.source == "archive":
            return "digest is missing: set it to the digest of the image in the archive"
        if not self.digest and self.repository == self.reference:
            return f"reference: {self.reference!r} has neither a tag nor a digest: add one of them, or set digest"
        return None


def image_request(reference: str | None, digest: str | None, **others: t.Any) -> ImageRequest:
    """The request; the reference may contain a digest. DockerError if the request does not identify an image."""
    name, _at, inner = (reference or "").partition("@")
    if inner and digest and inner != digest:
        raise DockerError(f"reference has {inner}, but digest is {digest}: set only one of them")
    request = ImageRequest(reference=name, digest=digest or inner, **others)
    if request.problem:
        raise DockerError(request.problem)
    return request


def image_result(request: ImageRequest, docker: Docker | None) -> dict[str, t.Any]:
    """Make sure that Docker has the image and that its record is at dest; returns the result of the module.

    Without Docker (check mode on a new host) only the record is compared.
    """
    before = read_artifact(request.dest)
    stale = reason_to_make(request.dest, request.inputs)
    image, archived = _identity(request, before), None
    name = _name(request, before, image, docker)
    known = docker.image(name) if docker and name else None
    if request.archive and (known is None if docker else stale):
        archived = _check_archive(request, docker)
    if docker and archived:
        image = name = archived.shown(docker.containerd) or request.digest
        known = docker.image(image)
    reason = _reason(request, image, known) if docker else stale
    warnings = _check_tag(request, docker, image, is_there=known is not None) if docker and image else []
    if docker and not request.check_mode and (reason or stale or archived):
        reason, name, known = _provide(request, docker, reason, archived)
    known = known or {}
    return {
        "changed": reason is not None,
        "reason": reason,
        "image": name or request.asked,
        "image_id": known.get("Id"),
        "labels": (known.get("Config") or {}).get("Labels") or {},
        "size": known.get("Size"),
        "diff": difference(before, request.dest, request.inputs, reason),
        "warnings": warnings,
    }


def tag_digest(request: ImageRequest, docker: Docker) -> str:
    """The digest that the tag has, unless it was looked up before."""
    return request.resolved or docker.digest_of(request.reference, request.login)


def _check_tag(request: ImageRequest, docker: Docker, image: str, is_there: bool) -> list[str]:
    """Refuse a tag that was moved since it was recorded; returns a warning if the registry cannot be reached."""
    if request.digest or request.tag_moved == KEEP:
        return []
    recorded = image.partition("@")[2]
    try:
        found = tag_digest(request, docker)
    except DockerError as exc:
        # Without the registry a local image can still be used; pulling a missing one fails with the same error.
        return [f"cannot check whether {request.reference} is still {recorded}, which is used: {exc}"] * is_there
    if found == recorded:
        return []
    raise DockerError(
        f"the tag {request.reference} was moved: it was {recorded} (recorded in {request.dest}), and is {found} now."
        f" To use the new image, pin its digest (digest, trtllm_image.digest): {found}; everything built with the old"
        " one is then built again. To keep the recorded one, pin that, or set tag_moved (trtllm_image.tag_moved) to"
        " keep"
    )


def _identity(request: ImageRequest, record: t.Mapping[str, t.Any] | None) -> str | None:
    """The image by digest; None for a tag that has not been looked up yet."""
    recorded = str(record.get("image")) if record and record["inputs"] == request.inputs else ""
    if request.source == "archive":
        # Docker may show the image by its other digest.
        return recorded if DIGEST.fullmatch(recorded) else request.digest
    if request.digest:
        return request.asked
    repository, _at, digest = recorded.partition("@")
    return recorded if repository == request.repository and DIGEST.fullmatch(digest) else None


def _name(
    request: ImageRequest, record: t.Mapping[str, t.Any] | None, image: str | None, docker: Docker | None
) -> str | None:
    """What Docker knows the image by: the id of one that was copied from another host, which Docker did not pull."""
    if not (record and record.get("copied") and record["inputs"] == request.inputs):
        return image
    copy = name_in_docker(record)
    return copy if DIGEST.fullmatch(copy) and (docker is None or docker.image(copy)) else image


def name_in_docker(record: t.Mapping[str, t.Any]) -> str:
    """The digest that an image was pulled by, or the id of one that was copied or built."""
    return str(record.get("image_id") if record.get("copied") else record.get("image"))


def recorded_name(record: t.Mapping[str, t.Any]) -> str:
    """What Docker knows the image of a record by; empty if that is not an image that its inputs can stand for."""
    name, asked = name_in_docker(record), str(record["inputs"].get("image", ""))
    repository, _at, digest = name.partition("@")
    is_of_tag = DIGEST.fullmatch(digest) and asked.startswith(f"{repository}:")
    return name if name == asked or DIGEST.fullmatch(name) or is_of_tag else ""


def _reason(request: ImageRequest, image: str | None, known: t.Mapping[str, t.Any] | None) -> str | None:
    if image is None:
        return f"the digest of {request.asked} is not recorded in {request.dest}"
    if known:
        return None
    other = f", as it will show {request.digest}" if request.source == "archive" and image != request.digest else ""
    return f"Docker does not have image {image}{other}"


def _check_archive(request: ImageRequest, docker: Docker | None) -> ArchiveImage | None:
    """Refuse an archive of another image before gigabytes are loaded; None if there is no archive yet."""
    try:
        images = archive_images(str(request.archive))
    except DockerError as exc:
        if isinstance(exc.__cause__, FileNotFoundError) and not docker:
            return None
        raise
    image = with_digest(images, request.digest)
    if image is None:
        raise DockerError(
            f"the archive {request.archive} contains image {listed(images)}, not {request.digest}: correct digest, or"
            " use the archive of that image"
        )
    return image


def _provide(
    request: ImageRequest, docker: Docker, reason: str | None, archived: ArchiveImage | None
) -> tuple[str | None, str, dict[str, t.Any]]:
    with locked(request.dest):
        # Another run may have recorded the digest while this one waited for the lock.
        image = _identity(request, read_artifact(request.dest))
        if archived:
            image = archived.shown(docker.containerd) or request.digest
        if image is None:
            image = f"{request.repository}@{tag_digest(request, docker)}"
        else:
            reason = None
        draft = Draft(request.dest, request.inputs)
        progress = draft.begin()
        known = docker.image(image)
        if known is None:
            reason = reason or _reason(request, image, known)
            archive = str(request.archive)
            known = load(archive, archived, docker, progress) if archived else _pull(request, image, docker, progress)
        if archived:
            image = known["Id"]
        source = request.archive or request.reference
        draft.publish({"image": image, "image_id": known["Id"], "source": source}, progress)
    return reason, image, known


def load(archive: str, archived: ArchiveImage, docker: Docker, progress: Progress) -> dict[str, t.Any]:
    """Load the image in the archive; returns what Docker says about it."""
    loaded = docker.load(archive, progress)
    names = [name for name in archived if name]
    if docker.containerd and not archived.manifest and len(loaded) == 1:
        # Docker makes the manifest that the archive does not have.
        names += loaded
    known = next(filter(None, map(docker.image, names)), None)
    if known is None:
        raise DockerError(
            f"Docker loaded {archive}, but does not have {' or '.join(names)} afterwards: create the archive"
            " with docker save of Docker 25 or later, with one image in it"
        )
    return known


def _pull(request: ImageRequest, image: str, docker: Docker, progress: Progress) -> dict[str, t.Any]:
    docker.pull(image, progress, request.login)
    known = docker.image(image)
    if known is None:
        raise DockerError(f"Docker accepted {request.reference}, but does not have {image} afterwards: pull it again")
    return known
