# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
from typing import Any, Callable

import pytest
from testinfra.host import Host

MODELS = {"ensemble", "postprocessing", "preprocessing", "tensorrt_llm", "tensorrt_llm_bls"}

DIGEST_OF_TAG = """
from urllib.request import Request, urlopen
manifest = Request("http://localhost:5000/v2/tritonserver/manifests/test")
manifest.add_header("Accept", "application/vnd.docker.distribution.manifest.v2+json")
print(urlopen(manifest).headers["Docker-Content-Digest"])
"""


@pytest.fixture
def images(host: Host, image: str) -> list[str]:
    """The names that Docker must have for the image of the archive and the one of the registry."""
    digest = host.file("/srv/digest").content_string.strip()
    return [image, f"localhost:5000/tritonserver@{digest}"]


def folders(host: Host, kind: str) -> list[str]:
    names = host.file(f"/opt/trtllm/{kind}").listdir()
    return [f"/opt/trtllm/{kind}/{name}" for name in names if not name.endswith(".lock")]


def test_docker_has_the_pinned_images(host: Host, images: list[str]) -> None:
    for name in images:
        host.check_output("docker image inspect %s", name)
    assert host.check_output("docker image inspect --format '{{.Id}}' %s", images[0]) == images[0]


def test_records_name_the_images(host: Host, images: list[str], record: Callable[[str], Any]) -> None:
    named = [record(f"{folder}/artifact.json")["image"] for folder in folders(host, "image")]
    # One of them was pulled by digest and by tag.
    assert sorted(name for name in named if "example.test" not in name) == sorted([*images, images[1]])


def test_moved_tag_changes_nothing(host: Host, images: list[str], record: Callable[[str], Any]) -> None:
    assert host.file("/srv/runs").content_string == images[1]
    assert record("/srv/by_tag/artifact.json")["image"] == images[1]
    moved = host.file("/srv/moved").content_string.strip()
    assert not images[1].endswith(moved)
    assert host.check_output("python3 -c %s", DIGEST_OF_TAG) == moved
    assert host.run("docker image inspect %s", f"localhost:5000/tritonserver@{moved}").failed


def test_templates_of_each_image_are_complete(host: Host, images: list[str], record: Callable[[str], Any]) -> None:
    found = []
    for folder in folders(host, "backend"):
        assert set(host.file(f"{folder}/inflight_batcher_llm").listdir()) == MODELS
        for model in MODELS:
            template = host.file(f"{folder}/inflight_batcher_llm/{model}/config.pbtxt")
            assert template.mode == 0o644 and f'name: "{model}"' in template.content_string
        artifact = record(f"{folder}/artifact.json")
        assert artifact["inputs"]["path"] == "/app/all_models/inflight_batcher_llm"
        assert folder.endswith(artifact["key"])
        found.append(artifact["image"])
    assert sorted(found) == sorted(images)


def test_credentials_are_nowhere_on_the_host(host: Host) -> None:
    assert not host.file("/root/.docker/config.json").exists
    encoded = base64.b64encode(b"$oauthtoken:right-password").decode()
    for secret in ("right-password", encoded):
        assert host.run("grep -rlF %s /opt/trtllm /root /tmp /run /var/log /etc", secret).stdout == ""


def test_image_that_requires_a_login_is_recorded_by_digest(host: Host, record: Callable[[str], Any]) -> None:
    moved = host.file("/srv/moved").content_string.strip()
    guarded = "registry.example.test:5443/tritonserver"
    [folder] = [name for name in folders(host, "image") if guarded in record(f"{name}/artifact.json")["image"]]
    assert record(f"{folder}/artifact.json")["image"] == f"{guarded}@{moved}"
    assert set(host.file("/srv/guarded_files/inflight_batcher_llm").listdir()) == MODELS


def test_no_container_is_left(host: Host) -> None:
    assert host.check_output("docker ps --all --quiet") == ""
