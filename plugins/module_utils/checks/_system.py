# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The operating system: architecture, distribution, systemd, clock and limits."""

from __future__ import annotations

import os
import platform
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs

_MACHINE_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}
_LIMITS = {"memlock": "Max locked memory", "stack": "Max stack size", "nofile": "Max open files"}
_CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class Machine(Fact):
    architecture: str

    @classmethod
    def gather(cls, host: LiveHost) -> Machine:
        machine = platform.machine()
        return cls(_MACHINE_ALIASES.get(machine, machine))

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"architecture": self.architecture}


def architecture(supported: t.Sequence[str], machine: Machine) -> t.Iterator[Finding]:
    if machine.architecture not in supported:
        yield error(
            f"the architecture is {machine.architecture}, supported: {', '.join(supported)}",
            "use a host of that architecture: there are no backend images for others",
        )


@dataclass(frozen=True)
class System(Fact):
    """ID and VERSION_ID of the distribution."""

    name: str
    version: str

    @classmethod
    def gather(cls, host: LiveHost) -> System:
        return read_system("/etc/os-release")

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"system": f"{self.name} {self.version}"}


def read_system(path: str) -> System:
    release = {key: value.strip("\"'") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", read_text(path), re.MULTILINE)}
    return System(release.get("ID", "unknown"), release.get("VERSION_ID", ""))


def _supported(systems: t.Mapping[str, str]) -> str:
    return ", ".join(f"{name} {oldest} or later" for name, oldest in sorted(systems.items()))


def os_untested(systems: t.Mapping[str, str], system: System) -> t.Iterator[Finding]:
    """Only a warning: other distributions may work."""
    if system.name not in systems:
        message = f"{system.name} {system.version} is not a supported distribution ({_supported(systems)}); it may work"
        yield warning(message, "none")


def os_unsupported(systems: t.Mapping[str, str], system: System) -> t.Iterator[Finding]:
    # Rolling releases have no number.
    if system.name in systems and system.version and version(system.version) < version(systems[system.name]):
        message = f"{system.name} {system.version} is too old, supported: {_supported(systems)}"
        yield error(message, "upgrade the host's system")


@dataclass(frozen=True)
class Systemd(Fact):
    running: bool

    @classmethod
    def gather(cls, host: LiveHost) -> Systemd:
        # As documented in sd_booted(3).
        return cls(os.path.isdir("/run/systemd/system"))


def systemd(_needed: bool, found: Systemd) -> t.Iterator[Finding]:
    if not found.running:
        yield error(
            "systemd is not running, but is needed for the service",
            "use a host with systemd; in a container it must be process 1",
        )


@dataclass(frozen=True)
class Clock(Fact):
    """Whether the kernel's clock is synchronised, by any program; None if unknown."""

    synchronised: bool | None

    @classmethod
    def gather(cls, host: LiveHost) -> Clock:
        said = host.output_of("timedatectl", "show", "--property=NTPSynchronized", "--value")
        return cls(None if said is None else said.strip() == "yes")

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"clock_synchronised": self.synchronised}


def clock(_needed: bool, found: Clock) -> t.Iterator[Finding]:
    if found.synchronised is False:
        yield warning(
            "the clock is not synchronised: if it is wrong, valid certificates are refused",
            "systemctl enable --now chronyd, or systemd-timesyncd; timedatectl shows the state",
        )


@dataclass(frozen=True)
class Limits(Fact):
    """Whether the host may raise its limits, and the text of /proc/1/limits."""

    raisable: bool
    limits: str

    @classmethod
    def gather(cls, host: LiveHost) -> Limits:
        return read_limits("/proc/1")

    def allow(self, wanted: str) -> bool:
        """`wanted` is in Docker's notation: name=soft[:hard], -1 for unlimited."""
        name, _equals, values = wanted.partition("=")
        hard = re.search(rf"^{_LIMITS.get(name, name)}\s+\S+\s+(\S+)", self.limits, re.MULTILINE)
        if self.raisable or hard is None or hard.group(1) == "unlimited":
            return True
        return 0 <= int(values.split(":")[-1]) <= int(hard.group(1))


def read_limits(process: str) -> Limits:
    capabilities = re.search(r"^CapBnd:\s*([0-9a-f]+)", read_text(f"{process}/status"), re.MULTILINE)
    raisable = capabilities is None or bool(int(capabilities.group(1), 16) >> _CAP_SYS_RESOURCE & 1)
    return Limits(raisable, read_text(f"{process}/limits"))


def ulimits(wanted: t.Sequence[str], found: Limits) -> t.Iterator[Finding]:
    low = [text for text in wanted if not found.allow(text)]
    if low:
        yield warning(
            f"the host cannot raise limits as high as the container needs: {', '.join(low)}",
            "raise them where the host is started (if it is a container or virtual machine), or reduce O(ulimits)",
        )


CHECKS = (
    Check(architecture, "architectures", (Machine,)),
    Check(os_untested, "systems", (System,)),
    Check(os_unsupported, "systems", (System,)),
    Check(systemd, "systemd", (Systemd,)),
    Check(clock, "clock", (Clock,)),
    Check(ulimits, "ulimits", (Limits,)),
)
