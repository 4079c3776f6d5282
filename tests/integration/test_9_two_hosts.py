# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two hosts of one play: one fetches, converts and builds, and the other copies it.

The registry is on the first host, at a loopback address, so that the other one cannot pull the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fleet_under_test import MODEL, address
from site_under_test import PROJECT, REHEARSAL, STATE, Site

pytestmark = pytest.mark.long

HOSTS = ("gpu1", "gpu2")
KINDS = ("image", "weights", "checkpoint", "engine")
REPOSITORY = "localhost:5000/backend"
PUBLISH = f"""
set -eu
apt-get update --quiet >&2
apt-get install --yes --no-install-recommends docker-registry >&2
sh -c "$2"
image=$(docker load --quiet --input "$1" | sed 's/.*: //')
docker tag "$image" {REPOSITORY}:test
docker push --quiet {REPOSITORY}:test >&2
docker image inspect --format '{{{{index .RepoDigests 0}}}}' {REPOSITORY}:test | cut -d@ -f2
docker image rm --force "$(docker image inspect --format '{{{{.Id}}}}' {REPOSITORY}:test)" >&2
"""


@pytest.fixture(name="hosts", scope="module")
def fixture_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Site]]:
    folder = tmp_path_factory.mktemp("two-hosts")
    # rehearsal/bin/clean removes these.
    hosts = {name: Site(f"trtllm-fleet-two-{name}", folder / "hosts.json") for name in HOSTS}
    first = hosts["gpu1"]
    for step in (["docker"], ["images", "host", "backend"], ["model"], ["hub"], ["wheelhouse"]):
        first.script(*step)
    try:
        for host in hosts.values():
            host.script("host", host.host, "--rm")
            host.script("host", host.host, "--image", "tritonops/rehearsal-host:bookworm-docker")
        (folder / "hosts.json").write_text(json.dumps(inventory(hosts)))
        (folder / "group_vars").symlink_to(REHEARSAL / "group_vars")
        yield hosts
    finally:
        for host in hosts.values():
            host.script("host", host.host, "--rm")


def inventory(hosts: dict[str, Site]) -> dict[str, Any]:
    known = yaml.safe_load((REHEARSAL / "hosts.yml").read_text())["trtllm"]["hosts"]["rehearsal"]
    own: dict[str, dict[str, Any]] = {
        name: {"ansible_host": host.host, "trtllm_fanout": {"address": address(host)}} for name, host in hosts.items()
    }
    # The plan expects an image of NVIDIA's size, and the rehearsal's is small.
    own["gpu1"]["trtllm_waive"] = ["disk_space"]
    own["gpu2"]["trtllm_waive"] = ["disk_space", "registry_unreachable"]
    return {"trtllm": {"hosts": {name: {**known, **variables} for name, variables in own.items()}}}


def publish(host: Site) -> str:
    """Push the rehearsal's image to a registry on the host, and remove it from Docker; returns its digest."""
    release = yaml.safe_load((REHEARSAL / "group_vars/all.yml").read_text())["rehearsal_release"]
    archive = yaml.safe_load((STATE / f"backend-{release}.yml").read_text())["archive"]
    registry = (PROJECT / "molecule/shared/registry.sh").read_text()
    return host.read("sh", "-c", PUBLISH, "publish", archive, registry).split()[-1]


def variables(digest: str) -> dict[str, Any]:
    """A model of a few kilobytes in two ranks."""
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["tiny_mixtral_revision"]
    model = {"repository": "rehearsal/tiny-mixtral", "revision": revision, "config": str(MODEL / "config.json")}
    return {
        "rehearsal_state": str(STATE),
        "trtllm_model": model,
        "trtllm_precision": "float32",
        "trtllm_parallelism": {"tensor": 2},
        "trtllm_limits": {"max_input_len": 256, "max_seq_len": 512},
        "trtllm_image": {"source": "registry", "reference": REPOSITORY, "digest": digest},
        "trtllm_docker_source": "existing",
        "trtllm_wheelhouse": "/var/cache/wheelhouse",
    }


def records(host: Site) -> dict[str, dict[str, Any]]:
    """The record of each artifact, by kind and key."""
    paths = host.read("sh", "-c", f"ls -d {host.root}/*/*/artifact.json").split()
    known = {
        path.removeprefix(f"{host.root}/").rpartition("/")[0]: json.loads(host.read("cat", path)) for path in paths
    }
    return {name: record for name, record in known.items() if name.partition("/")[0] in KINDS}


def made(output: str, task: str) -> set[str]:
    """The hosts on which a task has changed something."""
    return set(re.findall(rf"^changed: \[(\w+)\] .*: {task}", output, re.MULTILINE))


def test_one_host_makes_every_artifact(hosts: dict[str, Site], tmp_path: Path) -> None:
    first, other = hosts["gpu1"], hosts["gpu2"]
    asked = variables(publish(first))
    played = first.play("site", variables=asked)
    assert played.returncode == 0
    for task in (
        "Pull or load the image",
        "Fetch the model files",
        "Convert the weights to a checkpoint",
        "Build the engine",
    ):
        assert made(played.output, task) == {"gpu1"}, task
    known = {name: records(host) for name, host in hosts.items()}
    assert {name.partition("/")[0] for name in known["gpu1"]} == set(KINDS)
    for name, record in known["gpu1"].items():
        assert [record[part] for part in ("files", "inputs")] == [
            known["gpu2"][name][part] for part in ("files", "inputs")
        ]
        if name.startswith("image/"):
            assert record["image"] == known["gpu2"][name]["image"] and known["gpu2"][name]["copied"]
    assert {host.served() for host in hosts.values()} == {first.served()}
    assert other.container()["Image"] == first.container()["Image"]
    assert not any(host.exists(f"{host.root}/archive/*/") for host in hosts.values())
    # The parts of the site find the image of either host as well.
    for options in ((), ("--tags", "model_repo,triton_service")):
        again = first.play("site", *options, variables=asked)
        assert again.returncode == 0 and re.findall(r"changed=(\d+)", again.output) == ["0", "0"]
    # A host that has not pulled the image has the same one nevertheless.
    file = tmp_path / "status.json"
    assert first.play("status", variables={**asked, "trtllm_status_file": str(file)}).returncode == 0
    rows = json.loads(file.read_text())["rows"]
    assert len(rows) == 2 and len({row["image"] for row in rows}) == 1 and not any(row["drift"] for row in rows), rows
