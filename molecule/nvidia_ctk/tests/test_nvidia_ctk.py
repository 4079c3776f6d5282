# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from testinfra.host import Host

# Creates an image of a program and its libraries.
IMPORT_IMAGE = (
    "tar -C / -ch bin/true lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 | docker import - test:true"
)


def test_vulnerable_toolkit_was_replaced(host: Host) -> None:
    assert host.package("nvidia-container-toolkit").version == "1.20.0-1"


def test_settings_are_those_of_nvidia_ctk_and_others_are_kept(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == {
        "labels": ["rack=7"],
        "shutdown-timeout": 60,
        "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}},
    }


def test_running_docker_has_the_runtime(host: Host) -> None:
    assert "nvidia" in json.loads(host.check_output("docker info --format '{{json .Runtimes}}'"))
    assert host.check_output("docker info --format '{{.DefaultRuntime}}'") == "runc"


def test_container_runs_with_the_runtime(host: Host) -> None:
    host.check_output("rm -f /run/nvidia-container-runtime.called")
    host.check_output(IMPORT_IMAGE)
    host.check_output("docker run --rm --runtime nvidia test:true /bin/true")
    assert host.file("/run/nvidia-container-runtime.called").exists


def test_repository_is_only_trusted_with_its_key(host: Host) -> None:
    source = host.file("/etc/apt/sources.list.d/nvidia-container-toolkit.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/nvidia-container-toolkit.asc" in source
