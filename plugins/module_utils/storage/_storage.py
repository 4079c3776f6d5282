# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Plans the steps from the current to the requested storage of a host. No I/O.

A plan only contains steps that are still necessary: it is empty if nothing must change, and after an interruption it
contains the rest.
"""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._drives import (
    are_ours,
    array_uuid,
    choose,
    filesystem_uuid,
    stable_path,
    wipe,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    MIB,
    Device,
    Host,
    NotPossible,
    Request,
    Step,
    listed,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._root import grow_root

NAME = "trtllm"
ARRAY = f"/dev/md/{NAME}"
FSTAB = "/etc/fstab"
# A failed drive must not delay the boot for long.
MOUNT_OPTIONS = "defaults,noatime,nofail,x-systemd.device-timeout=90s"
# The space that a RAID member reserves on a large drive, and that XFS needs for its metadata.
MEMBER_RESERVE = 130 * MIB
XFS_RESERVE = 100 * MIB
XFS_SHARE = 0.98

Steps = t.List[Step]


class Plan(t.NamedTuple):
    steps: tuple[Step, ...] = ()
    refusals: tuple[str, ...] = ()
    # By mount point, the bytes that will be free.
    free: tuple[tuple[str, int], ...] = ()


def plan(host: Host, request: Request) -> Plan:
    """All steps in their order, or all refusals: if there is a refusal, no step is run."""
    steps: Steps = []
    refusals: list[str] = []
    free: list[tuple[str, int]] = []
    if request.grow_root:
        try:
            steps, free_then = grow_root(host)
            free.append(("/", free_then))
        except NotPossible as exc:
            refusals.append(str(exc))
    if request.drives:
        local = _LocalDrives(host, request)
        steps += local.steps()
        refusals += local.refusals
        free.append((request.mount, local.free()))
    return Plan((), tuple(refusals), ()) if refusals else Plan(tuple(steps), (), tuple(free))


class _LocalDrives:
    """The file system on the drives and its mount."""

    def __init__(self, host: Host, request: Request) -> None:
        self.host = host
        self.request = request
        self.drives, self.refusals = choose(host, request)
        self.is_array = len(self.drives) > 1
        self.paths = [stable_path(drive) for drive in self.drives]
        self.uuid = filesystem_uuid(self.drives)

    def steps(self) -> Steps:
        if not self.drives:
            return []
        if self.is_array and are_ours(self.drives) and self._array() is None:
            # Its contents can only be read after that, so a second plan has the other steps.
            return [Step("start the existing array", ("mdadm", "--assemble", ARRAY, *self.paths))]
        device, steps = self._have_device()
        if self.is_array:
            steps += self._remember_array()
        return steps + self._have_mount(device)

    def free(self) -> int:
        for mount in self.host.mounts:
            if mount.target == self.request.mount:
                return mount.free
        reserve = MEMBER_RESERVE if self.is_array else 0
        return max(0, int(sum(drive.size - reserve for drive in self.drives) * XFS_SHARE) - XFS_RESERVE)

    # Array and file system.

    def _have_device(self) -> tuple[Device | None, Steps]:
        """The device with the file system, if it exists already, and the steps to create it."""
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
        steps, refusals = wipe(self.host, self.request, device, drives)
        self.refusals += refusals
        return steps

    def _create_array(self) -> Steps:
        if not self.is_array:
            return []
        argv = ["mdadm", "--create", ARRAY, "--run", "--level=0", "--metadata=1.2", f"--name={NAME}"]
        argv += [f"--uuid={self._array_id()}", f"--raid-devices={len(self.drives)}", *self.paths]
        return [Step(f"create an array of {listed(self.drives)}", tuple(argv))]

    def _make_filesystem(self) -> Step:
        device = ARRAY if self.is_array else self.paths[0]
        # -f, because wipefs leaves what is not at the usual offsets, such as a file system in an erased partition.
        argv = ("mkfs.xfs", "-f", "-q", "-L", NAME, "-m", f"uuid={self.uuid}", device)
        return Step(f"create a file system for {self.request.mount}", argv)

    def _array_id(self) -> str:
        """The UUID in the notation of mdadm."""
        digits = array_uuid(self.drives).replace("-", "")
        return ":".join(digits[start : start + 8] for start in range(0, 32, 8))

    def _remember_array(self) -> Steps:
        identity = f"UUID={self._array_id()}"
        steps = []
        if not any(identity in line.split() for line in self.host.mdadm_conf_text.splitlines()):
            line = f"ARRAY {ARRAY} metadata=1.2 {identity}"
            steps.append(Step(f"assemble the array as {ARRAY} at every boot", path=self.host.mdadm_conf, line=line))
        if self.host.initramfs and (steps or self.host.initramfs_stale):
            steps.append(Step("update the initial ramdisk, which assembles the array", self.host.initramfs))
        return steps

    # Mount.

    def _have_mount(self, device: Device | None) -> Steps:
        target = self.request.mount
        mounted = device.mounts if device else ()
        fstab = self._remember_mount()
        if target in mounted:
            return fstab
        staging = f"{target}.storage"
        for other in set(mounted) - {staging}:
            self.refusals.append(f"the file system for {target} is mounted at {other}: run umount {other}")
        for mount in self.host.mounts:
            if mount.target == target:
                self.refusals.append(
                    f"{mount.source} is mounted at {target}: run umount {target}, or set another storage_mount"
                )
        return [
            *self._move_content(staging, staging in mounted),
            Step(f"create the mount point {target}", ("mkdir", "--parents", target)),
            *fstab,
            Step(f"mount the file system at {target}", ("mount", target)),
            *([Step("set the SELinux label of the mount point", ("restorecon", target))] if self.host.selinux else []),
        ]

    def _remember_mount(self) -> Steps:
        target, source = self.request.mount, f"UUID={self.uuid}"
        for what, where, line in self.host.fstab_mounts():
            if (what, where) == (source, target):
                # Its options may have been changed on purpose.
                return []
            if source == what or target == where:
                self.refusals.append(
                    f"{FSTAB} has '{line}' instead of {source} at {target}: remove that line, or change storage_mount"
                )
        line = f"{source} {target} xfs {MOUNT_OPTIONS} 0 0"
        return [
            Step("mount the file system at every boot", path=FSTAB, line=line),
            Step("reload systemd for the new mount", ("systemctl", "daemon-reload")),
        ]

    def _move_content(self, staging: str, staged: bool) -> Steps:
        """Copy existing content to the new file system and keep the original, so that the mount hides nothing."""
        target, folder = self.request.mount, self.host.folder
        kept = f"{target}.before-storage"
        if folder.kind not in ("missing", "directory"):
            self.refusals.append(
                f"{target} is a {folder.kind}, but a mount point must be a folder: remove it, or set another"
                " storage_mount"
            )
        if not folder.entries:
            return []
        if not self.request.move:
            shown = ", ".join(folder.entries[:3] + (("…",) if len(folder.entries) > 3 else ()))
            self.refusals.append(
                f"{target} is not empty ({shown}), and a mount would hide its content: move it away, set another"
                f" storage_mount, or set storage_move to copy it to the drives (the original is then kept as {kept})"
            )
        if self.host.backup_exists:
            self.refusals.append(f"{kept}, which would keep the content of {target}, exists already: remove it")
        to_staging = [
            Step(f"create {staging} to copy the content of {target}", ("mkdir", "--parents", staging)),
            Step(f"mount the new file system at {staging}", ("mount", f"UUID={self.uuid}", staging)),
        ]
        return [
            *([] if staged else to_staging),
            Step(f"copy the content of {target}", ("cp", "--archive", f"{target}/.", staging)),
            Step(f"unmount {staging}", ("umount", staging)),
            Step(f"remove {staging}", ("rmdir", staging)),
            Step(f"keep the original as {kept}", ("mv", "--no-target-directory", target, kept)),
        ]
