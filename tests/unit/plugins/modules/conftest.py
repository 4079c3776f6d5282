# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of modules that are tested with the Docker of this machine."""

from __future__ import annotations

import io
import os
import tarfile
import typing as t
import uuid

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.images import LAYER, Images, has


@pytest.fixture(name="client", scope="module")
def fixture_client() -> t.Iterator[t.Any]:
    """A client of the Docker of this machine; the test is skipped without one."""
    docker = pytest.importorskip("docker")
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as exc:
        pytest.skip(f"there is no Docker: {exc}")
    yield client
    client.close()


@pytest.fixture(name="image")
def fixture_image(client: t.Any) -> t.Iterator[Images]:
    """A function that makes an image with a layer of random bytes and returns its name. The images are removed."""
    repository = f"tritonops-test-{uuid.uuid4().hex[:12]}"
    names = []

    def make(tag: str) -> str:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo("layer")
            member.size = LAYER
            tar.addfile(member, io.BytesIO(os.urandom(LAYER)))
        client.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)
        names.append(f"{repository}:{tag}")
        return names[-1]

    yield make
    for name in names:
        if has(client, name):
            client.images.remove(name, force=True)
