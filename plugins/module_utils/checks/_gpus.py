# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether the GPUs are there, and are what is needed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    on_gpus,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import look_for_gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._pci import (
    PciDevice,
    gpus_of,
    nvidia_devices,
    same_place,
    switches_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, Needs

# A GPU in the output of look_for_gpus.
Gpu = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Smi(Fact):
    """What nvidia-smi says, or why it fails."""

    error: str | None
    driver: str | None
    cuda: str | None
    gpus: t.Sequence[Gpu]
    processes: t.Sequence[t.Mapping[str, t.Any]]

    @classmethod
    def look(cls, host: LiveHost) -> Smi:
        executable = host.needs.gpus.executable if host.needs.gpus else "nvidia-smi"
        return smi_of(look_for_gpus(host.module, executable, host.options["command_timeout"]))

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"driver_version": self.driver, "cuda_version": self.cuda, "devices": self.gpus}}


def smi_of(found: t.Mapping[str, t.Any]) -> Smi:
    return Smi(found["error"], found["driver_version"], found["cuda_version"], found["gpus"], found["processes"])


@dataclass(frozen=True)
class Bus(Fact):
    """NVIDIA's devices on the PCI bus, whether they answer or not."""

    devices: t.Sequence[PciDevice]

    @classmethod
    def look(cls, host: LiveHost) -> Bus:
        return cls(nvidia_devices())

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"on_bus": len(self.gpus), "switches": self.switches}}

    @property
    def gpus(self) -> list[PciDevice]:
        return gpus_of(self.devices)

    @property
    def switches(self) -> int:
        return len(switches_of(self.devices))


@dataclass(frozen=True)
class Kinds(Fact):
    """What the GPUs are: of each at least `index` and `name`; `memory_mib` and `compute_capability` where known.

    `on_bus` is how many are plugged in, if that is known.
    """

    gpus: t.Sequence[Gpu]
    driver: str | None
    on_bus: int | None = None

    @classmethod
    def look(cls, host: LiveHost) -> Kinds | None:
        smi, bus = host.known(Smi), host.known(Bus)
        return None if smi is None or smi.error else cls(smi.gpus, smi.driver, len(bus.gpus) if bus else None)


def nvidia_smi(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    if smi.error:
        yield error(
            f"nvidia-smi fails: {' '.join(smi.error.split())}",
            "reboot after an update of the driver; else install the driver anew, and look into the kernel's log"
            " (journalctl -k -g NVRM)",
        )


def gpu_absent(_need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    if kinds.gpus:
        return
    plugged = {None: "", 0: "; none is on the PCI bus either"}.get(kinds.on_bus, f"; {kinds.on_bus} are on the PCI bus")
    yield error(f"nvidia-smi shows no GPU{plugged}", "install NVIDIA's driver, or use a host with GPUs")


def gpu_lost(_need: Gpus, smi: Smi, bus: Bus) -> t.Iterator[Finding]:
    """Without any, the driver is missing or fails."""
    lost = [device for device in bus.gpus if not any(same_place(device, gpu["pci_bus_id"]) for gpu in smi.gpus)]
    if smi.gpus and lost:
        yield error(
            f"{len(bus.gpus)} GPUs are on the PCI bus, nvidia-smi shows {len(smi.gpus)}:"
            f" {', '.join(device.address for device in lost)} does not answer",
            "look into the kernel's log (journalctl -k -g NVRM), power the host off and on; if it stays so, have the"
            " GPU replaced",
        )


def gpu_count(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    if 0 < len(kinds.gpus) < need.count:
        yield error(
            f"{len(kinds.gpus)} GPUs answer, {need.count} are needed",
            "find out why the others do not answer (journalctl -k -g NVRM), or need fewer in O(gpus)",
        )


def gpu_model(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    names = _names(kinds)
    if need.name and names and names != [need.name]:
        message = f"the GPUs are {', '.join(names)}, planned for is {need.name}"
        yield error(message, f"use a host with {need.name}, or correct O(gpus)")


def gpu_mixed(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    names = _names(kinds)
    if len(names) > 1 and not need.name:
        message = f"the GPUs are of different kinds: {', '.join(names)}"
        yield error(message, "use a host whose GPUs are alike: an engine is built for one kind")


def _names(kinds: Kinds) -> list[str]:
    return sorted({gpu["name"] for gpu in kinds.gpus})


def gpu_memory(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    small = [gpu for gpu in kinds.gpus if gpu.get("memory_mib") and gpu["memory_mib"] < need.memory_mib]
    if small:
        have = min(gpu["memory_mib"] for gpu in small)
        message = f"memory of {_indexes(small)}: {have} MiB, {need.memory_mib} MiB is needed"
        yield error(message, "use larger or more GPUs, or correct O(gpus)")


def gpu_capability(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    least = version(need.compute_capability)
    old = [gpu for gpu in kinds.gpus if version(gpu.get("compute_capability") or need.compute_capability) < least]
    if old:
        have = min((gpu["compute_capability"] for gpu in old), key=version)
        yield error(
            f"compute capability of {_indexes(old)}: {have}, {need.compute_capability} is needed",
            "use newer GPUs, or another precision or model in O(gpus)",
        )


def _indexes(gpus: t.Sequence[Gpu]) -> str:
    return on_gpus([gpu["index"] for gpu in gpus])


def driver_too_old(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    if _has_older_driver(kinds, need.driver):
        yield error(
            f"the driver is {kinds.driver}, the image's CUDA needs {need.driver} or newer",
            f"install driver {need.driver_listed or need.driver} or newer, or choose an earlier release",
        )


def driver_older(need: Gpus, kinds: Kinds) -> t.Iterator[Finding]:
    if _has_older_driver(kinds, need.driver_listed) and not _has_older_driver(kinds, need.driver):
        yield warning(
            f"the driver is {kinds.driver}, the image is made for {need.driver_listed}:"
            " CUDA's minor version compatibility has to do",
            f"install driver {need.driver_listed} or newer",
        )


def _has_older_driver(kinds: Kinds, wanted: str) -> bool:
    return bool(kinds.gpus and kinds.driver) and version(kinds.driver or "") < version(wanted)


CHECKS = (
    Check(nvidia_smi, "gpus", (Smi,)),
    Check(gpu_absent, "gpus", (Kinds,), waivable=False),
    Check(gpu_lost, "gpus", (Smi, Bus)),
    Check(gpu_count, "gpus", (Kinds,), waivable=False),
    Check(gpu_model, "gpus", (Kinds,)),
    Check(gpu_mixed, "gpus", (Kinds,)),
    Check(gpu_memory, "gpus", (Kinds,)),
    Check(gpu_capability, "gpus", (Kinds,), waivable=False),
    Check(driver_too_old, "gpus", (Kinds,), waivable=False),
    Check(driver_older, "gpus", (Kinds,)),
)
