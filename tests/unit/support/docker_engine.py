# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the Docker SDK's client, which gives answers of Docker 20.10, and archives of its images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from types import SimpleNamespace

import pytest

docker = pytest.importorskip("docker")

CONFIG = b'{"architecture": "amd64"}'
IMAGE_ID = "sha256:" + hashlib.sha256(CONFIG).hexdigest()
MANIFEST = "sha256:" + "cd" * 32
REFERENCE = "127.0.0.1:5000/nvidia/tritonserver"
TAGGED = f"{REFERENCE}:25.12"
OTHER_MANIFEST = "sha256:" + "ef" * 32


class FakeEngine:
    """The methods of docker.DockerClient that are used."""

    def __init__(self):
        self.there = {}
        self.api = self.images = self
        self.calls = []
        self.logins = []
        self.events = [{"status": "Status: Downloaded newer image"}]
        self.brings = IMAGE_ID
        self.tags = {TAGGED: MANIFEST}
        self.store = []
        self.loaded = None
        self.saves = saved()

    def ping(self):
        return True

    def info(self):
        return {"DockerRootDir": "/", "DriverStatus": self.store}

    def get(self, name):
        if name not in self.there:
            raise docker.errors.ImageNotFound("No such image: " + name)
        return SimpleNamespace(attrs=self.there[name])

    def arrive(self, name):
        image = {"Id": self.brings, "Size": 77, "Config": {"Labels": {"a": "b"}}}
        self.there.update({name: image, self.brings: image})

    def get_image(self, name, chunk_size):
        self.calls.append(("save", name))
        archive = io.BytesIO()
        write_members(archive, self.saves)
        archive.seek(0)
        return iter(lambda: archive.read(1000), b"")

    def load_image(self, data, quiet):
        self.calls.append(("load", sum(len(block) for block in data), quiet))
        self.arrive(self.brings)
        if self.loaded:
            self.there[self.loaded] = self.there[self.brings]
            yield {"stream": f"Loaded image: {self.loaded}\n"}
        else:
            yield {"stream": f"Loaded image ID: {self.brings}\n"}

    def reload_config(self, dockercfg_path):
        self.calls.append(("config", dockercfg_path))

    def get_registry_data(self, name, auth_config=None):
        self.calls.append(("look up", name))
        self.logins.append(auth_config)
        if name not in self.tags:
            raise docker.errors.APIError("500 Server Error", explanation="manifest unknown: manifest unknown")
        return SimpleNamespace(id=self.tags[name])

    def pull(self, repository, tag, stream, decode, auth_config=None):
        assert stream and decode
        self.logins.append(auth_config)
        self.calls.append(("pull", repository, tag))
        yield from self.events
        self.arrive(f"{repository}@{tag}")


def write_archive(path, members):
    with open(path, "wb") as stream:
        write_members(stream, members, "w:gz" if path.suffix == ".gz" else "w")
    return path


def write_members(stream, members, mode="w"):
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def saved(config=CONFIG):
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    return {"layer/layer.tar": b"x" * 5000, name: config, "manifest.json": json.dumps([{"Config": name}]).encode()}
