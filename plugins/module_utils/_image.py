# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The image artifact: an image in the engine, by digest, and its record."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils._artifact import (
    Draft,
    difference,
    locked,
    read_artifact,
    state_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils._containers import Engine, EngineError, archive_ids
from ansible_collections.tritonops.trtllm.plugins.module_utils._progress import Progress


@dataclass(frozen=True)
class ImageRequest:
    """What trtllm_image is asked for."""

    dest: str
    source: str
    digest: str
    reference: str | None
    archive: str | None
    docker_config: str | None
    check_mode: bool

    @property
    def image(self) -> str:
        """What to run."""
        return f"{self.repository}@{self.digest}" if self.source == "registry" else self.digest

    @property
    def repository(self) -> str:
        """The reference without a tag: the digest says more."""
        path, colon, tag = (self.reference or "").rpartition(":")
        return path if colon and "/" not in tag else self.reference or ""

    @property
    def inputs(self) -> dict[str, t.Any]:
        return {"image": self.image}


def image_result(request: ImageRequest, engine: Engine | None) -> dict[str, t.Any]:
    """Have the image in the engine and its record at dest; the result of the module.

    Without an engine (check mode on a bare host) the record is all there is to go by.
    """
    before = read_artifact(request.dest)
    stale = state_of(request.dest, request.inputs)
    known = engine.image(request.image) if engine else None
    reason = f"image {request.image} is not in the engine" if engine and known is None else None
    if engine is None:
        reason = stale
    if reason and request.archive:
        _check_archive(request, must_exist=engine is not None)
    if engine and not request.check_mode and (reason or stale):
        reason, known = _bring(request, engine, reason)
    known = known or {}
    return {
        "changed": reason is not None,
        "reason": reason,
        "image": request.image,
        "image_id": known.get("Id"),
        "labels": (known.get("Config") or {}).get("Labels") or {},
        "size": known.get("Size"),
        "diff": difference(before, request.dest, request.inputs, reason),
    }


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


def _bring(request: ImageRequest, engine: Engine, reason: str | None) -> tuple[str | None, dict[str, t.Any]]:
    with locked(request.dest):
        draft = Draft(request.dest, request.inputs)
        progress = draft.begin()
        known = engine.image(request.image)
        if known is not None:
            # It came while we waited for the lock, or only its record was missing.
            reason = None
        else:
            known = _fetch(request, engine, progress)
        record = {"image": request.image, "image_id": known["Id"], "source": request.archive or request.reference}
        draft.publish(record, progress)
    return reason, known


def _fetch(request: ImageRequest, engine: Engine, progress: Progress) -> dict[str, t.Any]:
    if request.source == "archive":
        engine.load(str(request.archive), progress)
    else:
        engine.pull(request.repository, request.digest, progress, request.docker_config)
    known = engine.image(request.image)
    if known is None:
        raise EngineError(
            f"the engine has taken {request.archive or request.reference}, but does not know {request.image}"
            " afterwards: correct digest to the id that `docker image ls --digests --no-trunc` shows for it"
        )
    return known
