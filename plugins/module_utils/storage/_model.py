# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a host's storage is, and what is wished of it: the words in which it is planned."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT

MIB = 1 << 20


class Device(t.NamedTuple):
    """A block device, as the kernel and its own contents tell."""

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
    # Something in the kernel keeps it for itself: a mount, an array, a volume group, …
    busy: bool = False
    # Of a partition: its number, and where it begins.
    number: int = 0
    start: int = 0
    # What a probe finds on it: a file system or a RAID member, its UUID; a partition table.
    signature: str = ""
    uuid: str = ""
    table: str = ""

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"

    @property
    def identity(self) -> str:
        """What tells this drive from all others, wherever it is plugged in."""
        return f"{self.serial}/{self.wwid}"

    def __str__(self) -> str:
        return f"{self.serial or self.name} ({self.path}, {readable(self.size)})"


class Mount(t.NamedTuple):
    target: str
    source: str
    fstype: str
    free: int = 0


class Physical(t.NamedTuple):
    """A physical volume of LVM: how much of its device it uses."""

    path: str
    used: int
    device_size: int


class Volume(t.NamedTuple):
    """The logical volume that the root file system is on."""

    path: str
    segments: str
    # What its group has left.
    free: int
    physical: tuple[Physical, ...] = ()


class Folder(t.NamedTuple):
    """What is at the place of a mount: missing, directory, file or link."""

    kind: str = "missing"
    entries: tuple[str, ...] = ()


class Host(t.NamedTuple):
    devices: tuple[Device, ...]
    mounts: tuple[Mount, ...]
    fstab: str = ""
    mdadm_conf: str = "/etc/mdadm/mdadm.conf"
    mdadm_conf_text: str = ""
    # The command that renews the initial ramdisks, on systems where these carry a copy of mdadm.conf.
    initramfs: tuple[str, ...] = ()
    initramfs_stale: bool = False
    oci_growfs: str = ""
    # How much of its device the root file system covers; 0 where that is not known.
    root_covers: int = 0
    volume: Volume | None = None
    folder: Folder = Folder()
    # Whether the name is taken that the folder's content would be kept by.
    kept: bool = False
    selinux: bool = False

    def device(self, name: str) -> Device:
        return next(found for found in self.devices if found.name == name)

    def above(self, device: Device) -> list[Device]:
        """Partitions of a disk, the array over a drive, volumes on a partition."""
        return [found for found in self.devices if device.name in found.parents]

    def remembered(self) -> list[tuple[str, str, str]]:
        """What fstab mounts and where; and the line itself."""
        lines = ((line.split("#")[0].split(), line) for line in self.fstab.splitlines())
        return [(fields[0], fields[1], line) for fields, line in lines if len(fields) > 1]


class Wishes(t.NamedTuple):
    grow_root: bool = False
    drives: tuple[str, ...] = ()
    mount: str = DEFAULT_ROOT
    wipe: tuple[str, ...] = ()
    move: bool = False


class Step(t.NamedTuple):
    """A command, or a line that a file gets; and why."""

    why: str
    argv: tuple[str, ...] = ()
    path: str = ""
    line: str = ""


class Refused(Exception):
    """This cannot be done; why, and the way out."""


def readable(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def listed(devices: t.Iterable[Device]) -> str:
    return ", ".join(str(device) for device in devices)
