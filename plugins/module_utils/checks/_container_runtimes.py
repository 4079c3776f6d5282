# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether Docker, runc and containerd have the fixes that the isolation of the server depends on."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Check, Fact, Finding, warning
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._system import System
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, Runtime

_NAMES = {"Engine": "docker", "containerd": "containerd", "runc": "runc"}
# What the versions of Debian's and Ubuntu's packages contain, unlike those of upstream and of Docker's packages.
_OF_A_DISTRIBUTION = re.compile(r"ubuntu|deb\d|[+~]ds\d|dfsg")


class Component(t.NamedTuple):
    """Upstream's version, and the version of the distribution's package; empty if it is from somewhere else."""

    version: str
    package: str


@dataclass(frozen=True)
class Components(Fact):
    """The components of Docker by name."""

    by_name: t.Mapping[str, Component]

    @classmethod
    def gather(cls, host: LiveHost) -> Components | None:
        try:
            server = json.loads(host.output_of("docker", "version", "--format", "{{json .Server}}") or "null")
        except ValueError:
            server = None
        return read_components(server["Components"]) if server and server.get("Components") else None

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"container_runtimes": {name: found.version for name, found in self.by_name.items()}}


def read_components(listed: t.Iterable[t.Mapping[str, t.Any]]) -> Components:
    found = {}
    for entry in listed:
        texts = (str((entry.get("Details") or {}).get("GitCommit", "")), str(entry.get("Version", "")))
        package = next((text for text in texts if _OF_A_DISTRIBUTION.search(text)), "")
        found[_NAMES.get(entry["Name"], "")] = Component(texts[1].lstrip("v"), package)
    found.pop("", None)
    return Components(found)


def container_runtime_too_old(runtimes: t.Sequence[Runtime], found: Components, system: System) -> t.Iterator[Finding]:
    where = f"{system.name} {system.version}"
    for entry in runtimes:
        component = found.by_name.get(entry.component)
        if component is None or is_fixed(entry, component, where):
            continue
        package = (entry.packages or {}).get(where) if component.package else ""
        needed = " or ".join([*entry.fixed_in, *([f"the package {package}"] if package else [])])
        unknown = f" (whether {where} has fixed {component.package} is not known)"
        yield warning(
            f"{entry.component} is {component.version}, needed is {needed} or later, because {entry.problem}"
            + (unknown if component.package and not package else ""),
            "update it; docker_source vendor installs Docker's own packages",
        )


def is_fixed(entry: Runtime, component: Component, where: str) -> bool:
    package = (entry.packages or {}).get(where)
    if package and component.package and debian_order(component.package) >= debian_order(package):
        return True
    have, fixes = version(component.version), sorted(map(version, entry.fixed_in))
    branch = [fix for fix in fixes if fix[:2] == have[:2]]
    return not have or have >= (branch or fixes[-1:])[0]


def debian_order(text: str) -> tuple[t.Any, ...]:
    """Sort key of a Debian version, as in deb-version(7): `~` is before the end, and letters are before the rest."""
    upstream, _hyphen, revision = text.rpartition("-") if "-" in text else (text, "", "")
    return tuple(
        [((*map(_debian_rank, words), 0), int(number or 0)) for words, number in re.findall(r"(\D*)(\d*)", part)]
        for part in (upstream, revision)
    )


def _debian_rank(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


CHECKS = (Check(container_runtime_too_old, "runtimes", (Components, System)),)
