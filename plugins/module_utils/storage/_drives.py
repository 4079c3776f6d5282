# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Selects drives of a host, describes what is on them, and decides whether they may be used. No I/O.

The UUIDs of the arrays and file systems that we create are calculated from their drives. So a run recognises what an
interrupted run has created, and nothing else.
"""

from __future__ import annotations

import typing as t
import uuid

from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    Device,
    Host,
    Request,
    Step,
    listed,
)

# The value of storage_drives for all empty NVMe drives.
EMPTY_NVME = "empty_nvme"
MEMBER = "linux_raid_member"
BY_ID = "/dev/disk/by-id/"
SPACE = uuid.UUID("0c0b5a52-5b6e-4bd5-9f0d-0d5c0b7d4c11")


def made_of(what: str, drives: t.Iterable[Device]) -> str:
    """The UUID of our array or file system on exactly these drives."""
    return str(uuid.uuid5(SPACE, "|".join([what, *sorted(drive.identity for drive in drives)])))


def array_uuid(drives: t.Iterable[Device]) -> str:
    return made_of("array", drives)


def filesystem_uuid(drives: t.Iterable[Device]) -> str:
    return made_of("filesystem", drives)


def are_ours(drives: t.Sequence[Device]) -> bool:
    """Whether the drives have what we create on them: a file system on a single drive, an array on several."""
    if len(drives) == 1:
        return drives[0].uuid == filesystem_uuid(drives)
    wanted = array_uuid(drives)
    return all(drive.signature == MEMBER and drive.uuid == wanted for drive in drives)


# --- Selection ---


def choose(host: Host, request: Request) -> tuple[list[Device], list[str]]:
    """The drives in `storage_drives`, always in the same order; and what is wrong with the option."""
    disks = [device for device in host.devices if device.kind == "disk"]
    refusals: list[str] = []
    chosen: list[Device] = []
    if EMPTY_NVME in request.drives:
        chosen = _empty_nvme(host, request, disks)
        if len(request.drives) > 1:
            refusals.append(f"storage_drives has {EMPTY_NVME} and names of drives: use one or the other")
        elif not chosen:
            refusals.append(
                f"this host has no empty NVMe drive, only {listed(disks)}: set the names of drives in storage_drives"
            )
    else:
        for name in request.drives:
            found, refusal = _find(disks, name)
            chosen += found
            refusals += refusal
    twice = {drive for drive in chosen if chosen.count(drive) > 1}
    if twice:
        refusals.append(f"storage_drives has {listed(twice)} more than once: list each drive once")
    return sorted(set(chosen), key=lambda drive: drive.identity), refusals


def _empty_nvme(host: Host, request: Request, disks: t.Iterable[Device]) -> list[Device]:
    """The empty drives or, once they are in use, our own; drives that we mount elsewhere are left alone."""
    drives = [drive for drive in disks if drive.transport == "nvme"]
    singles = [[drive] for drive in drives]
    arrays = [[drive for drive in drives if drive.uuid == found.uuid] for found in drives if found.signature == MEMBER]
    taken = [group for group in singles + arrays if are_ours(group)]
    here = [group for group in taken if not _is_elsewhere(host, request, group)]
    empty = [drive for drive in drives if not contents(host, drive)]
    return next((group for group in [*here, empty, *taken] if group), [])


def _is_elsewhere(host: Host, request: Request, drives: t.Iterable[Device]) -> bool:
    source = f"UUID={filesystem_uuid(drives)}"
    return any(what == source and where != request.mount for what, where, _line in host.fstab_mounts())


def _find(disks: t.Iterable[Device], name: str) -> tuple[list[Device], list[str]]:
    if name.startswith("/dev/") and not name.startswith(BY_ID):
        now = [drive.serial for drive in disks if drive.path == name and drive.serial]
        serial = f", currently {now[0]}" if now else ""
        return [], [
            f"storage_drives has {name}, which may be another drive after a reboot: use its serial number{serial}"
        ]
    link = name if name.startswith(BY_ID) else BY_ID + name
    found = [drive for drive in disks if name == drive.serial or link in drive.links]
    if not found:
        return [], [f"storage_drives has {name}, but this host only has {listed(disks)}: correct the name"]
    if len(found) > 1:
        return [], [f"storage_drives has {name}, which matches {listed(found)}: use the names in {BY_ID}"]
    return found, []


def stable_path(drive: Device) -> str:
    """A path of the drive that does not change between boots."""
    return min(drive.links, key=lambda link: (len(link), link), default=drive.path)


# --- Contents ---


def contents(host: Host, device: Device) -> str:
    """A description of what is on a drive or array; empty if there is nothing."""
    found = [f"a signature of {device.signature}"] if device.signature else []
    found += [f"a partition table ({device.table})"] if device.table else []
    found += [f"{child.path} ({_what(child)})" for child in host.children(device)]
    found += [f"a mount at {target}" for target in device.mounts]
    return ", ".join(found) or ("an unknown user" if device.busy else "")


def _what(device: Device) -> str:
    return ", ".join([device.kind, *([device.signature] if device.signature else []), *device.mounts])


def ways_to_free(host: Host, device: Device) -> list[str]:
    """The commands that end the use of a drive or array; empty if it is not in use."""
    ways = [f"swapoff {device.path}" if target == "[SWAP]" else f"umount {target}" for target in device.mounts]
    for child in host.children(device):
        ways += ways_to_free(host, child)
        if child.kind == "lvm":
            ways.append(f"lvchange --activate n {child.path}")
        elif child.kind.startswith(("raid", "linear", "md")):
            ways.append(f"mdadm --stop {child.path}")
        elif child.kind != "part":
            ways.append(f"stop using {child.path} ({child.kind})")
    return ways or ([f"find and stop what uses {device.path}"] if device.busy else [])


# --- Wiping ---


def wipe(host: Host, request: Request, device: Device, drives: t.Sequence[Device]) -> tuple[list[Step], list[str]]:
    """Steps to wipe a drive, or the array on `drives`, and refusals. A device in use is never wiped."""
    occupied = contents(host, device)
    if device.read_only:
        return [], [f"{device} is read-only: remove it from storage_drives"]
    if not occupied:
        return [], []
    ways = ways_to_free(host, device)
    if ways:
        return [], [
            f"{device} is in use and has {occupied}: remove it from storage_drives, or free it ({'; '.join(ways)})"
        ]
    missing = [drive.serial or stable_path(drive) for drive in drives if not _confirmed(request, drive)]
    if missing:
        return [], [
            f"{device} has {occupied}: remove it from storage_drives or, to erase everything on it,"
            f" add {', '.join(missing)} to storage_wipe"
        ]
    children = sorted(found.path for found in host.children(device))
    return [Step(f"erase {device}, which has {occupied}", ("wipefs", "--all", *children, device.path))], []


def _confirmed(request: Request, drive: Device) -> bool:
    names = {drive.serial, *drive.links, *(link[len(BY_ID) :] for link in drive.links)} - {""}
    return bool(names & set(request.wipe))
