# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories, keys and packages of the roles docker and nvidia_ctk for each distribution, rendered."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import SYSTEMS, Role, systems, tasks_of

YUM, DEB = "ansible.builtin.yum_repository", "ansible.builtin.deb822_repository"


def described(repository: dict[str, Any], system: str) -> dict[str, Any]:
    """The repository's description for the host's package manager."""
    packages = Role("packages", system, packages_repository=repository)
    family = packages["packages_system"]["family"]
    return packages.task(f"repository_{family}", YUM if family == "RedHat" else DEB)


@pytest.mark.parametrize(
    ("system", "path"),
    [
        ("oraclelinux-8", "rhel/8"),
        ("oraclelinux-9", "centos/9"),
        ("oraclelinux-10", "centos/10"),
        ("rocky-8", "rhel/8"),
        ("rocky-9", "centos/9"),
        ("almalinux-10", "centos/10"),
        ("redhat-9", "rhel/9"),
    ],
)
def test_docker_repository_of_enterprise_linux(system: str, path: str) -> None:
    docker = Role("docker", system)["__docker_repository"]
    repository = described(docker, system)
    assert repository["baseurl"] == f"https://download.docker.com/linux/{path}/$basearch/stable"
    assert (repository["name"], repository["file"]) == ("docker-ce-stable", "docker-ce")
    assert repository["gpgcheck"] is True and "repo_gpgcheck" not in repository
    assert repository["gpgkey"] == "file://" + docker["key"]["path"]
    assert docker["key"]["url"] == f"https://download.docker.com/linux/{path.split('/')[0]}/gpg"
    assert docker["key"]["fingerprint"] == "060A 61C5 1B55 8A7F 742B 77AA C52F EB6B 621E 9F35"


@pytest.mark.parametrize(
    ("system", "path", "suite"),
    [
        ("debian-12", "debian", "bookworm"),
        ("debian-13", "debian", "trixie"),
        ("ubuntu-22.04", "ubuntu", "jammy"),
        ("ubuntu-24.04", "ubuntu", "noble"),
    ],
)
def test_docker_repository_of_debian(system: str, path: str, suite: str) -> None:
    docker = Role("docker", system)["__docker_repository"]
    repository = described(docker, system)
    assert (repository["name"], repository["suites"], repository["architectures"]) == ("docker", suite, "amd64")
    assert repository["uris"] == f"https://download.docker.com/linux/{path}"
    assert repository["signed_by"] == docker["key"]["path"]
    assert docker["key"]["url"] == f"https://download.docker.com/linux/{path}/gpg"
    assert docker["key"]["checksum"].startswith("sha256:")


@pytest.mark.parametrize("source", ["vendor", "distribution"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_docker_packages_are_pinned_in_the_package_managers_syntax(system: str, source: str) -> None:
    docker = Role("docker", system, docker_source=source, docker_version="5:28.5.*")
    separator = "=" if SYSTEMS[system]["family"] == "Debian" else "-"
    pinned = {"docker-ce", "docker-ce-cli", "docker-cli", "docker.io"} & set(docker["__docker_packages"])
    others = set(docker["__docker_packages"]) - pinned
    assert set(docker["__docker_packages_pinned"]) == others | {f"{name}{separator}5:28.5.*" for name in pinned}
    assert pinned or (source == "distribution" and separator == "-")


@pytest.mark.parametrize("system", SYSTEMS)
def test_docker_packages_are_not_pinned_by_default(system: str) -> None:
    docker = Role("docker", system)
    assert docker["__docker_packages_pinned"] == docker["__docker_packages"]


@pytest.mark.parametrize(("system", "is_own"), [("debian-12", False), ("debian-13", True), ("ubuntu-24.04", False)])
def test_since_debian_13_dockers_command_is_a_package_of_its_own(system: str, is_own: bool) -> None:
    docker = Role("docker", system, docker_source="distribution")
    assert ("docker-cli" in docker["__docker_packages"]) is is_own


@pytest.mark.parametrize("status", ["enabled", "disabled"])
@pytest.mark.parametrize("source", ["vendor", "distribution"])
@pytest.mark.parametrize("system", ["debian-12", "ubuntu-24.04", "rocky-9"])
def test_docker_installs_apparmor_if_the_kernel_has_it(system: str, source: str, status: str) -> None:
    docker = Role("docker", system, docker_source=source)
    docker.variables["ansible_facts"]["apparmor"] = {"status": status}
    is_wanted = status == "enabled" and SYSTEMS[system]["family"] == "Debian"
    assert ("apparmor" in docker["__docker_packages"]) is is_wanted


CHANNELS = {"stable": "nvidia-container-toolkit", "experimental": "nvidia-container-toolkit-experimental"}


@pytest.mark.parametrize("system", systems("RedHat"))
@pytest.mark.parametrize("channel", CHANNELS)
def test_nvidia_repository_of_enterprise_linux(system: str, channel: str) -> None:
    toolkit = Role("nvidia_ctk", system, nvidia_ctk_channel=channel)["__nvidia_ctk_repository"]
    repository = described(toolkit, system)
    assert repository["name"] == CHANNELS[channel]
    assert repository["baseurl"] == f"https://nvidia.github.io/libnvidia-container/{channel}/rpm/$basearch"
    assert (repository["gpgcheck"], repository["repo_gpgcheck"]) == (False, True)
    assert {repository["name"], *toolkit["replaces"]} == set(CHANNELS.values())


@pytest.mark.parametrize("system", systems("Debian"))
@pytest.mark.parametrize("channel", CHANNELS)
def test_nvidia_repository_of_debian(system: str, channel: str) -> None:
    repository = described(Role("nvidia_ctk", system, nvidia_ctk_channel=channel)["__nvidia_ctk_repository"], system)
    assert repository["uris"] == f"https://nvidia.github.io/libnvidia-container/{channel}/deb/amd64"


DOCUMENTED = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
OTHER = "68DDB660FC56CCFE97E1B85F248DF013702DC300"


def shown(*fingerprints: str) -> str:
    """The output of gpg for a file with keys, each with a subkey."""
    key = "pub:-:4096:1:0:1:::-:::scESC::::::23::0:\nfpr:::::::::{}:\nuid:-::::1::0::Test::::::::::0:\n"
    return "".join(key.format(fingerprint) + "sub:-:4096:1:0:1::::::e::::::23:\n" for fingerprint in fingerprints)


@pytest.mark.parametrize(
    ("said", "trusted"),
    [
        (shown(DOCUMENTED), True),
        (shown(DOCUMENTED) + f"fpr:::::::::{OTHER}:\n", True),  # of the subkey
        (shown(OTHER), False),
        (shown(DOCUMENTED, OTHER), False),
        ("", False),
    ],
)
def test_only_the_documented_docker_key_is_trusted(said: str, trusted: bool) -> None:
    key = Role("docker", "oraclelinux-9")["__docker_repository"]["key"]
    packages = Role("packages", "oraclelinux-9", packages_key=key, __packages_key_shown={"stdout": said})
    tasks = tasks_of(packages.folder / "tasks/key.yml")
    that = next(task["ansible.builtin.assert"]["that"] for task in tasks if "ansible.builtin.assert" in task)
    assert packages.render(trust_as_template("{{ " + that + " }}")) is trusted
