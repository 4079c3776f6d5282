# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from testinfra.host import Host


def test_nothing_was_made(host: Host) -> None:
    """The role looks; whether it sees right is asserted in converge.yml."""
    assert not host.file("/opt/trtllm").exists


def test_what_is_in_the_way_was_left_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:8000").is_listening
