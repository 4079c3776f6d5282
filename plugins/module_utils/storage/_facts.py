# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Reads a host's storage with util-linux (2.32 or later), sysfs, LVM and the tools of the file systems."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import (
    Device,
    Folder,
    Host,
    Mount,
    Physical,
    Volume,
)

LSBLK = ["lsblk", "--json", "--bytes", "--output", "NAME,KNAME,TYPE,SIZE,SERIAL,TRAN,RO,MOUNTPOINT"]
FINDMNT = ["findmnt", "--json", "--list", "--output", "TARGET,SOURCE,FSTYPE"]
REPORT = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options"]
PVS = ["pvs", *REPORT, "pv_name,vg_name,pv_size,dev_size,vg_free"]
LVS = ["lvs", *REPORT, "lv_path,vg_name,segtype"]
# Device types that are never used as storage.
NO_STORAGE = ("rom", "loop", "zram")
SECTOR = 512
OCI_GROWFS = "/usr/libexec/oci-growfs"
DEBIAN_CONF, OTHER_CONF = "/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"
# Exit codes of blkid.
FOUND, NOTHING, SEVERAL = 0, 2, 8

JSON = t.Dict[str, t.Any]


class Runner(t.Protocol):
    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        """The exit code, stdout and stderr; FileNotFoundError if the program does not exist."""


def read_host(run: Runner, mount: str) -> Host:
    """Everything that a plan needs to know; `mount` is the wanted mount point."""
    mounts = parse_findmnt(json.loads(_output(run, FINDMNT)), _free)
    found = parse_lsblk(json.loads(_output(run, LSBLK)), mounts, _links())
    conf = DEBIAN_CONF if os.path.exists("/etc/debian_version") else OTHER_CONF
    root = next((found for found in mounts if found.target == "/"), Mount("/", "nothing", "nothing"))
    updater = "/usr/sbin/update-initramfs"
    return Host(
        devices=tuple(probed(run, device) for device in found),
        mounts=tuple(mounts),
        fstab=_text("/etc/fstab"),
        mdadm_conf=conf,
        mdadm_conf_text=_text(conf),
        # On other systems, arrays without the root file system are assembled after the initial ramdisk.
        initramfs=("update-initramfs", "-u", "-k", "all") if os.path.exists(updater) else (),
        initramfs_stale=_older(glob.glob("/boot/initrd.img-*"), conf),
        oci_growfs=OCI_GROWFS if os.access(OCI_GROWFS, os.X_OK) else "",
        root_covers=_covered(run, root),
        volume=_root_volume(run, root, found),
        folder=_folder(mount),
        backup_exists=os.path.lexists(f"{mount}.before-storage"),
        selinux=os.path.exists("/sys/fs/selinux/enforce"),
    )


# --- Parsers ---


def parse_findmnt(printed: JSON, free: t.Callable[[str], int]) -> list[Mount]:
    """Mounts, with free space for local devices only: a network or automatic mount may hang."""
    return [
        Mount(
            target=found["target"],
            source=found["source"] or "",
            fstype=found["fstype"] or "",
            free=free(found["target"]) if (found["source"] or "").startswith("/dev/") else 0,
        )
        for found in printed["filesystems"]
    ]


def parse_lsblk(printed: JSON, mounts: list[Mount], links: dict[str, tuple[str, ...]]) -> list[Device]:
    """The tree as a list; a device with several parents occurs once."""
    devices: dict[str, Device] = {}

    def add(found: JSON, parents: tuple[str, ...]) -> None:
        name = found["kname"]
        if name in devices:
            devices[name] = devices[name]._replace(parents=(*devices[name].parents, *parents))
            return
        device = Device(
            name=name,
            kind=found["type"],
            # Before util-linux 2.33, numbers and booleans are strings.
            size=int(found["size"]),
            parents=parents,
            serial=(found["serial"] or "").strip(),
            links=links.get(f"/dev/{name}", ()),
            transport=found["tran"] or "",
            read_only=found["ro"] in (True, "1"),
        )
        targets = [mount.target for mount in mounts if mount.source.split("[")[0] in (device.path, *device.links)]
        swap = ["[SWAP]"] if found["mountpoint"] == "[SWAP]" else []
        devices[name] = device._replace(mounts=(*dict.fromkeys(targets), *swap))
        for child in found.get("children", []):
            add(child, (name,))

    for found in printed["blockdevices"]:
        if found["type"] not in NO_STORAGE:
            add(found, ())
    return list(devices.values())


def parse_blkid(code: int, printed: str) -> dict[str, str]:
    """The output of blkid, as fields of Device."""
    if code == SEVERAL:
        return {"signature": "several kinds"}
    tags = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return {
        "signature": tags.get("TYPE", ""),
        "uuid": tags.get("UUID", ""),
        "table": tags.get("PTTYPE", ""),
    }


def parse_filesystem_size(printed: str) -> int:
    """The size of a file system in bytes, from the output of dumpe2fs or xfs_info; 0 if it is not there."""
    ext = re.search(r"^Block count:\s+(\d+)$.*^Block size:\s+(\d+)$", printed, re.MULTILINE | re.DOTALL)
    xfs = re.search(r"^data\s+=\s+bsize=(\d+)\s+blocks=(\d+)", printed, re.MULTILINE)
    found = ext or xfs
    return int(found.group(1)) * int(found.group(2)) if found else 0


def parse_volume(lvs: JSON, pvs: JSON) -> Volume:
    volume = lvs["report"][0]["lv"]
    group = [found for found in pvs["report"][0]["pv"] if found["vg_name"] == volume[0]["vg_name"]]
    return Volume(
        path=volume[0]["lv_path"],
        # One row for each segment.
        segments=next((found["segtype"] for found in volume if found["segtype"] != "linear"), "linear"),
        free=int(group[0]["vg_free"]),
        physical=tuple(
            Physical(found["pv_name"], int(found["pv_size"]), int(found["dev_size"]))
            for found in sorted(group, key=lambda found: str(found["pv_name"]))
        ),
    )


# --- Commands ---


def _output(run: Runner, argv: list[str]) -> str:
    try:
        code, out, err = run(argv)
    except FileNotFoundError as exc:
        raise ModuleFailure(f"{argv[0]} is not installed, but it is needed to inspect the host's storage") from exc
    if code != 0:
        raise ModuleFailure(f"'{' '.join(argv)}' failed: {err.strip() or out.strip()}")
    return out


def probed(run: Runner, device: Device) -> Device:
    """The device with its contents, read from the disk because the data of udev may be outdated."""
    code, out, err = run(["blkid", "--probe", "--output", "export", device.path])
    if code not in (FOUND, NOTHING, SEVERAL):
        raise ModuleFailure(f"{device.path} cannot be probed: {err.strip() or code}")
    sysfs = f"/sys/class/block/{device.name}"
    return device._replace(
        **parse_blkid(code, out),
        wwid=_text(f"{sysfs}/wwid").strip() or _text(f"{sysfs}/device/wwid").strip(),
        busy=_is_busy(device.path),
        number=int(_text(f"{sysfs}/partition") or 0),
        start=int(_text(f"{sysfs}/start") or 0) * SECTOR,
    )


def _covered(run: Runner, root: Mount) -> int:
    asked = {"xfs": ["xfs_info", "/"], "ext3": ["dumpe2fs", "-h", root.source], "ext4": ["dumpe2fs", "-h", root.source]}
    if root.fstype not in asked:
        return 0
    return parse_filesystem_size(_output(run, asked[root.fstype]))


def _root_volume(run: Runner, root: Mount, devices: list[Device]) -> Volume | None:
    for device in devices:
        if device.kind == "lvm" and root.target in device.mounts:
            return parse_volume(json.loads(_output(run, [*LVS, root.source])), json.loads(_output(run, PVS)))
    return None


def _links() -> dict[str, tuple[str, ...]]:
    links: dict[str, tuple[str, ...]] = {}
    for link in sorted(glob.glob("/dev/disk/by-id/*") + glob.glob("/dev/mapper/*") + glob.glob("/dev/md/*")):
        device = os.path.realpath(link)
        links[device] = (*links.get(device, ()), link)
    return links


def _is_busy(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))
    except OSError as exc:
        return exc.errno == errno.EBUSY
    return False


def _free(target: str) -> int:
    try:
        found = os.statvfs(target)
    except OSError:
        # For example a FUSE mount of another user, which even root may not access.
        return 0
    return found.f_bavail * found.f_frsize


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except OSError:
        return ""


def _older(paths: list[str], than: str) -> bool:
    return os.path.exists(than) and any(os.path.getmtime(path) < os.path.getmtime(than) for path in paths)


def _folder(path: str) -> Folder:
    if os.path.islink(path):
        return Folder("symbolic link")
    if os.path.isdir(path):
        return Folder("directory", tuple(sorted(os.listdir(path))))
    return Folder("file" if os.path.exists(path) else "missing")
