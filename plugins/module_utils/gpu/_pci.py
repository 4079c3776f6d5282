# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""NVIDIA's devices on the PCI bus, from /sys, which does not need a driver."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text

DEVICES = "/sys/bus/pci/devices"
_NVIDIA = "0x10de"
_GPU = ("0x0300", "0x0302")
# NVSwitches have the class "bridge, other".
_SWITCH = "0x0680"


class PciDevice(t.NamedTuple):
    """`address` is domain, bus, device and function; `kind` is the PCI class."""

    address: str
    kind: str


def nvidia_devices(folder: str = DEVICES) -> list[PciDevice]:
    """NVIDIA's devices, except those that are passed through to virtual machines."""
    try:
        addresses = sorted(os.listdir(folder))
    except OSError:
        return []
    return [
        PciDevice(address, read_text(os.path.join(folder, address, "class")).strip())
        for address in addresses
        if read_text(os.path.join(folder, address, "vendor")).strip() == _NVIDIA
        and os.path.basename(os.path.realpath(os.path.join(folder, address, "driver"))) != "vfio-pci"
    ]


def gpus_of(devices: t.Iterable[PciDevice]) -> list[PciDevice]:
    return [device for device in devices if device.kind.startswith(_GPU)]


def switches_of(devices: t.Iterable[PciDevice]) -> list[PciDevice]:
    return [device for device in devices if device.kind.startswith(_SWITCH)]


def same_place(device: PciDevice, bus_id: str | None) -> bool:
    """Compare with an id of nvidia-smi, which has more digits for the domain, in upper case."""
    return _place(device.address) == _place(bus_id or "")


def _place(address: str) -> list[int]:
    return [int(part, 16) for part in re.findall(r"[0-9A-Fa-f]+", address)]
