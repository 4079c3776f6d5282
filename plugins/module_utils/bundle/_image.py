# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The image of a bundle: an archive for `docker load`, from a registry, from Docker on this machine, or a given one."""

from __future__ import annotations

import os
import shutil
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    check_space,
    try_hard_link,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import Run, runner
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import ArgumentSpec, Kind, Options
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    archive_images,
    listed,
    with_digest,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ARCHIVE = "image.tar"
SPEC: ArgumentSpec = {
    "type": "dict",
    "options": {
        "source": {"type": "str", "choices": ["registry", "docker", "archive"], "required": True},
        "name": {"type": "str", "default": ""},
        "archive": {"type": "path"},
        "digest": {"type": "str"},
        "authfile": {"type": "path"},
        "size": {"type": "int", "default": 0},
    },
    "required_if": [("source", "archive", ["archive", "digest"])],
}


@dataclass(frozen=True)
class ImageSource:
    """`name` is repository@digest or repository:tag in a registry, or the image's name in Docker."""

    source: str
    name: str
    archive: str | None
    digest: str | None
    authfile: str | None
    # Its expected size in bytes, checked against the free space before anything is downloaded.
    size: int

    @property
    def inputs(self) -> dict[str, t.Any]:
        if self.source == "archive":
            return {"source": "archive", "digest": self.digest}
        return {"source": self.source, "name": self.name}


class ImageArchive:
    """Writes the archive, with skopeo if it is installed, because that needs neither Docker nor root."""

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
        images = archive_images(archive)
        if image_id and not with_digest(images, image_id):
            raise BundleError(
                f"the archive {archive} contains the image {listed(images)}, not {image_id}: correct trtllm_image"
            )
        return draft.publish({"image_id": image_id or images[0].config}, progress)

    def _size(self) -> int:
        return os.path.getsize(str(self._source.archive)) if self._source.source == "archive" else self._source.size

    def _write(self, archive: str) -> str | None:
        """Write the archive and return the id that the image must have, if it is known."""
        if self._source.source == "archive":
            source = str(self._source.archive)
            # Publishing sets the mode, which must not change that of the user's file.
            has_mode = stat.S_IMODE(os.lstat(source).st_mode) == 0o644
            if not (has_mode and try_hard_link(source, archive)):
                shutil.copyfile(source, archive)
            return self._source.digest
        if self._source.source == "registry" and self._find("skopeo"):
            self._copy(archive)
            return None
        if self._find("docker"):
            return self._save(archive)
        raise BundleError(
            f"saving {self._source.name} to an archive requires skopeo or Docker, and this machine has neither:"
            " install one of them, or set an archive (trtllm_image: {source: archive, …})"
        )

    def _copy(self, archive: str) -> None:
        credentials = [f"--authfile={self._source.authfile}"] if self._source.authfile else []
        command = ["skopeo", "copy", "--quiet", "--retry-times=3", *credentials]
        transfer = [f"docker://{self._source.name}", f"docker-archive:{archive}"]
        self._run([*command, *transfer], f"cannot download {self._source.name}")

    def _save(self, archive: str) -> str:
        name = self._source.name
        if self._source.source == "registry":
            config = ["--config", os.path.dirname(self._source.authfile)] if self._source.authfile else []
            self._run(["docker", *config, "pull", "--quiet", name], f"cannot pull {name}")
        inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
        image_id = self._run(inspect, f"Docker on this machine does not have the image {name}").strip()
        self._run(["docker", "image", "save", "--output", archive, image_id], f"cannot save {name}")
        return image_id


def inputs(options: Options) -> dict[str, t.Any]:
    return ImageSource(**options).inputs


def make(options: Options, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    return ImageArchive(ImageSource(**options), runner(module), module.get_bin_path).make(draft)


def results(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"image_id": record.get("image_id")}


KIND = Kind(SPEC, inputs, make, results)
