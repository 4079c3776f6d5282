# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from testinfra.host import Host


def test_nothing_was_created(host: Host) -> None:
    """The role only checks; converge.yml asserts its results."""
    assert not host.file("/opt/trtllm").exists


def test_program_on_the_port_was_left_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:8000").is_listening
