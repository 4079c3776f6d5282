# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from typing import Any, Callable

import pytest
from testinfra.host import Host

LIBRARY = "tensorrt_llm/cpp/libtensorrt_llm_batch_manager_static.a"


def found_in_build(host: Host, image: str) -> Any:
    """What the build script recorded."""
    return json.loads(host.check_output("docker run --rm --entrypoint cat %s /app/wheel.json", image))


def label(host: Host, image: str) -> str:
    return str(host.check_output("docker image inspect --format '{{.Config.Labels.says}}' %s", image))


def test_sources_are_complete(host: Host, record: Callable[[str], Any]) -> None:
    assert host.file(f"/srv/clone/{LIBRARY}").size == 1200000
    assert host.file("/srv/clone/images/overview.png").size == 5000
    assert host.file("/srv/clone/tensorrt_llm/3rdparty/cutlass/README.md").content_string.startswith("# of the nested")
    clone = record("/srv/clone/artifact.json")
    assert set(clone["submodules"]) == {"tensorrt_llm", "tensorrt_llm/3rdparty/cutlass"}
    assert clone["commit"] == host.check_output("git -C /srv/clone rev-parse HEAD")
    assert not any(name.startswith(".git/") for name in clone["files"])


def test_nothing_was_written_to_the_users_git_settings(host: Host) -> None:
    assert not host.file("/root/.gitconfig").exists


@pytest.mark.parametrize("name", ["moved", "pointers", "failed"])
def test_refused_sources_and_builds_have_no_final_name(host: Host, name: str) -> None:
    assert not host.file(f"/srv/{name}").exists
    assert host.file(f"/srv/{name}.partial").is_directory


def test_build_gets_settings_that_upstream_has_no_argument_for(host: Host) -> None:
    found = found_in_build(host, "tritonops/backend:built")
    assert (found["architectures"], found["jobs"], found["constraints"]) == ("80-real", 3, ["numpy<2"])
    # The certificate is only trusted because of the CA bundle.
    assert found["gate"] == "open"
    assert label(host, "tritonops/backend:built") == "a word of two dollars $$"


def test_makefile_gets_the_same_settings(host: Host) -> None:
    found = found_in_build(host, "tritonops/backend:made")
    assert (found["architectures"], found["jobs"], found["constraints"]) == ("80-real;90-real", 3, ["numpy<2"])
    assert (found["gate"], label(host, "tritonops/backend:made")) == ("open", "a word of two dollars $$")


@pytest.mark.parametrize("image", ["built", "made"])
def test_proxies_reach_the_build_and_not_the_image(host: Host, image: str) -> None:
    name = f"tritonops/backend:{image}"
    assert found_in_build(host, name)["no_proxy"] == "127.0.0.1"
    assert "no_proxy" not in host.check_output("docker image inspect %s", name)
    assert "no_proxy" not in host.check_output("docker history --no-trunc %s", name)


def test_killed_build_continued_where_it_stopped(host: Host) -> None:
    log = host.file("/srv/logs/build.log").content_string
    builds = [text for text in log.split("\n=== ") if "--tag tritonops/backend:built" in text.partition("\n")[0]]
    assert len(builds) == 2
    killed, whole = builds
    assert "naming to" not in killed and "naming to" in whole
    first = re.search(r"^(#\d+) \[base 2/2\] RUN cat /proc", whole, re.MULTILINE)
    assert first and f"\n{first.group(1)} CACHED" in whole
    assert f"{first.group(1)} CACHED" not in killed


def test_record_describes_the_image(host: Host, record: Callable[[str], Any]) -> None:
    built = record("/srv/record/artifact.json")
    name = "tritonops/backend:built"
    identity = host.check_output("docker image inspect --format '{{.Id}}' %s", name)
    assert built["image"] == identity == host.file("/srv/runs").content_string
    assert (built["ref"], built["commit"]) == ("v0.9.0", record("/srv/clone/artifact.json")["commit"])
    assert built["inputs"]["build_args"] == {"SAYS": "a word of two dollars $$"}
    assert built["duration_seconds"] > 0 and not host.file("/srv/record.partial").exists


def test_built_image_has_tritonserver(host: Host) -> None:
    told = host.run("docker run --rm --entrypoint tritonserver tritonops/backend:built --help 2>&1")
    assert "--model-repository" in told.stdout


def test_no_container_is_left(host: Host) -> None:
    assert host.check_output("docker ps --all --quiet") == ""
