# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state after a reboot, without another run of the playbook."""

from __future__ import annotations

from testinfra.host import Host


def test_root_file_system_uses_the_whole_disk(host: Host) -> None:
    found = host.check_output("findmnt --noheadings --bytes --output FSTYPE,SIZE /").split()
    assert found[0] == "ext4"
    assert int(found[1]) > 7.5 * (1 << 30)


def test_service_runs_from_the_array(host: Host) -> None:
    assert host.service("trtllm@default").is_running
    source = host.check_output("findmnt --noheadings --output SOURCE --target /opt/trtllm/deployments/default/current")
    assert host.file("/dev/md/trtllm").linked_to == source


def test_service_waits_for_its_mount(host: Host) -> None:
    wanted = host.check_output("systemctl show --property RequiresMountsFor --value trtllm@default").split()
    assert "/opt/trtllm" in wanted


def test_systemd_has_no_failed_unit(host: Host) -> None:
    assert host.check_output("systemctl --failed --no-legend --plain") == ""
