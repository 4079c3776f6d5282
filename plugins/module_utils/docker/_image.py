# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The image artifact: an image in the engine, by digest, and its record."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    difference,
    locked,
    read_artifact,
    state_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    Engine,
    EngineError,
    Login,
    archive_ids,
)

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REFUSE, KEEP = "refuse", "keep"
TAG_MOVED = (REFUSE, KEEP)
"""What to do about a tag that stands for another image than when it was recorded."""


@dataclass(frozen=True)
class ImageRequest:
    """What trtllm_image is asked for."""

    dest: str
    source: str
    digest: str
    reference: str
    archive: str | None
    login: Login
    tag_moved: str
    check_mode: bool

    @property
    def asked(self) -> str:
        """The image by the name that its record and the folder of that are known by; a tag if that is all there is."""
        if self.source == "archive":
            return self.digest
        return f"{self.repository}@{self.digest}" if self.digest else self.reference

    @property
    def repository(self) -> str:
        """The reference without a tag: the digest says more."""
        path, colon, tag = self.reference.rpartition(":")
        return path if colon and "/" not in tag else self.reference

    @property
    def inputs(self) -> dict[str, t.Any]:
        return {"image": self.asked}

    @property
    def problem(self) -> str | None:
        """What makes it impossible to tell the image."""
        if self.digest and not DIGEST.fullmatch(self.digest):
            return f"digest: {self.digest!r} is not of the form sha256: and 64 hexadecimal digits"
        if not self.digest and self.source == "archive":
            return "digest is missing: it must say which image the archive has"
        if not self.digest and self.repository == self.reference:
            return f"reference: {self.reference!r} has neither a tag nor a digest: add one of them, or give digest"
        return None


def image_request(reference: str | None, digest: str | None, **others: t.Any) -> ImageRequest:
    """The request; a digest may be part of the reference, too. EngineError where it does not tell the image."""
    name, _at, inner = (reference or "").partition("@")
    if inner and digest and inner != digest:
        raise EngineError(f"reference says {inner}, digest says {digest}: give one of them")
    request = ImageRequest(reference=name, digest=digest or inner, **others)
    if request.problem:
        raise EngineError(request.problem)
    return request


def image_result(request: ImageRequest, engine: Engine | None) -> dict[str, t.Any]:
    """Have the image in the engine and its record at dest; the result of the module.

    Without an engine (check mode on a bare host) the record is all there is to go by.
    """
    before = read_artifact(request.dest)
    stale = state_of(request.dest, request.inputs)
    image = _identity(request, before)
    known = engine.image(image) if engine and image else None
    reason = _reason(request, image, known) if engine else stale
    warnings = _check_tag(request, engine, image, is_there=known is not None) if engine and image else []
    if reason and request.archive:
        _check_archive(request, must_exist=engine is not None)
    if engine and not request.check_mode and (reason or stale):
        reason, image, known = _bring(request, engine, reason)
    known = known or {}
    return {
        "changed": reason is not None,
        "reason": reason,
        "image": image or request.asked,
        "image_id": known.get("Id"),
        "labels": (known.get("Config") or {}).get("Labels") or {},
        "size": known.get("Size"),
        "diff": difference(before, request.dest, request.inputs, reason),
        "warnings": warnings,
    }


def _check_tag(request: ImageRequest, engine: Engine, image: str, is_there: bool) -> list[str]:
    """Refuse a tag that was moved since it was recorded; warnings where that cannot be told and need not be."""
    if request.digest or request.tag_moved == KEEP:
        return []
    recorded = image.partition("@")[2]
    try:
        found = engine.digest_of(request.reference, request.login)
    except EngineError as exc:
        # Without a registry, what is there is served on; what is not fails to be pulled, for the same reason.
        return [f"cannot tell whether {request.reference} still is {recorded}, goes on with that: {exc}"] * is_there
    if found == recorded:
        return []
    raise EngineError(
        f"the tag {request.reference} was moved: it was {recorded} (recorded in {request.dest}), and it is {found} now."
        f" To run the new image, pin it (digest, trtllm_image.digest): {found}; what was built by the old one is then"
        " built anew. To stay with the recorded one, pin that, or say so (tag_moved, trtllm_image.tag_moved: keep)"
    )


def _identity(request: ImageRequest, record: t.Mapping[str, t.Any] | None) -> str | None:
    """The very image; None for a tag that no run has looked up yet."""
    if request.digest:
        return request.asked
    recorded = str(record.get("image")) if record and record["inputs"] == request.inputs else ""
    repository, _at, digest = recorded.partition("@")
    return recorded if repository == request.repository and DIGEST.fullmatch(digest) else None


def _reason(request: ImageRequest, image: str | None, known: t.Mapping[str, t.Any] | None) -> str | None:
    if image is None:
        return f"the digest of {request.asked} is not recorded in {request.dest}"
    return None if known else f"image {image} is not in the engine"


def _check_archive(request: ImageRequest, must_exist: bool) -> None:
    """Refuse an archive of another image before gigabytes of it are loaded."""
    try:
        ids = archive_ids(str(request.archive))
    except EngineError as exc:
        if isinstance(exc.__cause__, FileNotFoundError) and not must_exist:
            return
        raise
    if request.digest not in ids:
        raise EngineError(
            f"the archive {request.archive} holds image {' or '.join(sorted(ids))}, not {request.digest}: correct"
            " digest, or give the archive of that image"
        )


def _bring(request: ImageRequest, engine: Engine, reason: str | None) -> tuple[str | None, str, dict[str, t.Any]]:
    with locked(request.dest):
        # What another run has recorded while we waited for the lock counts.
        image = _identity(request, read_artifact(request.dest))
        if image is None:
            image = f"{request.repository}@{engine.digest_of(request.asked, request.login)}"
        else:
            reason = None
        draft = Draft(request.dest, request.inputs)
        progress = draft.begin()
        known = engine.image(image)
        if known is None:
            reason = reason or f"image {image} is not in the engine"
            known = _fetch(request, image, engine, progress)
        source = request.archive or request.reference
        draft.publish({"image": image, "image_id": known["Id"], "source": source}, progress)
    return reason, image, known


def _fetch(request: ImageRequest, image: str, engine: Engine, progress: Progress) -> dict[str, t.Any]:
    if request.source == "archive":
        engine.load(str(request.archive), progress)
    else:
        engine.pull(image, progress, request.login)
    known = engine.image(image)
    if known is None:
        raise EngineError(
            f"the engine has taken {request.archive or request.reference}, but does not know {image}"
            " afterwards: correct digest to the id that `docker image ls --digests --no-trunc` shows for it"
        )
    return known
