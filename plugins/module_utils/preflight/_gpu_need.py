# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The GPUs of a host against what is to run on them."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._pci import PciDevice, same_place
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import OwnService, is_ours
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import command_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import (
    Finding,
    error,
    on_gpus,
    warning,
)

# What a driver keeps for itself on a GPU that nobody uses.
IDLE_MIB = 1024

Found = t.Mapping[str, t.Any]
Need = t.Mapping[str, t.Any]


def check_presence(found: Found, on_bus: t.Sequence[PciDevice]) -> list[Finding]:
    """Whether the driver shows all GPUs that are plugged in."""
    if found["error"]:
        return [
            error(
                "nvidia_smi",
                f"nvidia-smi fails: {' '.join(found['error'].split())}",
                "reboot after an update of the driver; else install the driver anew, and look into the kernel's log"
                " (journalctl -k -g NVRM)",
            )
        ]
    if not found["gpus"]:
        seen = f"{len(on_bus)} are on the PCI bus" if on_bus else "none is on the PCI bus either"
        message = f"nvidia-smi shows no GPU; {seen}"
        return [error("gpu_absent", message, "install NVIDIA's driver, or use a host with GPUs")]
    lost = [device for device in on_bus if not any(same_place(device, gpu["pci_bus_id"]) for gpu in found["gpus"])]
    if not lost:
        return []
    return [
        error(
            "gpu_lost",
            f"{len(on_bus)} GPUs are on the PCI bus, nvidia-smi shows {len(found['gpus'])}:"
            f" {', '.join(device.address for device in lost)} does not answer",
            "look into the kernel's log (journalctl -k -g NVRM), power the host off and on; if it stays so, have the"
            " GPU replaced",
        )
    ]


def check_need(found: Found, need: Need, variable: str) -> list[Finding]:
    """`need`: as the module's option; what is not in it does not matter."""
    gpus = found["gpus"]
    if not gpus:
        return []
    return [*_count(gpus, need, variable), *_kinds(gpus, need, variable), *_driver(found["driver_version"], need)]


def _count(gpus: t.Sequence[Found], need: Need, variable: str) -> t.Iterator[Finding]:
    if len(gpus) < (need["count"] or 0):
        yield error(
            "gpu_count",
            f"{len(gpus)} GPUs answer, {need['count']} are needed",
            f"find out why the others do not answer (journalctl -k -g NVRM), or need fewer in {variable}",
        )


def _kinds(gpus: t.Sequence[Found], need: Need, variable: str) -> t.Iterator[Finding]:
    names = sorted({gpu["name"] for gpu in gpus})
    if need["name"] and names != [need["name"]]:
        message = f"the GPUs are {', '.join(names)}, planned for is {need['name']}"
        yield error("gpu_model", message, f"use a host with {need['name']}, or correct {variable}")
    elif len(names) > 1:
        message = f"the GPUs are of different kinds: {', '.join(names)}"
        yield error("gpu_mixed", message, "use a host whose GPUs are alike: an engine is built for one kind")
    small = [gpu["index"] for gpu in gpus if (gpu["memory_mib"] or need["memory_mib"] or 0) < (need["memory_mib"] or 0)]
    if small:
        have = min(gpu["memory_mib"] for gpu in gpus if gpu["memory_mib"])
        message = f"memory of {on_gpus(small)}: {have} MiB, {need['memory_mib']} MiB is needed"
        yield error("gpu_memory", message, f"use larger or more GPUs, or correct {variable}")
    least = _numbers(need["compute_capability"])
    old = [gpu for gpu in gpus if gpu["compute_capability"] and _numbers(gpu["compute_capability"]) < least]
    if old:
        yield error(
            "gpu_capability",
            f"compute capability of {on_gpus([gpu['index'] for gpu in old])}: {old[0]['compute_capability']},"
            f" {need['compute_capability']} is needed",
            f"use newer GPUs, or another precision or model in {variable}",
        )


def _driver(have: str | None, need: Need) -> t.Iterator[Finding]:
    if have is None:
        return
    if _numbers(have) < _numbers(need["driver"]):
        yield error(
            "driver_too_old",
            f"the driver is {have}, the image's CUDA needs {need['driver']} or newer",
            f"install driver {need['driver_listed'] or need['driver']} or newer, or choose an earlier release",
        )
    elif _numbers(have) < _numbers(need["driver_listed"]):
        yield warning(
            "driver_older",
            f"the driver is {have}, the image is made for {need['driver_listed']}:"
            " CUDA's minor version compatibility has to do",
            f"install driver {need['driver_listed']} or newer",
        )


def _numbers(version: str | None) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version or "")]


# --- who uses them -------------------------------------------------------------------------------------------------


def check_use(found: Found, own: OwnService, proc: str = "/proc") -> list[Finding]:
    """Everything that uses a GPU and is not our own service."""
    by_pid: dict[int, list[Found]] = {}
    for process in found["processes"]:
        if process["pid"] is not None:
            by_pid.setdefault(process["pid"], []).append(process)
    others = {pid: uses for pid, uses in by_pid.items() if not is_ours(pid, own, proc)}
    findings = [_in_use(pid, uses, proc) for pid, uses in others.items()]
    used = {process["gpu_index"] for process in found["processes"]}
    held = [gpu for gpu in found["gpus"] if gpu["index"] not in used and (gpu["memory_used_mib"] or 0) > IDLE_MIB]
    if held:
        amounts = ", ".join(f"{gpu['memory_used_mib']} MiB on GPU {gpu['index']}" for gpu in held)
        message = f"memory is in use by nobody that shows: {amounts}"
        findings.append(
            warning("gpu_memory_held", message, "find it with fuser -v /dev/nvidia*, and end it; else reset the GPU")
        )
    return findings


def _in_use(pid: int, uses: t.Sequence[Found], proc: str) -> Finding:
    first = uses[0]
    name = first["name"] or command_of(pid, proc) or "unknown"
    memory = sum(use["memory_mib"] or 0 for use in uses)
    indexes = {use["gpu_index"] for use in uses}
    where = on_gpus(indexes)
    graphics = all(use["type"] == "G" for use in uses)
    report = warning if graphics else error
    return report(
        "gpu_in_use",
        f"{where} {'are' if len(indexes) > 1 else 'is'} used by pid {pid}: {name} ({memory} MiB)",
        f"end it: kill {pid}, or stop its service" + ("" if graphics else " or container"),
    )
