# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsing the output of util-linux, LVM and file system tools."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._facts import (
    parse_blkid,
    parse_filesystem_size,
    parse_findmnt,
    parse_lsblk,
    parse_volume,
    read_host,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.storage._model import Mount, Physical

JSON = t.Dict[str, t.Any]


def node(name: str, kind: str, size: t.Any, **more: t.Any) -> JSON:
    known = {"name": name, "kname": name, "type": kind, "size": size, "serial": None, "tran": None}
    return {**known, "ro": False, "mountpoint": None, **more}


def tree() -> JSON:
    """An array of two drives, listed below both of them, and a root disk."""
    over = node("md127", "raid0", 200, mountpoint="/opt/trtllm")
    drives = [node(f"nvme{n}n1", "disk", 100, serial=f" S{n} ", tran="nvme", children=[over]) for n in (0, 1)]
    swap = node("sda2", "part", 7, mountpoint="[SWAP]")
    root = node("sda", "disk", 50, children=[node("sda1", "part", 40, mountpoint="/"), swap])
    return {"blockdevices": [node("sr0", "rom", 1), node("loop0", "loop", 1), *drives, root]}


MOUNTS = [
    Mount("/", "/dev/sda1", "ext4"),
    Mount("/opt/trtllm", "/dev/md127", "xfs"),
    Mount("/srv", "/dev/md127[/a]", "xfs"),
]


def test_lsblk_s_tree_becomes_a_list() -> None:
    links = {"/dev/nvme0n1": ("/dev/disk/by-id/nvme-S0",)}
    devices = {device.name: device for device in parse_lsblk(tree(), MOUNTS, links)}
    assert list(devices) == ["nvme0n1", "md127", "nvme1n1", "sda", "sda1", "sda2"]
    assert devices["md127"].parents == ("nvme0n1", "nvme1n1")
    assert devices["md127"].mounts == ("/opt/trtllm", "/srv")
    assert devices["sda2"].mounts == ("[SWAP]",)
    assert (devices["nvme0n1"].serial, devices["nvme0n1"].transport) == ("S0", "nvme")
    assert devices["nvme0n1"].links == ("/dev/disk/by-id/nvme-S0",)


def test_numbers_are_strings_before_util_linux_2_33() -> None:
    (device,) = parse_lsblk({"blockdevices": [node("sda", "disk", "50", ro="1")]}, [], {})
    assert (device.size, device.read_only) == (50, True)


def test_findmnt() -> None:
    printed = {"filesystems": [{"target": "/", "source": "/dev/sda1", "fstype": "ext4"}]}
    assert parse_findmnt(printed, len) == [Mount("/", "/dev/sda1", "ext4", 1)]


def test_network_mounts_are_not_queried() -> None:
    waits = [
        {"target": "/net", "source": "systemd-1", "fstype": "autofs"},
        {"target": "/home", "source": "server:/home", "fstype": "nfs4"},
    ]
    found = parse_findmnt({"filesystems": waits}, lambda _target: pytest.fail("waits for a network mount"))
    assert [mount.free for mount in found] == [0, 0]


@pytest.mark.parametrize(
    ("code", "printed", "expected"),
    [
        (2, "", {"signature": "", "uuid": "", "table": ""}),
        (0, "DEVNAME=/dev/sda\nPTUUID=8\nPTTYPE=gpt\n", {"signature": "", "uuid": "", "table": "gpt"}),
        (
            0,
            "DEVNAME=/dev/nvme0n1\nLABEL=host:trtllm\nUUID=a-b\nUUID_SUB=c\nTYPE=linux_raid_member\n",
            {"signature": "linux_raid_member", "uuid": "a-b", "table": ""},
        ),
        (8, "", {"signature": "several kinds"}),
    ],
)
def test_blkid(code: int, printed: str, expected: dict[str, str]) -> None:
    assert parse_blkid(code, printed) == expected


@pytest.mark.parametrize(
    ("printed", "size"),
    [
        (
            "Block count:              524288\nFree blocks: 1\nBlock size:               4096\n",
            2 << 30,
        ),
        (
            "meta-data=/dev/md127 isize=512 agcount=8, agsize=64 blks\n"
            "data     =                       bsize=4096   blocks=523264, imaxpct=25\n"
            "log      =internal log           bsize=4096   blocks=16384, version=2\n",
            523264 * 4096,
        ),
        ("something else", 0),
    ],
)
def test_size_of_a_file_system(printed: str, size: int) -> None:
    assert parse_filesystem_size(printed) == size


def test_volume_of_the_root_file_system() -> None:
    lvs = {"report": [{"lv": [{"lv_path": "/dev/ol/root", "vg_name": "ol", "segtype": "linear"}] * 2}]}
    physical = [
        {"pv_name": name, "vg_name": group, "pv_size": "10", "dev_size": "20", "vg_free": "5"}
        for name, group in (("/dev/sdb1", "ol"), ("/dev/sda3", "ol"), ("/dev/sdc1", "data"))
    ]
    volume = parse_volume(lvs, {"report": [{"pv": physical}]})
    assert (volume.path, volume.segments, volume.free) == ("/dev/ol/root", "linear", 5)
    assert volume.physical == (Physical("/dev/sda3", 10, 20), Physical("/dev/sdb1", 10, 20))


def test_one_striped_segment_makes_a_volume_striped() -> None:
    segments = [{"lv_path": "/dev/ol/root", "vg_name": "ol", "segtype": kind} for kind in ("linear", "striped")]
    physical = {"pv_name": "/dev/sda3", "vg_name": "ol", "pv_size": "1", "dev_size": "1", "vg_free": "0"}
    assert parse_volume({"report": [{"lv": segments}]}, {"report": [{"pv": [physical]}]}).segments == "striped"


# --- Asking ---


class Programs:
    """Simulates the host's programs; the output of each, by the first word of the command."""

    def __init__(self, **printed: t.Any) -> None:
        self.printed = printed

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] not in self.printed:
            raise FileNotFoundError(argv[0])
        found = self.printed[argv[0]]
        return found if isinstance(found, tuple) else (0, json.dumps(found), "")


NO_MOUNT: JSON = {"filesystems": []}


def test_facts_of_a_host_are_gathered() -> None:
    programs = Programs(findmnt=NO_MOUNT, lsblk=tree(), blkid=(0, "TYPE=xfs\nUUID=a-b\n", ""))
    host = read_host(programs, "/no/such/folder")
    assert {device.signature for device in host.devices} == {"xfs"}
    assert host.folder.kind == "missing" and host.volume is None


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        (Programs(), "findmnt is not installed"),
        (Programs(findmnt=NO_MOUNT, lsblk=(1, "", "no sysfs")), "failed: no sysfs"),
        (Programs(findmnt=NO_MOUNT, lsblk=tree(), blkid=(4, "", "I/O error")), "cannot be probed: I/O error"),
    ],
)
def test_what_cannot_be_seen_is_said(programs: Programs, words: str) -> None:
    with pytest.raises(ModuleFailure, match=words):
        read_host(programs, "/opt/trtllm")
