# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Data types for the storage of a host and for the plan to change it. Sizes are in bytes."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT

MIB = 1 << 20


class Device(t.NamedTuple):
    """A block device, from the kernel and a probe of its contents."""

    name: str
    # disk, part, lvm, raid0, crypt, …
    kind: str
    size: int
    parents: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    serial: str = ""
    wwid: str = ""
    # Its names in /dev/disk/by-id, and for a logical volume in /dev/mapper.
    links: tuple[str, ...] = ()
    transport: str = ""
    read_only: bool = False
    # The kernel has it open exclusively: it is mounted, or in an array, a volume group, …
    busy: bool = False
    # The number and the first byte of a partition.
    number: int = 0
    start: int = 0
    # From a probe: the type of the file system or RAID member, its UUID, and the type of partition table.
    signature: str = ""
    uuid: str = ""
    table: str = ""

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"

    @property
    def identity(self) -> str:
        """Identifies this drive, independent of the slot that it is in."""
        return f"{self.serial}/{self.wwid}"

    def __str__(self) -> str:
        return f"{self.serial or self.name} ({self.path}, {readable(self.size)})"


class Mount(t.NamedTuple):
    target: str
    source: str
    fstype: str
    free: int = 0


class Physical(t.NamedTuple):
    """A physical volume of LVM, and the part of its device that it uses."""

    path: str
    used: int
    device_size: int


class Volume(t.NamedTuple):
    """The logical volume with the root file system."""

    path: str
    segments: str
    # Free space in its volume group.
    free: int
    physical: tuple[Physical, ...] = ()


class Folder(t.NamedTuple):
    """What exists at a mount point: `kind` is missing, directory, file or symbolic link."""

    kind: str = "missing"
    entries: tuple[str, ...] = ()


class Host(t.NamedTuple):
    devices: tuple[Device, ...]
    mounts: tuple[Mount, ...]
    fstab: str = ""
    mdadm_conf: str = "/etc/mdadm/mdadm.conf"
    mdadm_conf_text: str = ""
    # The command that updates the initial ramdisks, on systems where these contain a copy of mdadm.conf.
    initramfs: tuple[str, ...] = ()
    initramfs_stale: bool = False
    oci_growfs: str = ""
    # The size of the root file system; 0 if unknown.
    root_covers: int = 0
    volume: Volume | None = None
    folder: Folder = Folder()
    # Whether <mount>.before-storage exists, which would keep the original content of the folder.
    backup_exists: bool = False
    selinux: bool = False

    def device(self, name: str) -> Device:
        return next(found for found in self.devices if found.name == name)

    def children(self, device: Device) -> list[Device]:
        """The partitions of a disk, the array that a drive belongs to, the volumes on a partition."""
        return [found for found in self.devices if device.name in found.parents]

    def fstab_mounts(self) -> list[tuple[str, str, str]]:
        """Source, target and complete line of each entry of fstab."""
        lines = ((line.split("#")[0].split(), line) for line in self.fstab.splitlines())
        return [(fields[0], fields[1], line) for fields, line in lines if len(fields) > 1]


class Request(t.NamedTuple):
    """The options of local_storage."""

    grow_root: bool = False
    drives: tuple[str, ...] = ()
    mount: str = DEFAULT_ROOT
    wipe: tuple[str, ...] = ()
    move: bool = False


class Step(t.NamedTuple):
    """A command, or a line to add to a file; and its purpose, such as "mount the file system"."""

    purpose: str
    argv: tuple[str, ...] = ()
    path: str = ""
    line: str = ""


class NotPossible(Exception):
    """Why a request is not possible, and what to change."""


def readable(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def listed(devices: t.Iterable[Device]) -> str:
    return ", ".join(str(device) for device in devices)
