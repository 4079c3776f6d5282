# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and tasks of roles, rendered for a supported system that is not available."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

PROJECT = Path(__file__).parents[3]
ROLES = PROJECT / "roles"
LOADER = DataLoader()


@functools.cache
def load(path: Path) -> Any:
    return LOADER.load_from_file(str(path), trusted_as_template=True)


# The systems by their names in trtllm_bundle_systems.
SYSTEMS: dict[str, dict[str, str]] = load(PROJECT / "playbooks/vars/bundle.yml")["bundling_known"]
DISTRIBUTIONS = {
    "debian": "Debian",
    "ubuntu": "Ubuntu",
    "oraclelinux": "OracleLinux",
    "rocky": "Rocky",
    "almalinux": "AlmaLinux",
    "redhat": "RedHat",
}


def systems(family: str) -> list[str]:
    return [name for name, system in SYSTEMS.items() if system["family"] == family]


def facts(system: str, architecture: str = "x86_64") -> dict[str, Any]:
    """Ansible's facts of a host."""
    distribution, version = system.rsplit("-", 1)
    known = SYSTEMS[system]
    return {
        "os_family": known["family"],
        "distribution": DISTRIBUTIONS[distribution],
        "distribution_major_version": version.partition(".")[0],
        "distribution_release": known.get("codename", "NA"),
        "architecture": architecture,
        "apparmor": {"status": "enabled"},
    }


class Rendered:
    """Rendered variables from files; later files override earlier ones."""

    def __init__(self, *files: Path, **variables: Any) -> None:
        self.variables: dict[str, Any] = {}
        for file in files:
            self.variables.update(load(file) if file.exists() else {})
        self.variables.update(variables)

    def __getitem__(self, name: str) -> Any:
        return self.render(self.variables[name])

    def render(self, value: Any) -> Any:
        return Templar(loader=LOADER, variables=self.variables).template(value)


class Role(Rendered):
    """A role on a host with some system."""

    def __init__(self, name: str, system: str, **variables: Any) -> None:
        self.folder = ROLES / name
        own = (self.folder / "defaults/main.yml", self.folder / "vars/main.yml")
        variables = {"ansible_check_mode": False, "role_path": str(self.folder), **variables}
        super().__init__(ROLES / "packages/vars/main.yml", *own, ansible_facts=facts(system), **variables)

    def task(self, file: str, module: str) -> dict[str, Any]:
        """The options of the first task with a module in a file."""
        options = next(task[module] for task in tasks_of(self.folder / f"tasks/{file}.yml") if module in task)
        rendered: dict[str, Any] = self.render(options)
        return rendered


def tasks_of(file: Path) -> Iterator[dict[str, Any]]:
    """The tasks of a file, including those in blocks."""
    waiting = list(load(file) or [])
    while waiting:
        task = waiting.pop(0)
        yield task
        waiting += [inner for part in ("block", "rescue", "always") for inner in task.get(part, [])]
