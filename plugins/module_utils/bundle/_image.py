# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""An image as an archive that `docker load` takes: out of a registry, out of this machine's engine, or as it is."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    check_space,
    try_hard_link,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import archive_ids

ARCHIVE = "image.tar"
Run = t.Callable[..., str]


@dataclass(frozen=True)
class ImageSource:
    """`name` is repository@digest or repository:tag (registry), or what the engine calls it (engine)."""

    source: str
    name: str
    archive: str | None
    digest: str | None
    authfile: str | None
    # What the image is known to take, before anything is fetched.
    size: int

    @property
    def inputs(self) -> dict[str, t.Any]:
        if self.source == "archive":
            return {"source": "archive", "digest": self.digest}
        return {"source": self.source, "name": self.name}


class ImageArchive:
    """Writes the archive by what the machine has: skopeo needs neither an engine nor root."""

    def __init__(self, source: ImageSource, run: Run, find: t.Callable[[str], str | None]) -> None:
        self._source = source
        self._run = run
        self._find = find

    def make(self, draft: Draft) -> dict[str, t.Any]:
        progress = draft.begin()
        archive = os.path.join(draft.payload, ARCHIVE)
        check_space(draft.payload, self._size(), f"the image {self._source.name or self._source.archive}")
        progress.start(self._source.source, total=self._size() or None)
        with sampled(progress, lambda: bytes_in(draft.partial)):
            image_id = self._write(archive)
        ids = sorted(archive_ids(archive))
        if image_id and image_id not in ids:
            raise BundleError(
                f"the archive {archive} holds image {' or '.join(ids)}, not {image_id}: correct trtllm_image"
            )
        return draft.publish({"image_id": image_id or ids[0]}, progress)

    def _size(self) -> int:
        return os.path.getsize(str(self._source.archive)) if self._source.source == "archive" else self._source.size

    def _write(self, archive: str) -> str | None:
        """The id that the image has by whoever wrote the archive, where it says one."""
        if self._source.source == "archive":
            if not try_hard_link(str(self._source.archive), archive):
                shutil.copyfile(str(self._source.archive), archive)
            return self._source.digest
        if self._source.source == "registry" and self._find("skopeo"):
            self._copy(archive)
            return None
        if self._find("docker"):
            return self._save(archive)
        raise BundleError(
            f"taking {self._source.name} to an archive needs skopeo or docker, and this machine has neither:"
            " install one, or give an archive (trtllm_image: {source: archive, …})"
        )

    def _copy(self, archive: str) -> None:
        credentials = [f"--authfile={self._source.authfile}"] if self._source.authfile else []
        command = ["skopeo", "copy", "--quiet", "--retry-times=3", *credentials]
        way = [f"docker://{self._source.name}", f"docker-archive:{archive}"]
        self._run([*command, *way], f"cannot fetch {self._source.name}")

    def _save(self, archive: str) -> str:
        name = self._source.name
        if self._source.source == "registry":
            config = ["--config", os.path.dirname(self._source.authfile)] if self._source.authfile else []
            self._run(["docker", *config, "pull", "--quiet", name], f"cannot pull {name}")
        asked = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
        image_id = self._run(asked, f"the engine of this machine has no image {name}").strip()
        self._run(["docker", "image", "save", "--output", archive, image_id], f"cannot save {name}")
        return image_id
