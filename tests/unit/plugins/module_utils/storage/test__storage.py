# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps to the requested storage, and requests that are refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._drives import array_uuid, filesystem_uuid
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    Device,
    Folder,
    Host,
    Mount,
    Physical,
    Request,
    Volume,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._storage import ARRAY, plan

GIB = 1 << 30
MIB = 1 << 20
ROOT = "/opt/trtllm"


def drive(name: str, **more: t.Any) -> Device:
    serial = more.pop("serial", f"S-{name}")
    known = {"kind": "disk", "size": 100 * GIB, "serial": serial, "wwid": f"eui.{name}", "transport": "nvme"}
    return Device(name, links=(f"/dev/disk/by-id/nvme-Maker_{serial}",), **{**known, **more})


def disk(size: int, **more: t.Any) -> Device:
    return Device("sda", "disk", size, **{"table": "gpt", **more})


def partition(number: int, start: int, size: int, **more: t.Any) -> Device:
    return Device(f"sda{number}", "part", size, parents=("sda",), number=number, start=start, **more)


def on_partition(disk_size: int, size: int, covers: int = 0, fstype: str = "ext4", **more: t.Any) -> Host:
    """A root file system on the first partition."""
    devices = (disk(disk_size), partition(1, MIB, size, mounts=("/",), signature=fstype, busy=True))
    mount = Mount("/", "/dev/sda1", fstype, free=GIB)
    return Host(devices, (mount,), root_covers=covers or size, **more)


def on_volume(disk_size: int, physical: int, used: int, volume: int, free: int = 0, covers: int = 0) -> Host:
    """A root file system on a logical volume, as on Oracle Linux."""
    devices = (
        disk(disk_size),
        partition(1, MIB, GIB),
        partition(2, MIB + GIB, physical, signature="LVM2_member", busy=True),
        Device("dm-0", "lvm", volume, parents=("sda2",), mounts=("/",), links=("/dev/mapper/ocivolume-root",)),
    )
    group = Volume("/dev/ocivolume/root", "linear", free, (Physical("/dev/sda2", used, physical),))
    mount = Mount("/", "/dev/mapper/ocivolume-root", "xfs", free=GIB)
    return Host(devices, (mount,), root_covers=covers or volume, volume=group)


def with_drives(*drives: Device, **more: t.Any) -> Host:
    host = on_partition(50 * GIB, 50 * GIB - 2 * MIB)
    return host._replace(**{**more, "devices": (*host.devices, *drives)})


def commands(host: Host, wishes: Request) -> list[str]:
    """The steps, in short: the program, or the file."""
    planned = plan(host, wishes)
    assert not planned.refusals, planned.refusals
    return [" ".join(step.argv[:2]) if step.argv else step.path for step in planned.steps]


def refusal(host: Host, wishes: Request) -> str:
    planned = plan(host, wishes)
    assert planned.refusals and not planned.steps and not planned.free
    return "\n".join(planned.refusals)


# --- The root file system ---

GROW = Request(grow_root=True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (on_partition(50 * GIB, 50 * GIB - 2 * MIB), []),
        (on_partition(200 * GIB, 47 * GIB), ["growpart /dev/sda", "resize2fs /dev/sda1"]),
        (on_partition(200 * GIB, 47 * GIB, fstype="xfs"), ["growpart /dev/sda", "xfs_growfs /"]),
        # Interrupted before the file system grew.
        (on_partition(200 * GIB, 200 * GIB - 2 * MIB, covers=47 * GIB), ["resize2fs /dev/sda1"]),
        (on_partition(200 * GIB, 47 * GIB, oci_growfs="/usr/libexec/oci-growfs"), ["/usr/libexec/oci-growfs -y"]),
        # oci-growfs has done its part; only the file system is left.
        (
            on_partition(200 * GIB, 200 * GIB - 2 * MIB, 47 * GIB, oci_growfs="/usr/libexec/oci-growfs"),
            ["resize2fs /dev/sda1"],
        ),
        (
            on_volume(200 * GIB, 45 * GIB, 45 * GIB, 40 * GIB),
            ["growpart /dev/sda", "pvresize /dev/sda2", "lvextend --extents", "xfs_growfs /"],
        ),
        # Interrupted after each of these.
        (
            on_volume(200 * GIB, 198 * GIB, 45 * GIB, 40 * GIB),
            ["growpart /dev/sda", "pvresize /dev/sda2", "lvextend --extents", "xfs_growfs /"],
        ),
        (
            on_volume(200 * GIB, 199 * GIB - 2 * MIB, 45 * GIB, 40 * GIB),
            ["pvresize /dev/sda2", "lvextend --extents", "xfs_growfs /"],
        ),
        (
            on_volume(200 * GIB, 199 * GIB - 2 * MIB, 199 * GIB - 4 * MIB, 40 * GIB, free=150 * GIB),
            ["lvextend --extents", "xfs_growfs /"],
        ),
        (on_volume(200 * GIB, 199 * GIB - 2 * MIB, 199 * GIB - 4 * MIB, 199 * GIB, covers=40 * GIB), ["xfs_growfs /"]),
        (on_volume(200 * GIB, 199 * GIB - 2 * MIB, 199 * GIB - 4 * MIB, 199 * GIB), []),
    ],
)
def test_root_grows_by_the_remaining_steps(host: Host, expected: list[str]) -> None:
    assert commands(host, GROW) == expected


def test_growing_needs_the_partition_s_own_number() -> None:
    assert plan(on_volume(200 * GIB, 45 * GIB, 45 * GIB, 40 * GIB), GROW).steps[0].argv == ("growpart", "/dev/sda", "2")


def test_what_will_be_free_on_root() -> None:
    ((mount, free),) = plan(on_partition(200 * GIB, 47 * GIB), GROW).free
    assert mount == "/" and 153 * GIB < free < 154 * GIB + GIB


def test_an_mbr_ends_at_two_tebibytes() -> None:
    host = on_partition(3 << 40, (2 << 40) - 2 * MIB)
    host = host._replace(devices=(host.devices[0]._replace(table="dos"), host.devices[1]))
    assert commands(host, GROW) == []


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (on_partition(200 * GIB, 47 * GIB, fstype="btrfs"), "is btrfs, which cannot be grown automatically: growpart"),
        (Host((), (Mount("/", "overlay", "overlay"),)), "is on overlay, which is not a block device"),
        (
            Host(
                (disk(200 * GIB), partition(1, MIB, GIB, mounts=("/",)), partition(2, 2 * GIB, GIB)),
                (Mount("/", "/dev/sda1", "ext4"),),
            ),
            "/dev/sda2 is between it and /dev/sda1",
        ),
        (
            Host(
                (disk(9 * GIB), partition(1, MIB, GIB), Device("dm-0", "crypt", GIB, parents=("sda1",))),
                (Mount("/", "/dev/dm-0", "ext4"),),
            ),
            "of type crypt: grow it by hand",
        ),
    ],
)
def test_a_root_that_cannot_grow_is_refused_with_a_remedy(host: Host, words: str) -> None:
    found = refusal(host, GROW)
    assert words in found and "unset storage_grow_root" in found


def test_a_striped_root_volume_is_refused() -> None:
    host = on_volume(200 * GIB, 45 * GIB, 45 * GIB, 40 * GIB)
    assert host.volume is not None
    assert "is striped, not linear" in refusal(host._replace(volume=host.volume._replace(segments="striped")), GROW)


# --- Local drives ---

A, B = drive("nvme0n1"), drive("nvme1n1")
MAKE_ARRAY = ["mdadm --create", "mkfs.xfs -f", "/etc/mdadm/mdadm.conf"]
TO_MOUNT = ["mkdir --parents", "/etc/fstab", "systemctl daemon-reload", f"mount {ROOT}"]
BOTH = Request(drives=("S-nvme0n1", "S-nvme1n1"))


def member(device: Device, drives: t.Sequence[Device] = (A, B)) -> Device:
    return device._replace(signature="linux_raid_member", uuid=array_uuid(drives), busy=True)


def array(signature: str = "xfs", uuid: str = "", **more: t.Any) -> Device:
    found = uuid or (filesystem_uuid([A, B]) if signature == "xfs" else "")
    return Device("md127", "raid0", 200 * GIB, parents=(A.name, B.name), signature=signature, uuid=found, **more)


def finished() -> Host:
    """A host after all steps."""
    empty = plan(with_drives(A, B), BOTH)
    lines = {step.path: step.line for step in empty.steps if step.path}
    return with_drives(
        member(A),
        member(B),
        array(mounts=(ROOT,), busy=True),
        fstab=lines["/etc/fstab"],
        mdadm_conf_text=lines["/etc/mdadm/mdadm.conf"],
        mounts=(Mount("/", "/dev/sda1", "ext4"), Mount(ROOT, "/dev/md127", "xfs", free=5)),
        folder=Folder("directory", ("image",)),
    )


def test_one_empty_drive() -> None:
    assert commands(with_drives(A, B), Request(drives=("S-nvme1n1",))) == ["mkfs.xfs -f", *TO_MOUNT]


def test_two_empty_drives_become_an_array() -> None:
    assert commands(with_drives(A, B), BOTH) == [*MAKE_ARRAY, *TO_MOUNT]


def test_an_array_is_the_same_in_whatever_order_drives_are_named_and_found() -> None:
    wishes = [BOTH, Request(drives=tuple(reversed(BOTH.drives))), Request(drives=("empty_nvme",))]
    renamed = (A._replace(name="nvme1n1"), B._replace(name="nvme0n1"))
    plans = [plan(host, wish) for wish in wishes for host in (with_drives(A, B), with_drives(*renamed))]
    assert {planned.steps[0].argv for planned in plans} == {plans[0].steps[0].argv}
    assert "/dev/nvme" not in " ".join(plans[0].steps[0].argv)


def test_the_initramfs_is_rebuilt_if_it_knows_arrays() -> None:
    host = with_drives(A, B, initramfs=("update-initramfs", "-u"))
    assert commands(host, BOTH)[2:4] == ["/etc/mdadm/mdadm.conf", "update-initramfs -u"]


def test_nothing_is_left_to_do_on_a_finished_host() -> None:
    assert commands(finished(), BOTH) == commands(finished(), Request(drives=("empty_nvme",))) == []
    assert plan(finished(), BOTH).free == ((ROOT, 5),)


def test_further_empty_drives_are_ignored_after_the_first_run() -> None:
    host = finished()
    assert commands(host._replace(devices=(*host.devices, drive("nvme9n1"))), Request(drives=("empty_nvme",))) == []


def test_a_drive_used_for_another_mount_stays_there() -> None:
    other = drive("nvme5n1")
    other = other._replace(signature="xfs", uuid=filesystem_uuid([other]), mounts=("/srv/other",))
    line = f"UUID={other.uuid} /srv/other xfs defaults 0 0"
    wish = Request(drives=("empty_nvme",))
    done = finished()
    assert commands(done._replace(devices=(other, *done.devices), fstab=f"{line}\n{done.fstab}"), wish) == []
    assert commands(with_drives(other, A, B, fstab=line), wish) == [*MAKE_ARRAY, *TO_MOUNT]
    # If this is the only drive, the user may have changed the mount point.
    assert f"/etc/fstab has '{line}'" in refusal(with_drives(other, fstab=line), wish)


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        # Only created so far.
        (
            {"array": array(""), "fstab": "", "mdadm_conf_text": "", "mounts": ()},
            ["mkfs.xfs -f", *MAKE_ARRAY[2:], *TO_MOUNT],
        ),
        ({"array": array(), "fstab": "", "mdadm_conf_text": "", "mounts": ()}, [*MAKE_ARRAY[2:], *TO_MOUNT]),
        ({"array": array(), "fstab": "", "mounts": ()}, TO_MOUNT),
        ({"array": array(), "mounts": ()}, ["mkdir --parents", f"mount {ROOT}"]),
        ({"array": None, "mounts": ()}, ["mdadm --assemble"]),
    ],
)
def test_an_interrupted_run_is_finished(left: dict[str, t.Any], expected: list[str]) -> None:
    host = finished()
    devices = [device for device in host.devices if device.kind != "raid0"]
    found = left.pop("array")
    if "mounts" in left:
        left.update(mounts=host.mounts[:1], folder=Folder("directory"))
    assert commands(host._replace(devices=(*devices, *([found] if found else [])), **left), BOTH) == expected


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (A._replace(signature="ext4"), "has a signature of ext4"),
        (A._replace(signature="LVM2_member"), "has a signature of LVM2_member"),
        (A._replace(table="gpt"), "has a partition table (gpt)"),
        (A._replace(signature="several kinds"), "several kinds"),
        # An array of others, or one of ours with other drives.
        (A._replace(signature="linux_raid_member", uuid="0" * 32), "linux_raid_member"),
        (member(A, (A, B, drive("nvme7n1")))._replace(busy=False), "linux_raid_member"),
    ],
)
def test_an_occupied_drive_is_refused_unless_it_is_confirmed(found: Device, words: str) -> None:
    host = with_drives(found, B)
    message = refusal(host, BOTH)
    assert words in message and "add S-nvme0n1 to storage_wipe" in message
    assert refusal(host, BOTH._replace(wipe=("S-nvme1n1",))) == message
    confirmed = commands(host, BOTH._replace(wipe=("S-nvme0n1",)))
    assert confirmed == ["wipefs --all", *MAKE_ARRAY, *TO_MOUNT]


def test_an_array_of_others_on_the_same_drives_is_not_ours() -> None:
    theirs = [found._replace(signature="linux_raid_member", uuid="1234") for found in (A, B)]
    message = refusal(with_drives(*theirs), BOTH)
    assert "add S-nvme0n1 to storage_wipe" in message and "add S-nvme1n1 to storage_wipe" in message
    running = with_drives(*(drive._replace(busy=True) for drive in theirs), array("xfs"))
    assert "mdadm --stop /dev/md127" in refusal(running, BOTH._replace(wipe=BOTH.drives))


def test_partitions_are_wiped_before_their_table() -> None:
    part = Device("nvme0n1p1", "part", GIB, parents=("nvme0n1",), signature="ext4")
    steps = plan(with_drives(A._replace(table="gpt"), part, B), BOTH._replace(wipe=("S-nvme0n1",))).steps
    assert steps[0].argv == ("wipefs", "--all", "/dev/nvme0n1p1", "/dev/nvme0n1")


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ([A._replace(mounts=("/data",), signature="xfs", busy=True)], "umount /data"),
        ([A._replace(mounts=("[SWAP]",), signature="swap")], "swapoff /dev/nvme0n1"),
        ([A, Device("nvme0n1p1", "part", GIB, parents=("nvme0n1",), mounts=("/data",))], "umount /data"),
        ([A, Device("dm-1", "lvm", GIB, parents=("nvme0n1",))], "lvchange --activate n /dev/dm-1"),
        ([A, Device("md5", "raid1", GIB, parents=("nvme0n1",), mounts=("/x",))], "umount /x; mdadm --stop /dev/md5"),
        ([A, Device("dm-1", "crypt", GIB, parents=("nvme0n1",))], "stop using /dev/dm-1 (crypt)"),
        ([A._replace(busy=True)], "find and stop what uses /dev/nvme0n1"),
    ],
)
def test_a_drive_in_use_is_refused_even_when_it_is_confirmed(more: list[Device], way: str) -> None:
    message = refusal(with_drives(*more, B), BOTH._replace(wipe=BOTH.drives))
    assert "is in use" in message and way in message


def test_our_array_with_data_of_others_is_refused_unless_all_drives_are_confirmed() -> None:
    host = with_drives(member(A), member(B), array("ext4", uuid="1234"))
    assert "add S-nvme1n1 to storage_wipe" in refusal(host, BOTH._replace(wipe=("S-nvme0n1",)))
    assert commands(host, BOTH._replace(wipe=BOTH.drives))[:2] == ["wipefs --all", "mkfs.xfs -f"]


def test_a_leftover_confirmation_does_not_wipe_our_file_system() -> None:
    assert commands(finished(), BOTH._replace(wipe=BOTH.drives)) == []


def test_empty_nvme_only_uses_empty_drives() -> None:
    sata, used = drive("sdb", transport="sata"), drive("nvme2n1", signature="xfs")
    ours = plan(with_drives(A, B, sata, used), Request(drives=("empty_nvme",)))
    assert ours.steps[0].argv == plan(with_drives(A, B), BOTH).steps[0].argv
    assert "has no empty NVMe drive" in refusal(with_drives(used, sata), Request(drives=("empty_nvme",)))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("/dev/nvme0n1",), "may be another drive after a reboot: use its serial number, currently S-nvme0n1"),
        (("S-none",), "has S-none, but this host only has"),
        (("S-nvme0n1", "nvme-Maker_S-nvme0n1"), "more than once"),
        (("S-nvme0n1", "empty_nvme"), "use one or the other"),
        (("same",), "which matches same (/dev/nvme3n1, 100.0 GiB), same (/dev/nvme4n1, 100.0 GiB): use the names in"),
    ],
)
def test_ambiguous_names_of_drives_are_refused(names: tuple[str, ...], words: str) -> None:
    same = [drive("nvme3n1", serial="same", read_only=True), drive("nvme4n1", serial="same", read_only=True)]
    assert words in refusal(with_drives(A, B, *same), Request(drives=names))


def test_a_read_only_drive_is_refused() -> None:
    assert "is read-only" in refusal(with_drives(A._replace(read_only=True), B), BOTH)


def test_all_problems_are_reported_at_once() -> None:
    host = with_drives(A._replace(signature="xfs"), B._replace(table="dos"), folder=Folder("directory", ("weights",)))
    host = host._replace(mounts=(Mount("/", "overlay", "overlay"),))
    assert len(plan(host, BOTH._replace(grow_root=True)).refusals) == 4


# --- The mount point ---


def test_content_is_never_hidden() -> None:
    host = with_drives(A, B, folder=Folder("directory", ("a", "b", "c", "d")))
    message = refusal(host, BOTH)
    assert "is not empty (a, b, c, …), and a mount would hide its content" in message
    assert "storage_move" in message and f"{ROOT}.before-storage" in message


def test_content_is_moved_on_request() -> None:
    host = with_drives(A, B, folder=Folder("directory", ("weights",)))
    moved = commands(host, BOTH._replace(move=True))[len(MAKE_ARRAY) :]
    staging = f"{ROOT}.storage"
    copied = ["cp --archive", f"umount {staging}", f"rmdir {staging}", "mv --no-target-directory"]
    assert moved == ["mkdir --parents", moved[1], *copied, *TO_MOUNT]
    # Interrupted while copying.
    staged = [member(A), member(B), array(mounts=(staging,))]
    again = finished()._replace(devices=(*host.devices[:2], *staged), mounts=host.mounts, folder=host.folder)
    assert commands(again, BOTH._replace(move=True)) == [*copied, "mkdir --parents", f"mount {ROOT}"]
    assert "exists already: remove it" in refusal(host._replace(backup_exists=True), BOTH._replace(move=True))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"fstab": f"UUID=1 {ROOT} ext4 defaults 0 0"}, "remove that line"),
        ({"fstab": f"UUID={filesystem_uuid([A, B])} /data xfs defaults"}, "remove that line"),
        ({"mounts": (Mount("/", "/dev/sda1", "ext4"), Mount(ROOT, "/dev/sdz", "xfs"))}, "/dev/sdz is mounted at"),
        ({"folder": Folder("symbolic link")}, "is a symbolic link, but a mount point must be a folder"),
    ],
)
def test_a_mount_point_in_use_is_refused(more: dict[str, t.Any], words: str) -> None:
    assert words in refusal(with_drives(A, B, **more), BOTH)


def test_other_options_in_fstab_are_kept() -> None:
    host = finished()
    changed = f"{host.fstab.replace('noatime', 'relatime')}\n# UUID=1 {ROOT} ext4"
    assert commands(host._replace(fstab=changed), BOTH) == []


def test_file_system_mounted_elsewhere_is_not_mounted_twice() -> None:
    host = with_drives(member(A), member(B), array(mounts=("/data",)))
    assert "is mounted at /data: run umount /data" in refusal(host, BOTH)


def test_security_labels_match_the_mount_point() -> None:
    assert commands(with_drives(A, B, selinux=True), BOTH)[-1] == f"restorecon {ROOT}"


def test_the_predicted_free_space_is_a_lower_bound() -> None:
    ((mount, free),) = plan(with_drives(A, B), BOTH).free
    assert mount == ROOT and 190 * GIB < free < 198 * GIB


def test_no_wish_no_step() -> None:
    assert plan(with_drives(A._replace(signature="ext4"), B), Request()) == plan(Host((), ()), Request())


def test_the_array_has_the_name_that_udev_uses() -> None:
    assert ARRAY == "/dev/md/trtllm"
