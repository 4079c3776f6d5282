# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state after growing, creating an array, a reboot, using a drive with data, and continuing an interrupted run."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

GIB = 1 << 30


def mounted(host: Host, target: str) -> dict[str, Any]:
    columns = "SOURCE,UUID,FSTYPE,OPTIONS,SIZE"
    found = host.check_output("findmnt --json --bytes --output %s %s", columns, target)
    filesystem: dict[str, Any] = json.loads(found)["filesystems"][0]
    return filesystem


def fstab(host: Host, target: str) -> list[str]:
    """The only line for the target."""
    lines = [line.split() for line in host.file("/etc/fstab").content_string.splitlines()]
    (found,) = [fields for fields in lines if fields[1:2] == [target]]
    return found


def test_root_volume_uses_the_whole_disk(host: Host) -> None:
    filesystem = mounted(host, "/")
    assert (filesystem["source"], filesystem["fstype"]) == ("/dev/mapper/ocivolume-root", "xfs")
    assert filesystem["size"] > 3.5 * GIB


def test_root_folder_is_on_both_drives(host: Host) -> None:
    filesystem = mounted(host, "/opt/trtllm")
    assert filesystem["fstype"] == "xfs"
    assert 1.7 * GIB < filesystem["size"] < 2 * GIB
    details = host.check_output("mdadm --detail --export %s", filesystem["source"])
    assert "MD_LEVEL=raid0" in details.splitlines()


def test_it_is_mounted_by_its_uuid_and_may_fail(host: Host) -> None:
    source, _target, kind, options = fstab(host, "/opt/trtllm")[:4]
    assert (source, kind) == (f"UUID={mounted(host, '/opt/trtllm')['uuid']}", "xfs")
    assert "nofail" in options.split(",")


def test_array_is_configured_once_and_in_the_initramfs(host: Host) -> None:
    text = host.file("/etc/mdadm/mdadm.conf").content_string
    (line,) = [found for found in text.splitlines() if found.startswith("ARRAY")]
    assert line.startswith("ARRAY /dev/md/trtllm ")
    ramdisk = host.check_output("ls /boot/initrd.img-*")
    assert host.check_output("lsinitramfs %s", ramdisk).count("etc/mdadm/mdadm.conf") == 1


def test_the_array_has_its_name_after_the_reboot(host: Host) -> None:
    """The machine has been rebooted since the array was created."""
    assert host.file("/dev/md/trtllm").is_symlink


def test_drive_with_data_was_used_after_confirmation(host: Host) -> None:
    filesystem = mounted(host, "/srv/somebodys")
    assert filesystem["fstype"] == "xfs"
    assert fstab(host, "/srv/somebodys")[0] == f"UUID={filesystem['uuid']}"


def test_systemd_has_no_failed_unit(host: Host) -> None:
    assert host.check_output("systemctl --failed --no-legend --plain") == ""
