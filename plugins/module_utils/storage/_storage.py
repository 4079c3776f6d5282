# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What it takes to bring a host's storage to what is wished. Pure: facts and wishes in, steps and refusals out.

A plan says what is not yet so. When nothing is left to do it is empty, and after an interruption it is the rest.
"""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._drives import (
    are_ours,
    array_uuid,
    choose,
    filesystem_uuid,
    stable_path,
    take,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    MIB,
    Device,
    Host,
    Refused,
    Step,
    Wishes,
    listed,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._root import grow_root

NAME = "trtllm"
ARRAY = f"/dev/md/{NAME}"
FSTAB = "/etc/fstab"
# A drive that has died must not hold up a boot for long.
MOUNT_OPTIONS = "defaults,noatime,nofail,x-systemd.device-timeout=90s"
# What a RAID member reserves on a large drive, and what XFS keeps for itself.
MEMBER_RESERVE = 130 * MIB
XFS_RESERVE = 100 * MIB
XFS_SHARE = 0.98

Steps = t.List[Step]


class Plan(t.NamedTuple):
    steps: tuple[Step, ...] = ()
    refusals: tuple[str, ...] = ()
    # By mount point, how many bytes will be free there.
    free: tuple[tuple[str, int], ...] = ()


def plan(host: Host, wishes: Wishes) -> Plan:
    """All steps in their order, or all refusals: with one of these no step is taken."""
    steps: Steps = []
    refusals: list[str] = []
    free: list[tuple[str, int]] = []
    if wishes.grow_root:
        try:
            steps, free_then = grow_root(host)
            free.append(("/", free_then))
        except Refused as exc:
            refusals.append(str(exc))
    if wishes.drives:
        local = _LocalDrives(host, wishes)
        steps += local.steps()
        refusals += local.refusals
        free.append((wishes.mount, local.free()))
    return Plan((), tuple(refusals), ()) if refusals else Plan(tuple(steps), (), tuple(free))


class _LocalDrives:
    """One file system over the drives, and its place."""

    def __init__(self, host: Host, wishes: Wishes) -> None:
        self.host = host
        self.wishes = wishes
        self.drives, self.refusals = choose(host, wishes)
        self.is_array = len(self.drives) > 1
        self.paths = [stable_path(drive) for drive in self.drives]
        self.uuid = filesystem_uuid(self.drives)

    def steps(self) -> Steps:
        if not self.drives:
            return []
        if self.is_array and are_ours(self.drives) and self._array() is None:
            # What is on it can be seen then only; the plan after that goes by it.
            return [Step("the array is there but not running", ("mdadm", "--assemble", ARRAY, *self.paths))]
        device, steps = self._have_device()
        if self.is_array:
            steps += self._remember_array()
        return steps + self._have_mount(device)

    def free(self) -> int:
        for mount in self.host.mounts:
            if mount.target == self.wishes.mount:
                return mount.free
        reserve = MEMBER_RESERVE if self.is_array else 0
        return max(0, int(sum(drive.size - reserve for drive in self.drives) * XFS_SHARE) - XFS_RESERVE)

    # Array and file system.

    def _have_device(self) -> tuple[Device | None, Steps]:
        """What the file system is on, if it is there already, and the steps to it."""
        if not are_ours(self.drives):
            steps = [step for drive in self.drives for step in self._taken(drive, [drive])]
            return None, [*steps, *self._create_array(), self._make_filesystem()]
        device = self._array() or self.drives[0]
        if device.uuid != self.uuid:
            return None, [*self._taken(device, self.drives), self._make_filesystem()]
        return device, []

    def _array(self) -> Device | None:
        names = {drive.name for drive in self.drives}
        arrays = (found for found in self.host.devices if found.kind.startswith("raid") and set(found.parents) == names)
        return next(arrays, None)

    def _taken(self, device: Device, drives: t.Sequence[Device]) -> Steps:
        steps, refusals = take(self.host, self.wishes, device, drives)
        self.refusals += refusals
        return steps

    def _create_array(self) -> Steps:
        if not self.is_array:
            return []
        argv = ["mdadm", "--create", ARRAY, "--run", "--level=0", "--metadata=1.2", f"--name={NAME}"]
        argv += [f"--uuid={self._array_id()}", f"--raid-devices={len(self.drives)}", *self.paths]
        return [Step(f"one array is made of {listed(self.drives)}", tuple(argv))]

    def _make_filesystem(self) -> Step:
        device = ARRAY if self.is_array else self.paths[0]
        # Forced, for deep in a drive there may be a file system from a use before, which may be lost.
        argv = ("mkfs.xfs", "-f", "-q", "-L", NAME, "-m", f"uuid={self.uuid}", device)
        return Step(f"a file system is made for {self.wishes.mount}", argv)

    def _array_id(self) -> str:
        """The UUID as mdadm writes it."""
        digits = array_uuid(self.drives).replace("-", "")
        return ":".join(digits[start : start + 8] for start in range(0, 32, 8))

    def _remember_array(self) -> Steps:
        identity = f"UUID={self._array_id()}"
        steps = []
        if not any(identity in line.split() for line in self.host.mdadm_conf_text.splitlines()):
            line = f"ARRAY {ARRAY} metadata=1.2 {identity}"
            steps.append(Step(f"the array is {ARRAY} after a reboot, too", path=self.host.mdadm_conf, line=line))
        if self.host.initramfs and (steps or self.host.initramfs_stale):
            steps.append(Step("an array is assembled by what the initial ramdisk knows", self.host.initramfs))
        return steps

    # Its place.

    def _have_mount(self, device: Device | None) -> Steps:
        target = self.wishes.mount
        mounted = device.mounts if device else ()
        fstab = self._remember_mount()
        if target in mounted:
            return fstab
        staging = f"{target}.storage"
        for other in set(mounted) - {staging}:
            self.refusals.append(f"the file system for {target} is mounted at {other}: umount {other}")
        for mount in self.host.mounts:
            if mount.target == target:
                self.refusals.append(
                    f"{target} has a mount of {mount.source}: umount {target}, or set another storage_mount"
                )
        return [
            *self._move_content(staging, staging in mounted),
            Step(f"the mount has a place, {target}", ("mkdir", "--parents", target)),
            *fstab,
            Step(f"the file system is at {target}", ("mount", target)),
            *([Step("it has the security labels of its place", ("restorecon", target))] if self.host.selinux else []),
        ]

    def _remember_mount(self) -> Steps:
        target, source = self.wishes.mount, f"UUID={self.uuid}"
        for what, where, line in self.host.remembered():
            if (what, where) == (source, target):
                # Its other options may be somebody's own choice.
                return []
            if source == what or target == where:
                self.refusals.append(
                    f"{FSTAB} says '{line}', wanted is {source} at {target}: remove that line, or change storage_mount"
                )
        line = f"{source} {target} xfs {MOUNT_OPTIONS} 0 0"
        return [
            Step("it is mounted at every boot", path=FSTAB, line=line),
            Step("systemd knows of the new mount", ("systemctl", "daemon-reload")),
        ]

    def _move_content(self, staging: str, staged: bool) -> Steps:
        """Nothing may disappear below a mount: what is there is copied, and the original stays by another name."""
        target, folder = self.wishes.mount, self.host.folder
        kept = f"{target}.before-storage"
        if folder.kind not in ("missing", "directory"):
            self.refusals.append(
                f"{target} is a {folder.kind}, a mount needs a folder: remove it, or set another storage_mount"
            )
        if not folder.entries:
            return []
        if not self.wishes.move:
            shown = ", ".join(folder.entries[:3] + (("…",) if len(folder.entries) > 3 else ()))
            self.refusals.append(
                f"{target} has content ({shown}), which a mount would hide: move it away, set another storage_mount, or"
                f" storage_move to copy it to the drives (the original is then kept as {kept})"
            )
        if self.host.kept:
            self.refusals.append(f"{kept}, where the content of {target} is to be kept, is there already: remove it")
        to_staging = [
            Step(f"what is in {target} is copied by way of {staging}", ("mkdir", "--parents", staging)),
            Step("the new file system is there", ("mount", f"UUID={self.uuid}", staging)),
        ]
        return [
            *([] if staged else to_staging),
            Step(f"what is in {target} goes with it", ("cp", "--archive", f"{target}/.", staging)),
            Step("the copy is whole", ("umount", staging)),
            Step(f"{staging} is not needed any more", ("rmdir", staging)),
            Step("the original stays, by another name", ("mv", "--no-target-directory", target, kept)),
        ]
