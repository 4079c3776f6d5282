# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Plans the steps that grow the root file system to the size of its disk. No I/O.

Partition, physical volume, logical volume and file system are checked one by one, so that a run completes what an
interrupted one has begun.
"""

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    MIB,
    Device,
    Host,
    Mount,
    NotPossible,
    Step,
    Volume,
    readable,
)

# Smaller gaps are ignored: alignment, backup headers and rounding to extents always leave some.
WORTH_GROWING = 64 * MIB
SECTOR = 512
# The backup GPT at the end of a disk has 33 sectors.
GPT_TAIL = 33 * SECTOR
# The largest disk size that an MBR supports.
MBR_END = (1 << 32) * SECTOR
MANUAL_REMEDY = "grow it by hand, and unset storage_grow_root"


def grow_root(host: Host) -> tuple[list[Step], int]:
    """The steps, and how many bytes will be free after them."""
    root = next(mount for mount in host.mounts if mount.target == "/")
    device = _device_of(host, root)
    if root.fstype not in ("ext3", "ext4", "xfs"):
        ways = "growpart, then 'btrfs filesystem resize max /'; " if root.fstype == "btrfs" else ""
        raise NotPossible(
            f"the root file system is {root.fstype}, which cannot be grown automatically: {ways}{MANUAL_REMEDY}"
        )
    steps, gained = _grow_partitions(host, device)
    if host.volume is not None:
        more, gained = _grow_volume(host.volume, gained)
        steps += more
    gained += max(0, device.size - host.root_covers) if host.root_covers else 0
    if gained >= WORTH_GROWING:
        argv = ("xfs_growfs", "/") if root.fstype == "xfs" else ("resize2fs", device.path)
        steps.append(Step(f"grow the root file system by {readable(gained)}", argv))
    if steps and steps[0].argv[0] == host.oci_growfs:
        # It also grows the volumes and the file system.
        steps = steps[:1]
    return steps, root.free + (gained if steps else 0)


def _device_of(host: Host, root: Mount) -> Device:
    # For a btrfs subvolume, findmnt appends its name in brackets.
    source = root.source.split("[")[0]
    for device in host.devices:
        if source in (device.path, *device.links):
            return device
    raise NotPossible(f"the root file system is on {source}, which is not a block device: unset storage_grow_root")


def _grow_partitions(host: Host, device: Device) -> tuple[list[Step], int]:
    steps, gained = [], 0
    for partition in _partitions_below(host, device):
        room = _room_behind(host, partition)
        if room >= WORTH_GROWING:
            argv = (host.oci_growfs, "-y") if host.oci_growfs else _growpart(partition)
            steps.append(Step(f"grow partition {partition.path} by {readable(room)}", argv))
            gained += room
    return steps, gained


def _growpart(partition: Device) -> tuple[str, ...]:
    return ("growpart", f"/dev/{partition.parents[0]}", str(partition.number))


def _partitions_below(host: Host, device: Device) -> list[Device]:
    """The partitions of the root file system: its own, or those of its volume group."""
    if device.kind in ("disk", "part"):
        return [device] if device.kind == "part" else []
    below = [found for found in host.devices if found.name in device.parents]
    if host.volume is None or any(found.kind not in ("disk", "part") for found in below):
        raise NotPossible(f"the root file system is on {device.path} of type {device.kind}: {MANUAL_REMEDY}")
    if host.volume.segments != "linear":
        raise NotPossible(f"the root volume {host.volume.path} is {host.volume.segments}, not linear: {MANUAL_REMEDY}")
    return [found for found in below if found.kind == "part"]


def _room_behind(host: Host, partition: Device) -> int:
    """Bytes between a partition and the end of its disk; NotPossible if another partition is in between."""
    disk = host.device(partition.parents[0])
    end = disk.size - GPT_TAIL if disk.table == "gpt" else min(disk.size, MBR_END)
    last = max(host.children(disk), key=lambda other: other.start)
    room = end - last.start - last.size
    if room >= WORTH_GROWING and last is not partition:
        raise NotPossible(
            f"{disk.path} has {readable(room)} of free space, but {last.path} is between it and {partition.path}:"
            " move that by hand, or unset storage_grow_root"
        )
    return room


def _grow_volume(volume: Volume, gained: int) -> tuple[list[Step], int]:
    """Steps to grow the physical volumes and then the root volume, and the bytes gained."""
    steps = []
    for physical in volume.physical:
        unused = physical.device_size - physical.used
        if gained + unused >= WORTH_GROWING:
            steps.append(Step(f"grow physical volume {physical.path} to its partition", ("pvresize", physical.path)))
            gained += unused
    gained += volume.free
    if gained >= WORTH_GROWING:
        argv = ("lvextend", "--extents", "+100%FREE", volume.path)
        steps.append(Step(f"grow the root volume by the {readable(gained)} that are free in its group", argv))
    return steps, gained
