# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which of a host's drives are wished for, what is on them, and whether they may be taken. Pure.

What we make has a UUID that follows from the drives it is made of. So what an interrupted run has made is known again,
and nothing else is ever taken for ours.
"""

from __future__ import annotations

import typing as t
import uuid

from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    Device,
    Host,
    Step,
    Wishes,
    listed,
)

# The word that stands for all NVMe drives with nothing on them.
EMPTY_NVME = "empty_nvme"
MEMBER = "linux_raid_member"
BY_ID = "/dev/disk/by-id/"
SPACE = uuid.UUID("0c0b5a52-5b6e-4bd5-9f0d-0d5c0b7d4c11")


def made_of(what: str, drives: t.Iterable[Device]) -> str:
    """The UUID of the array or the file system that is made of exactly these drives."""
    return str(uuid.uuid5(SPACE, "|".join([what, *sorted(drive.identity for drive in drives)])))


def array_uuid(drives: t.Iterable[Device]) -> str:
    return made_of("array", drives)


def filesystem_uuid(drives: t.Iterable[Device]) -> str:
    return made_of("filesystem", drives)


def are_ours(drives: t.Sequence[Device]) -> bool:
    """Whether the drives carry what we make of them: a file system on a single one, an array over several."""
    if len(drives) == 1:
        return drives[0].uuid == filesystem_uuid(drives)
    wanted = array_uuid(drives)
    return all(drive.signature == MEMBER and drive.uuid == wanted for drive in drives)


# --- Which ---


def choose(host: Host, wishes: Wishes) -> tuple[list[Device], list[str]]:
    """The drives that are wished for, always in the same order; and what is wrong with the wish."""
    disks = [device for device in host.devices if device.kind == "disk"]
    refusals: list[str] = []
    chosen: list[Device] = []
    if EMPTY_NVME in wishes.drives:
        chosen = _empty_nvme(host, wishes, disks)
        if len(wishes.drives) > 1:
            refusals.append(f"storage_drives has {EMPTY_NVME} and names beside it: have one or the other")
        elif not chosen:
            refusals.append(
                f"this host has no NVMe drive with nothing on it, it has {listed(disks)}: name drives in storage_drives"
            )
    else:
        for name in wishes.drives:
            found, refusal = _find(disks, name)
            chosen += found
            refusals += refusal
    twice = {drive for drive in chosen if chosen.count(drive) > 1}
    if twice:
        refusals.append(f"storage_drives names {listed(twice)} more than once: name each drive once")
    return sorted(set(chosen), key=lambda drive: drive.identity), refusals


def _empty_nvme(host: Host, wishes: Wishes, disks: t.Iterable[Device]) -> list[Device]:
    """The empty drives; once they have been taken, those that were. What was taken for another place stays there."""
    drives = [drive for drive in disks if drive.transport == "nvme"]
    singles = [[drive] for drive in drives]
    arrays = [[drive for drive in drives if drive.uuid == found.uuid] for found in drives if found.signature == MEMBER]
    taken = [group for group in singles + arrays if are_ours(group)]
    here = [group for group in taken if not _is_elsewhere(host, wishes, group)]
    empty = [drive for drive in drives if not contents(host, drive)]
    return next((group for group in [*here, empty, *taken] if group), [])


def _is_elsewhere(host: Host, wishes: Wishes, drives: t.Iterable[Device]) -> bool:
    source = f"UUID={filesystem_uuid(drives)}"
    return any(what == source and where != wishes.mount for what, where, _line in host.remembered())


def _find(disks: t.Iterable[Device], name: str) -> tuple[list[Device], list[str]]:
    if name.startswith("/dev/") and not name.startswith(BY_ID):
        now = [drive.serial for drive in disks if drive.path == name and drive.serial]
        serial = f", {now[0]} at present" if now else ""
        return [], [
            f"storage_drives names {name}, which may be another drive after a reboot: name it by its serial{serial}"
        ]
    link = name if name.startswith(BY_ID) else BY_ID + name
    found = [drive for drive in disks if name == drive.serial or link in drive.links]
    if not found:
        return [], [f"storage_drives names {name}, which this host has not, it has {listed(disks)}: correct the name"]
    if len(found) > 1:
        return [], [f"storage_drives names {name}, which is {listed(found)}: use the names in {BY_ID}"]
    return found, []


def stable_path(drive: Device) -> str:
    """A name that is the drive's own, whichever was found first in this boot."""
    return min(drive.links, key=lambda link: (len(link), link), default=drive.path)


# --- What is on them ---


def contents(host: Host, device: Device) -> str:
    """In words, what a drive or array has on it; empty for nothing."""
    found = [f"a signature of {device.signature}"] if device.signature else []
    found += [f"a partition table ({device.table})"] if device.table else []
    found += [f"{above.path} ({_what(above)})" for above in host.above(device)]
    found += [f"a mount at {target}" for target in device.mounts]
    return ", ".join(found) or ("something that keeps it open" if device.busy else "")


def _what(device: Device) -> str:
    return ", ".join([device.kind, *([device.signature] if device.signature else []), *device.mounts])


def ways_to_free(host: Host, device: Device) -> list[str]:
    """What somebody has to do to end the use of a drive or array; empty when it is not in use."""
    ways = [f"swapoff {device.path}" if target == "[SWAP]" else f"umount {target}" for target in device.mounts]
    for above in host.above(device):
        ways += ways_to_free(host, above)
        if above.kind == "lvm":
            ways.append(f"lvchange --activate n {above.path}")
        elif above.kind.startswith(("raid", "linear", "md")):
            ways.append(f"mdadm --stop {above.path}")
        elif above.kind != "part":
            ways.append(f"end the use of {above.path} ({above.kind})")
    return ways or ([f"end what keeps {device.path} open"] if device.busy else [])


# --- Whether they may be taken ---


def take(host: Host, wishes: Wishes, device: Device, drives: t.Sequence[Device]) -> tuple[list[Step], list[str]]:
    """What makes an occupied drive (or the array over drives) empty. In use, it is never touched."""
    occupied = contents(host, device)
    if device.read_only:
        return [], [f"{device} is read-only: take it out of storage_drives"]
    if not occupied:
        return [], []
    ways = ways_to_free(host, device)
    if ways:
        return [], [
            f"{device} is in use, it has {occupied}: take it out of storage_drives, or free it ({'; '.join(ways)})"
        ]
    missing = [drive.serial or stable_path(drive) for drive in drives if not _confirmed(wishes, drive)]
    if missing:
        return [], [
            f"{device} has {occupied}: take it out of storage_drives or, to lose all that is on it,"
            f" add {', '.join(missing)} to storage_wipe"
        ]
    above = sorted(found.path for found in host.above(device))
    return [Step(f"{device} has {occupied}, and may lose it", ("wipefs", "--all", *above, device.path))], []


def _confirmed(wishes: Wishes, drive: Device) -> bool:
    names = {drive.serial, *drive.links, *(link[len(BY_ID) :] for link in drive.links)} - {""}
    return bool(names & set(wishes.wipe))
