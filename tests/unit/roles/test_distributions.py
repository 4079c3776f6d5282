# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each distribution would get: repositories, keys and packages of the roles docker and nvidia_ctk, rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parents[3] / "roles"
LOADER = DataLoader()

DISTRIBUTIONS: dict[str, dict[str, str]] = {
    "Debian 12": {"os_family": "Debian", "distribution_release": "bookworm"},
    "Debian 13": {"os_family": "Debian", "distribution_release": "trixie"},
    "Ubuntu 22.04": {"os_family": "Debian", "distribution_release": "jammy"},
    "Ubuntu 24.04": {"os_family": "Debian", "distribution_release": "noble"},
    "OracleLinux 8.10": {"os_family": "RedHat"},
    "OracleLinux 9.4": {"os_family": "RedHat"},
    "OracleLinux 10.0": {"os_family": "RedHat"},
    "Rocky 8.10": {"os_family": "RedHat"},
    "Rocky 9.4": {"os_family": "RedHat"},
    "AlmaLinux 10.0": {"os_family": "RedHat"},
    "RedHat 9.4": {"os_family": "RedHat"},
}


def load(path: Path) -> Any:
    return LOADER.load_from_file(str(path), trusted_as_template=True)


class Rendered:
    """A role's variables and tasks as they are on one distribution."""

    def __init__(self, role: str, name: str, **variables: Any) -> None:
        distribution, version = name.split()
        facts = {
            "distribution": distribution,
            "distribution_major_version": version.partition(".")[0],
            "architecture": "x86_64",
            "packages": {},
            **DISTRIBUTIONS[name],
        }
        self.folder = ROLES / role
        self.family = facts["os_family"]
        self.variables = {
            **load(self.folder / "defaults/main.yml"),
            **load(self.folder / "vars/main.yml"),
            **variables,
            "ansible_facts": facts,
        }

    def __getitem__(self, name: str) -> Any:
        return self.render(self.variables[name])

    def render(self, value: Any) -> Any:
        return Templar(loader=LOADER, variables=self.variables).template(value)

    def task(self, file: str, module: str) -> dict[str, Any]:
        """The options of the first task with a module in a file for the family."""
        tasks = load(self.folder / f"tasks/{file}_{self.family}.yml")
        options = next(task[module] for task in tasks if module in task)
        rendered: dict[str, Any] = self.render(options)
        return rendered


@pytest.mark.parametrize(
    ("distribution", "url"),
    [
        ("OracleLinux 8.10", "https://download.docker.com/linux/rhel/8/$basearch/stable"),
        ("OracleLinux 9.4", "https://download.docker.com/linux/centos/9/$basearch/stable"),
        ("OracleLinux 10.0", "https://download.docker.com/linux/centos/10/$basearch/stable"),
        ("Rocky 8.10", "https://download.docker.com/linux/rhel/8/$basearch/stable"),
        ("Rocky 9.4", "https://download.docker.com/linux/centos/9/$basearch/stable"),
        ("AlmaLinux 10.0", "https://download.docker.com/linux/centos/10/$basearch/stable"),
        ("RedHat 9.4", "https://download.docker.com/linux/rhel/9/$basearch/stable"),
    ],
)
def test_docker_repository_of_enterprise_linux(distribution: str, url: str) -> None:
    docker = Rendered("docker", distribution)
    repository = docker.task("repository", "ansible.builtin.yum_repository")
    assert (repository["baseurl"], repository["gpgcheck"]) == (url, True)
    assert repository["gpgkey"] == "file://" + docker.task("repository", "ansible.builtin.get_url")["dest"]
    assert docker["docker_vendor_key_url"] == url.rpartition("/linux/")[0] + "/linux/" + url.split("/")[4] + "/gpg"


@pytest.mark.parametrize(
    ("distribution", "url", "suite"),
    [
        ("Debian 12", "https://download.docker.com/linux/debian", "bookworm"),
        ("Debian 13", "https://download.docker.com/linux/debian", "trixie"),
        ("Ubuntu 22.04", "https://download.docker.com/linux/ubuntu", "jammy"),
        ("Ubuntu 24.04", "https://download.docker.com/linux/ubuntu", "noble"),
    ],
)
def test_docker_repository_of_debian(distribution: str, url: str, suite: str) -> None:
    docker = Rendered("docker", distribution)
    repository = docker.task("repository", "ansible.builtin.deb822_repository")
    assert (repository["uris"], repository["suites"], repository["architectures"]) == (url, suite, "amd64")
    assert docker["docker_vendor_key_url"] == f"{url}/gpg"
    assert docker["docker_vendor_key_checksum"].startswith("sha256:")


@pytest.mark.parametrize(
    ("distribution", "packages"),
    [
        ("Debian 12", ["docker-ce=5:28.5.*", "docker-ce-cli=5:28.5.*", "docker-buildx-plugin", "containerd.io"]),
        ("Rocky 9.4", ["docker-ce-5:28.5.*", "docker-ce-cli-5:28.5.*", "docker-buildx-plugin", "containerd.io"]),
    ],
)
def test_docker_packages_are_pinned_as_the_package_manager_writes_it(distribution: str, packages: list[str]) -> None:
    assert Rendered("docker", distribution, docker_version="5:28.5.*")["__docker_vendor_pinned"] == packages


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_docker_packages_are_not_pinned_unasked(distribution: str) -> None:
    docker = Rendered("docker", distribution)
    assert docker["__docker_vendor_pinned"] == docker["__docker_vendor_packages"]


@pytest.mark.parametrize("status", ["enabled", "disabled"])
@pytest.mark.parametrize("distribution", ["Debian 12", "Ubuntu 24.04", "Rocky 9.4"])
def test_an_engine_has_what_it_needs_where_the_kernel_has_apparmor(distribution: str, status: str) -> None:
    docker = Rendered("docker", distribution)
    docker.variables["ansible_facts"]["apparmor"] = {"status": status}
    wanted = status == "enabled" and docker.family == "Debian"
    packages = [docker["__docker_vendor_packages"], docker["__docker_distribution_packages"]]
    assert ["apparmor" in names for names in packages] == [wanted, wanted]


@pytest.mark.parametrize(
    "distribution", [name for name in DISTRIBUTIONS if DISTRIBUTIONS[name]["os_family"] == "RedHat"]
)
@pytest.mark.parametrize(
    ("channel", "name"),
    [("stable", "nvidia-container-toolkit"), ("experimental", "nvidia-container-toolkit-experimental")],
)
def test_nvidia_repository_of_enterprise_linux(distribution: str, channel: str, name: str) -> None:
    toolkit = Rendered("nvidia_ctk", distribution, nvidia_ctk_channel=channel)
    repository = toolkit.task("repository", "ansible.builtin.yum_repository")
    assert repository["name"] == name
    assert repository["baseurl"] == f"https://nvidia.github.io/libnvidia-container/{channel}/rpm/$basearch"
    assert repository["repo_gpgcheck"] is True


@pytest.mark.parametrize(
    "distribution", [name for name in DISTRIBUTIONS if DISTRIBUTIONS[name]["os_family"] == "Debian"]
)
@pytest.mark.parametrize("channel", ["stable", "experimental"])
def test_nvidia_repository_of_debian(distribution: str, channel: str) -> None:
    toolkit = Rendered("nvidia_ctk", distribution, nvidia_ctk_channel=channel)
    repository = toolkit.task("repository", "ansible.builtin.deb822_repository")
    assert repository["uris"] == f"https://nvidia.github.io/libnvidia-container/{channel}/deb/amd64"


DOCUMENTED = "060A61C51B558A7F742B77AAC52FEB6B621E9F35"
OTHER = "68DDB660FC56CCFE97E1B85F248DF013702DC300"


def shown(*fingerprints: str) -> str:
    """What gpg says of a file with keys, each with a subkey."""
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
def test_docker_key_is_trusted_by_the_documented_fingerprint_alone(said: str, trusted: bool) -> None:
    docker = Rendered("docker", "OracleLinux 9.4", __docker_key_shown={"stdout": said})
    tasks = load(docker.folder / "tasks/repository_RedHat.yml")
    check = next(task for task in tasks if "ansible.builtin.assert" in task)
    docker.variables.update(check["vars"])
    that = check["ansible.builtin.assert"]["that"]
    assert docker.render(trust_as_template("{{ " + that + " }}")) is trusted
