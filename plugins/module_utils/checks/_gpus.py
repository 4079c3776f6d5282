# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether the host has the GPUs and the driver that are needed."""

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
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import query_gpus
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

# A GPU in the output of query_gpus.
Gpu = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Smi(Fact):
    """The output of nvidia-smi, or why it failed."""

    error: str | None
    driver: str | None
    cuda: str | None
    gpus: t.Sequence[Gpu]
    processes: t.Sequence[t.Mapping[str, t.Any]]

    @classmethod
    def gather(cls, host: LiveHost) -> Smi:
        executable = host.needs.gpus.executable if host.needs.gpus else "nvidia-smi"
        return smi_of(query_gpus(host.module, executable, host.options["command_timeout"]))

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"driver_version": self.driver, "cuda_version": self.cuda, "devices": self.gpus}}


def smi_of(found: t.Mapping[str, t.Any]) -> Smi:
    return Smi(found["error"], found["driver_version"], found["cuda_version"], found["gpus"], found["processes"])


@dataclass(frozen=True)
class PciBus(Fact):
    """NVIDIA's devices on the PCI bus, whether they respond or not."""

    devices: t.Sequence[PciDevice]

    @classmethod
    def gather(cls, host: LiveHost) -> PciBus:
        return cls(nvidia_devices())

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"on_bus": len(self.gpus), "switches": self.switches}}

    @property
    def gpus(self) -> list[PciDevice]:
        return gpus_of(self.devices)

    @property
    def switches(self) -> int:
        return len(switches_of(self.devices))


@dataclass(frozen=True)
class GpuModels(Fact):
    """The GPUs, each with at least `index` and `name`, and `memory_mib` and `compute_capability` if they are known.

    `on_bus` is the number of GPUs on the PCI bus, if it is known.
    """

    gpus: t.Sequence[Gpu]
    driver: str | None
    on_bus: int | None = None

    @classmethod
    def gather(cls, host: LiveHost) -> GpuModels | None:
        smi, bus = host.fact(Smi), host.fact(PciBus)
        return None if smi is None or smi.error else cls(smi.gpus, smi.driver, len(bus.gpus) if bus else None)


def nvidia_smi(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    if smi.error:
        yield error(
            f"nvidia-smi fails: {' '.join(smi.error.split())}",
            "if the driver was just updated, reboot; otherwise reinstall it, and see the kernel's log"
            " (journalctl -k -g NVRM)",
        )


def gpu_absent(_need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    if models.gpus:
        return
    plugged = {None: "", 0: "; none is on the PCI bus either"}.get(
        models.on_bus, f"; {models.on_bus} are on the PCI bus"
    )
    yield error(f"nvidia-smi shows no GPUs{plugged}", "install NVIDIA's driver, or use a host with GPUs")


def gpu_lost(_need: Gpus, smi: Smi, bus: PciBus) -> t.Iterator[Finding]:
    """If no GPU responds, the driver is missing or fails, which other checks report."""
    lost = [device for device in bus.gpus if not any(same_place(device, gpu["pci_bus_id"]) for gpu in smi.gpus)]
    if smi.gpus and lost:
        yield error(
            f"{len(bus.gpus)} GPUs are on the PCI bus, but nvidia-smi shows {len(smi.gpus)}:"
            f" {', '.join(device.address for device in lost)} does not respond",
            "see the kernel's log (journalctl -k -g NVRM), and power the host off and on; if that does not help,"
            " replace the GPU",
        )


def gpu_count(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    if 0 < len(models.gpus) < need.count:
        yield error(
            f"{len(models.gpus)} GPUs respond, but {need.count} are needed",
            "find out why the others do not respond (journalctl -k -g NVRM), or use fewer in O(gpus)",
        )


def gpu_model(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    names = _names(models)
    if need.name and names and names != [need.name]:
        message = f"the GPUs are {', '.join(names)}, but {need.name} is planned"
        yield error(message, f"use a host with {need.name}, or correct O(gpus)")


def gpu_mixed(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    names = _names(models)
    if len(names) > 1 and not need.name:
        message = f"the GPUs are of different models: {', '.join(names)}"
        yield error(message, "use a host with identical GPUs: an engine is built for one model of GPU")


def _names(models: GpuModels) -> list[str]:
    return sorted({gpu["name"] for gpu in models.gpus})


def gpu_memory(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    small = [gpu for gpu in models.gpus if gpu.get("memory_mib") and gpu["memory_mib"] < need.memory_mib]
    if small:
        have = min(gpu["memory_mib"] for gpu in small)
        message = f"memory of {_indexes(small)}: {have} MiB, but {need.memory_mib} MiB is needed"
        yield error(message, "use larger or more GPUs, or correct O(gpus)")


def gpu_capability(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    least, most = need.compute_capability, need.compute_capability_most
    known = [gpu for gpu in models.gpus if gpu.get("compute_capability")]
    old = [gpu for gpu in known if version(gpu["compute_capability"]) < version(least)]
    new = [gpu for gpu in known if most and version(gpu["compute_capability"]) > version(most)]
    if old:
        yield error(
            f"compute capability of {_indexes(old)}: {_oldest(old)}, but {least} is needed",
            "use newer GPUs, or another precision or model in O(gpus)",
        )
    if new:
        yield error(
            f"compute capability of {_indexes(new)}: {_oldest(new)}, but at most {most} is supported",
            "use older GPUs, or a later TensorRT-LLM version",
        )


def _oldest(gpus: t.Sequence[Gpu]) -> str:
    return str(min((gpu["compute_capability"] for gpu in gpus), key=version))


def _indexes(gpus: t.Sequence[Gpu]) -> str:
    return on_gpus([gpu["index"] for gpu in gpus])


def driver_too_old(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    if _has_older_driver(models, need.driver):
        yield error(
            f"the driver is {models.driver}, but the image's CUDA needs {need.driver} or later",
            f"install driver {need.driver_listed or need.driver} or later, or choose an earlier TensorRT-LLM version",
        )


def driver_older(need: Gpus, models: GpuModels) -> t.Iterator[Finding]:
    if _has_older_driver(models, need.driver_listed) and not _has_older_driver(models, need.driver):
        yield warning(
            f"the driver is {models.driver}, but the image was built for {need.driver_listed}:"
            " it depends on CUDA's minor version compatibility",
            f"install driver {need.driver_listed} or later",
        )


def _has_older_driver(models: GpuModels, wanted: str) -> bool:
    return bool(models.gpus and models.driver) and version(models.driver or "") < version(wanted)


CHECKS = (
    Check(nvidia_smi, "gpus", (Smi,)),
    Check(gpu_absent, "gpus", (GpuModels,), waivable=False),
    Check(gpu_lost, "gpus", (Smi, PciBus)),
    Check(gpu_count, "gpus", (GpuModels,), waivable=False),
    Check(gpu_model, "gpus", (GpuModels,)),
    Check(gpu_mixed, "gpus", (GpuModels,)),
    Check(gpu_memory, "gpus", (GpuModels,)),
    Check(gpu_capability, "gpus", (GpuModels,), waivable=False),
    Check(driver_too_old, "gpus", (GpuModels,), waivable=False),
    Check(driver_older, "gpus", (GpuModels,)),
)
