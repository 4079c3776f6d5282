# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The archive of an image, while hosts copy it from each other: one saves it, the others load it."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    check_replaceable,
    free_bytes,
    locked,
    mark_of,
    read_artifact,
    reason_to_make,
    remove,
    space_message,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    Docker,
    DockerError,
    archive_images,
    listed,
    with_digest,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._image import DIGEST, load, name_in_docker

ARCHIVE = "image.tar"
# What differs from host to host, or is made anew with the record.
OF_HOST = ("copied", "duration_seconds", "files", "key", "started")

Record = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class ImageArchive:
    """`dest` is the folder of the archive, and `image` that of the image's record."""

    dest: str
    image: str
    docker: Docker

    @property
    def path(self) -> str:
        return os.path.join(self.dest, ARCHIVE)

    def save(self, check_mode: bool) -> dict[str, t.Any]:
        """Save the image that Docker has. `problem` says why it was not saved, if the others do better without it."""
        record = read_artifact(self.image)
        name = name_in_docker(record) if record else ""
        known = self.docker.image(name) if record else None
        if record is None or known is None:
            raise DockerError(f"there is no image to save: {self.image} has no record of one that Docker has")
        inputs = {"image_id": known["Id"], "record": {key: record[key] for key in record if key not in OF_HOST}}
        if reason_to_make(self.dest, inputs) is None:
            return {"changed": False, "problem": ""}
        size, room = int(known.get("Size") or 0), free_bytes(self.dest)
        if size > room:
            return {"changed": False, "problem": space_message(f"the archive of {name}", self.dest, size, room)}
        if not check_mode:
            with locked(self.dest):
                self._write(Draft(self.dest, inputs), name, known["Id"])
        return {"changed": True, "problem": ""}

    def _write(self, draft: Draft, name: str, image_id: str) -> None:
        progress = draft.begin()
        path = os.path.join(draft.payload, ARCHIVE)
        draft.digests[ARCHIVE] = self.docker.save(name, path, progress)
        if with_digest(archive_images(path), image_id) is None:
            raise DockerError(f"Docker saved {listed(archive_images(path))} instead of {image_id}: run the play again")
        draft.publish({}, progress)

    def load(self, check_mode: bool) -> dict[str, t.Any]:
        """Load the image unless Docker has it, and record it as the host did that saved it; remove the archive."""
        archive = read_artifact(self.dest)
        if archive is None:
            return {"changed": False, "problem": f"there is no archive in {self.dest}"}
        record, image_id = _sound(archive["inputs"])
        held = read_artifact(self.image)
        if held and held["inputs"] == record["inputs"] and self.docker.image(name_in_docker(held)):
            self.remove(check_mode)
            return {"changed": False, "problem": ""}
        if not check_mode:
            with locked(self.image):
                draft = Draft(self.image, dict(record["inputs"]))
                progress = draft.begin()
                loaded = self._loaded(image_id, progress)
                # A built image has no other name than its id, which depends on Docker's image store.
                name = loaded if DIGEST.fullmatch(record["image"]) else record["image"]
                extra = {key: value for key, value in record.items() if key not in ("inputs", *OF_HOST)}
                draft.publish({**extra, "image": name, "image_id": loaded, "copied": True}, progress)
            self.remove(check_mode)
        return {"changed": True, "problem": ""}

    def _loaded(self, image_id: str, progress: Progress) -> str:
        images = archive_images(self.path)
        archived = with_digest(images, image_id)
        if archived is None:
            raise DockerError(
                f"the archive {self.path} contains image {listed(images)}, not {image_id}: the host that saved it is"
                " faulty. Run the play without it"
            )
        known = self.docker.image(archived.shown(self.docker.containerd) or image_id)
        known = known or load(self.path, archived, self.docker, progress)
        return str(known["Id"])

    def remove(self, check_mode: bool) -> dict[str, t.Any]:
        """Remove the archive, and what a killed run left of it."""
        left = [path for path in (self.dest, f"{self.dest}.partial") if os.path.lexists(path)]
        if not check_mode:
            for path in left:
                check_replaceable(path, mark_of(path))
                remove(path)
        return {"changed": bool(left), "problem": ""}


def _sound(inputs: Record) -> tuple[Record, str]:
    """The image's record and its id. They come from another host."""
    record, image_id = inputs.get("record"), inputs.get("image_id")
    is_sound = isinstance(record, dict) and isinstance(record.get("inputs"), dict)
    image = record.get("image") if is_sound and record else None
    if not (isinstance(image, str) and DIGEST.fullmatch(image.rpartition("@")[2])):
        raise DockerError("the archive's record is damaged: it does not say which image it contains")
    if not (isinstance(image_id, str) and DIGEST.fullmatch(image_id)):
        raise DockerError("the archive's record is damaged: it has no id of the image")
    return t.cast(Record, record), image_id
