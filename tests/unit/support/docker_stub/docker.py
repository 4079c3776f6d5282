# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker SDK on hosts that are processes of one machine, each with a Docker of its own in the folder DOCKER_STUB.

`images.json` has the id of each image by name. All are the image in `image.tar`, whose id is in `image_id`. The
registry answers if the file `online` exists, and each pull is a line of `pulls`. Images have the size in
DOCKER_STUB_SIZE.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class DockerException(Exception):
    pass


class ImageNotFound(DockerException):
    pass


errors = SimpleNamespace(
    DockerException=DockerException, APIError=DockerException, ImageNotFound=ImageNotFound, NotFound=ImageNotFound
)


def from_env(**_options: Any) -> Client:
    return Client(Path(os.environ["DOCKER_STUB"]))


class Client:
    """Of DockerClient, what pulls, saves and loads images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api = self.images = self
        self.image_id = (folder / "image_id").read_text()

    def ping(self) -> bool:
        return True

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": str(self.folder), "DriverStatus": []}

    @property
    def _names(self) -> dict[str, str]:
        file = self.folder / "images.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def _add(self, *names: str) -> None:
        (self.folder / "images.json").write_text(json.dumps({**self._names, **dict.fromkeys(names, self.image_id)}))

    def get(self, name: str) -> SimpleNamespace:
        if name not in self._names:
            raise ImageNotFound(f"No such image: {name}")
        size = int(os.environ.get("DOCKER_STUB_SIZE", "77"))
        return SimpleNamespace(attrs={"Id": self._names[name], "Size": size, "Config": {}})

    def pull(self, repository: str, tag: str, **_options: Any) -> Iterator[dict[str, str]]:
        if not (self.folder / "online").exists():
            raise DockerException("no such host")
        with open(self.folder / "pulls", "a") as stream:
            stream.write(f"{repository}@{tag}\n")
        self._add(f"{repository}@{tag}", self.image_id)
        yield {"status": "Status: Downloaded newer image"}

    def get_image(self, name: str, chunk_size: int) -> Iterator[bytes]:
        self.get(name)
        with open(self.folder / "image.tar", "rb") as archive:
            yield from iter(lambda: archive.read(chunk_size), b"")

    def load_image(self, data: Iterable[bytes], quiet: bool) -> Iterator[dict[str, str]]:
        with tarfile.open(fileobj=io.BytesIO(b"".join(data))) as archive:
            assert quiet and f"{self.image_id.partition(':')[2]}.json" in archive.getnames()
        # Docker does not know by which digest another host has pulled it.
        self._add(self.image_id)
        yield {"stream": f"Loaded image ID: {self.image_id}\n"}
