# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from configparser import ConfigParser, SectionProxy

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import marked
from testinfra.host import Host

# Creates an image of a program and its libraries.
IMPORT_IMAGE = (
    "tar -C / -ch bin/true lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 | docker import - test:true"
)


def version(host: Host, package: str) -> str:
    return host.run("rpm -q --qf '%%{VERSION}' %s", package).stdout


def repository(host: Host, file: str, section: str) -> SectionProxy:
    parser = ConfigParser(interpolation=None)
    parser.read_string(host.file(f"/etc/yum.repos.d/{file}.repo").content_string)
    return parser[section]


def test_a_python_was_installed_and_the_default_one_left_alone(host: Host) -> None:
    assert host.check_output("python3 --version") == "Python 3.6.8"
    assert version(host, "python3.11") == "3.11.9"
    assert host.run("/usr/bin/python3.11 -c 'import dnf'").rc == 1
    assert host.check_output("readlink -f /opt/trtllm/venv/bin/python") == "/usr/bin/python3.11"


@pytest.mark.parametrize("module", ["docker", "huggingface_hub", "numpy", "safetensors", "tritonclient.grpc"])
def test_modules_have_their_packages(host: Host, module: str) -> None:
    assert host.run("/opt/trtllm/venv/bin/python -c 'import %s'", module).rc == 0


def test_docker_has_the_chosen_version_runs_and_starts_at_boot(host: Host) -> None:
    assert host.service("docker").is_running
    assert host.service("docker").is_enabled
    assert [version(host, name) for name in ("docker-ce", "docker-ce-cli")] == ["20.10.23", "20.10.23"]


def test_only_conflicting_packages_are_removed(host: Host) -> None:
    there = host.check_output("rpm -qa --qf '%{NAME} '").split()
    assert {"runc", "podman-docker"}.isdisjoint(there)
    assert {"podman", "crun"} <= set(there)


def test_docker_repository_has_signed_packages_and_the_path_for_rhel(host: Host) -> None:
    docker = repository(host, "docker-ce", "docker-ce-stable")
    assert docker["baseurl"] == "file:///srv/rpm/docker/linux/rhel/8/$basearch/stable"
    assert docker["gpgcheck"] == "1"
    # The key whose fingerprint was checked.
    assert docker["gpgkey"] == "file:///etc/pki/rpm-gpg/docker.asc"


def test_checking_keys_leaves_no_files(host: Host) -> None:
    assert set(host.file("/etc/pki/rpm-gpg").listdir()) == {
        "RPM-GPG-KEY-oracle",
        "docker.asc",
        "nvidia-container-toolkit.asc",
    }


def test_nvidia_repository_has_a_signed_index(host: Host) -> None:
    nvidia = repository(host, "nvidia-container-toolkit", "nvidia-container-toolkit")
    assert nvidia["baseurl"] == "file:///srv/rpm/nvidia/stable/rpm/$basearch"
    assert nvidia["repo_gpgcheck"] == "1"


def test_an_altered_index_is_refused(host: Host) -> None:
    """dnf checks the signature."""
    host.check_output("rm -rf /tmp/nvidia && cp -r /srv/rpm/nvidia/stable/rpm/x86_64 /tmp/nvidia")
    host.check_output("echo '<!-- altered -->' >>/tmp/nvidia/repodata/repomd.xml")
    altered = host.run("dnf -y --refresh --setopt=nvidia-container-toolkit.baseurl=file:///tmp/nvidia makecache")
    assert altered.rc != 0
    assert "GPG" in altered.stderr or "signature" in altered.stderr.lower()


def test_vulnerable_toolkit_was_replaced(host: Host) -> None:
    assert version(host, "nvidia-container-toolkit") == "1.20.0"
    assert version(host, "nvidia-container-toolkit-base") == "1.20.0"


def test_settings_of_both_roles_are_in_force(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == {
        "shutdown-timeout": 60,
        "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}},
    }
    assert "nvidia" in json.loads(host.check_output("docker info --format '{{json .Runtimes}}'"))


def test_container_runs_in_the_runtime_and_gets_gpus(host: Host) -> None:
    host.check_output("rm -f /run/nvidia-container-runtime*.called")
    host.check_output(IMPORT_IMAGE)
    host.check_output("docker run --rm --runtime nvidia test:true /bin/true")
    assert host.file("/run/nvidia-container-runtime.called").exists
    host.check_output("docker run --rm --gpus all test:true /bin/true")
    assert host.file("/run/nvidia-container-runtime-hook.called").exists
    # Teardown would keep Docker because of this image. The record marks it as loaded by a run that was killed.
    record = "/opt/trtllm/image/killed.partial/inputs.json"
    mark = json.dumps(marked({"image": "test:true"}))
    host.check_output("mkdir -p $(dirname %s) && echo %s >%s", record, mark, record)


def test_docker_was_restarted_once_and_not_under_the_service(host: Host) -> None:
    assert host.file("/var/log/order").content_string.splitlines() == [
        "service started",
        # By the role docker, with its settings. The role nvidia_ctk changes them:
        "docker started",
        "service stopped, docker active",
        "docker started",
        "service started",
    ]
