# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What package managers say about dependencies: dpkg and apt themselves, and recorded output of rpm and dnf."""

from __future__ import annotations

import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _live_host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._host_record import HostRecordError
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host

Answer = t.Tuple[int, str, str]


class Module:
    """The part of AnsibleModule that Host uses."""

    def __init__(self, answer: t.Callable[[list[str]], Answer]) -> None:
        self._answer = answer

    def run_command(self, command: list[str], environ_update: dict[str, str]) -> Answer:
        return self._answer(command)


def run(command: list[str]) -> Answer:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


INSTALLED = {
    "docker.io": "Depends: containerd (>= 1.0), libc6\nRecommends: git\nSuggests: zfs",
    "containerd": "Depends: runc | crun",
    "crun": "Provides: oci-runtime",
    "podman": "Depends: oci-runtime",
    "libc6": "Multi-Arch: same\nArchitecture: amd64",
    "git": "Pre-Depends: libc6",
    "zfs": "",
}


@pytest.fixture(name="debian")
def fixture_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """dpkg and apt with a package database of their own."""
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed")
    for folder in ("info", "updates", "triggers", "lists/partial", "cache/archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    entries = []
    for name, fields in INSTALLED.items():
        architecture = "" if "Architecture" in fields else "Architecture: all\n"
        head = f"Package: {name}\nStatus: install ok installed\nVersion: 1.0\nMaintainer: a <a@example.com>\n"
        entries.append(f"{head}{architecture}{fields}\n".replace("\n\n", "\n") + "Description: a package\n")
        (tmp_path / "info" / f"{name}.list").touch()
    (tmp_path / "status").write_text("\n".join(entries))
    (tmp_path / "extended_states").write_text("Package: containerd\nArchitecture: amd64\nAuto-Installed: 1\n")
    settings = {
        "Dir::State": tmp_path,
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": "amd64",
    }
    (tmp_path / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("DPKG_ADMINDIR", str(tmp_path))
    monkeypatch.setattr(_live_host, "package_family", lambda: "deb")
    return Host(t.cast(t.Any, Module(run)))


def test_packages_of_debian(debian: Host) -> None:
    assert set(debian.packages()) == {*INSTALLED, "libc6:amd64"} - {"libc6"}
    assert debian.packages()["docker.io"] == ("1.0", False)
    assert debian.packages()["containerd"] == ("1.0", True)


def test_dependencies_on_debian(debian: Host) -> None:
    assert debian.dependencies(["docker.io"]) == {"docker.io", "containerd", "git", "libc6:amd64"}
    assert debian.dependencies(["containerd", "libc6:amd64"]) == {"containerd", "crun", "libc6:amd64"}
    # crun provides a virtual package.
    assert debian.dependencies(["podman"]) == {"podman", "crun"}


def test_packages_that_others_need_on_debian(debian: Host) -> None:
    assert debian.required_by_others(["docker.io", "containerd", "git"]) == {}
    assert debian.required_by_others(["docker.io", "containerd", "crun"]) == {"crun": "podman"}
    assert debian.required_by_others(["containerd", "crun"]) == {"containerd": "docker.io", "crun": "containerd"}
    assert debian.required_by_others(["libc6:amd64", "git"]) == {"libc6:amd64": "docker.io"}


# On Enterprise Linux 9: others' podman needs one of two runtimes, Docker's packages need each other.
REFUSALS = {
    ("containerd.io", "crun", "docker-ce"): """error: Failed dependencies:
\t(crun or runc) is needed by (installed) podman-2:4.9.4-3.el9.x86_64
""",
    ("containerd.io", "crun"): """error: Failed dependencies:
\tcontainerd.io is needed by (installed) docker-ce-3:20.10.24-1.el9.x86_64
\t(crun or runc) is needed by (installed) podman-2:4.9.4-3.el9.x86_64
""",
    ("nosuch",): "error: package nosuch is not installed\n",
}
PROVIDERS = {"(crun or runc)": "crun\n", "containerd.io": "containerd.io\ndocker-ce-cli\n"}


def answer_as_rpm(command: list[str]) -> Answer:
    if command[:3] == ["rpm", "--erase", "--test"]:
        errors = REFUSALS.get(tuple(command[3:]), "")
        return int(bool(errors)), "", errors
    if command[0] == "rpm":
        return 0, command[-1].rsplit("-", 2)[0], ""
    assert command[:4] == ["dnf", "--quiet", "repoquery", "--installed"]
    if "--whatprovides" in command:
        return 0, PROVIDERS[command[-1]], ""
    return 0, {"--requires": "bash\n\ncrun\n", "--recommends": "criu\n"}[command[-3]], ""


@pytest.fixture(name="enterprise_linux")
def fixture_enterprise_linux(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(_live_host, "package_family", lambda: "rpm")
    return Host(t.cast(t.Any, Module(answer_as_rpm)))


def test_dependencies_on_enterprise_linux(enterprise_linux: Host) -> None:
    assert enterprise_linux.dependencies(["podman"]) == {"bash", "crun", "criu"}


def test_packages_that_others_need_on_enterprise_linux(enterprise_linux: Host) -> None:
    assert enterprise_linux.required_by_others(["docker-ce", "containerd.io"]) == {}
    assert enterprise_linux.required_by_others(["containerd.io", "crun", "docker-ce"]) == {"crun": "podman"}
    both = {"containerd.io": "docker-ce", "crun": "podman"}
    assert enterprise_linux.required_by_others(["containerd.io", "crun"]) == both


def test_another_error_of_rpm_is_reported(enterprise_linux: Host) -> None:
    with pytest.raises(HostRecordError, match="'rpm --erase --test nosuch' failed: error: package nosuch is not"):
        enterprise_linux.required_by_others(["nosuch"])
