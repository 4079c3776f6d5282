# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle has the packages that the roles install, from the same repositories, verified with the same keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import (
    PROJECT,
    ROLES,
    SYSTEMS,
    Rendered,
    Role,
    load,
    systems,
    tasks_of,
)

PLAYBOOKS = PROJECT / "playbooks"
OWN_FILES = [PLAYBOOKS / name for name in ("bundle.yml", "vars/bundle.yml", "tasks/bundle_system.yml")]
TASKS = {role.name: sorted(role.glob("tasks/*.yml")) for role in ROLES.iterdir()}
INSTALL = {"name": "tritonops.trtllm.packages", "tasks_from": "install"}
PACKAGE_MODULES = (
    "apt",
    "dnf",
    "dnf5",
    "yum",
    "package",
    "pip",
    "apt_repository",
    "yum_repository",
    "deb822_repository",
)
# Variables that are only known on a host.
KNOWN_ON_A_HOST: dict[str, dict[str, Any]] = {
    "storage": {
        "__storage_planned": {"missing_programs": list(load(ROLES / "storage/vars/main.yml")["__storage_package_of"])}
    },
    # Prometheus is not on a host that is deployed from a bundle.
    "observability": {"__observability_packages": []},
    # With a bundle, the image is loaded from an archive.
    "trtllm_backend": {"trtllm_backend_image": {"source": "archive"}},
}


class Bundle(Rendered):
    """The variables of bundle.yml for a system."""

    def __init__(
        self, system: str, docker_source: str = "vendor", sources: bool = True, haproxy: bool = True, **variables: Any
    ) -> None:
        play = next(play for play in load(PLAYBOOKS / "bundle.yml") if play["name"] == "Make the bundle")
        about = {"sources": {"backend": "0" * 40} if sources else {}}
        super().__init__(
            *(PLAYBOOKS / file for file in play["vars_files"]),
            bundling_system=system,
            bundling_wanted={"docker_source": docker_source, "has_haproxy": haproxy, "contents": {"about": about}},
            bundling_targets={"stdout": "Debian=http://own/debian\nDebian-Security=http://own/security"},
            trtllm_bundle_systems=[system],
            trtllm_bundle_dest="/srv/bundle",
            **variables,
        )


def installed(system: str, docker_source: str) -> Iterator[tuple[str, str]]:
    """Every package that a role installs on a host, with the name of the role."""
    for name, files in TASKS.items():
        role = Role(name, system, **{"docker_source": docker_source, **KNOWN_ON_A_HOST.get(name, {})})
        for task in (task for file in files for task in tasks_of(file)):
            used = task.get("ansible.builtin.include_role") or task.get("ansible.builtin.import_role") or {}
            if used.items() >= INSTALL.items():
                yield from ((name, package) for package in role.render(task["vars"]["packages_names"]))


@pytest.mark.parametrize("docker_source", ["vendor", "distribution", "existing"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_bundle_has_the_packages_that_the_roles_install(system: str, docker_source: str) -> None:
    wanted = {package for _role, package in installed(system, docker_source)}
    # What Ansible's own modules and its Python require.
    wanted.update(Role("packages", system)["packages_ansible_requirements"])
    if system.endswith("-8"):
        wanted.add(Role("host_python", system)["host_python_package"])
    packages = Bundle(system, docker_source)["bundling_packages"]
    assert set(packages) == wanted
    assert len(packages) == len(wanted)


def test_every_role_that_installs_is_found() -> None:
    """Otherwise the test above proves nothing."""
    found = {role for role, _package in installed("debian-12", "vendor")}
    assert found == {"ca_certificates", "docker", "haproxy", "host_python", "nvidia_ctk", "storage", "trtllm_backend"}
    assert "iptables" in Bundle("debian-12", "distribution")["bundling_packages"]
    assert "git" not in Bundle("debian-12", sources=False)["bundling_packages"]
    assert "haproxy" not in Bundle("debian-13", haproxy=False)["bundling_packages"]
    assert not {"nvidia-container-toolkit", "docker-ce"} & set(
        Bundle("rocky-9", "existing", trtllm_bundle_nvidia=False)["bundling_packages"]
    )


@pytest.mark.parametrize("role", sorted(set(TASKS) - {"packages"}))
def test_only_the_role_packages_uses_package_managers(role: str) -> None:
    modules = {f"ansible.builtin.{name}" for name in PACKAGE_MODULES} | {"tritonops.trtllm.dnf_packages"}
    assert [task["name"] for file in TASKS[role] for task in tasks_of(file) if modules & set(task)] == []


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
@pytest.mark.parametrize("system", [system for system in SYSTEMS if not system.startswith("redhat-")])
def test_vendor_repositories_are_those_of_the_roles(system: str, architecture: str) -> None:
    bundle = Bundle(system, trtllm_bundle_architecture=architecture)
    docker, toolkit = Role("docker", system), Role("nvidia_ctk", system)
    for role in (docker, toolkit):
        role.variables["ansible_facts"]["architecture"] = architecture
    expected = [docker["__docker_repository"]["source"], toolkit["__nvidia_ctk_repository"]["source"]]
    assert bundle["bundling_from"][-2:] == expected
    without = Bundle(system, "distribution", trtllm_bundle_nvidia=False)["bundling_from"]
    assert [repository["name"] for repository in without] == [
        repository["name"] for repository in bundle["bundling_from"][:-2]
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_vendor_keys_are_verified_as_by_the_roles(system: str) -> None:
    docker = Role("docker", system)["__docker_repository"]["key"]
    toolkit = Role("nvidia_ctk", system)["__nvidia_ctk_repository"]["key"]
    mirror = {"name": "mirror", "key_url": "https://mirror.example.com/key"}
    # A mirror of the packages can use the vendor's key.
    given = [{"name": "docker", "key_url": docker["url"]}, {"name": "nvidia", "key_url": toolkit["url"]}, mirror]
    keys = {
        key["url"]: (key["expected"]["checksum"], key["expected"]["fingerprint"])
        for key in Bundle(system, trtllm_bundle_repositories={system: given})["bundling_keys"]
    }
    assert keys == {
        docker["url"]: (docker["checksum"], docker["fingerprint"]),
        toolkit["url"]: (toolkit["checksum"], toolkit["fingerprint"]),
        mirror["key_url"]: ("", ""),
    }
    assert all(any(keys[url]) for url in (docker["url"], toolkit["url"]))


@pytest.mark.parametrize("system", systems("RedHat"))
def test_wheels_match_the_hosts_python(system: str) -> None:
    own = SYSTEMS[system]["python"]
    assert Bundle(system)["bundling_for_pythons"] == ["3.11" if own == "3.6" else own]


def strings(value: Any) -> Iterator[str]:
    """All strings of a file, including those in templates."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from (*strings(name), *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value
        yield from re.findall(r"'([^']+)'", value)
        yield from re.findall(r"(?:https?://|sha256:)[^\s'\"{}]+", value)


def said_in(*files: Path) -> set[str]:
    return {text for file in files for text in strings(load(file))}


HOMES = {
    "the bundle": said_in(*OWN_FILES),
    **{
        role.name: said_in(*role.glob("vars/*.yml"), *role.glob("defaults/*.yml"), *role.glob("tasks/*.yml"))
        for role in ROLES.iterdir()
    },
}


def test_package_has_one_home() -> None:
    names = {
        package
        for system in SYSTEMS
        for source in ("vendor", "distribution")
        for _role, package in installed(system, source)
    }
    homes = {name: [home for home, said in HOMES.items() if name in said] for name in names}
    assert {name: where for name, where in homes.items() if len(where) != 1} == {}


def test_urls_and_checksums_have_one_home() -> None:
    facts = {text for said in HOMES.values() for text in said if re.match(r"https?://|sha256:", text)}
    homes = {fact: [home for home, said in HOMES.items() if fact in said] for fact in facts}
    assert len(facts) > 10
    assert {fact: where for fact, where in homes.items() if len(where) != 1} == {}
