# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gateway on a host without a network, with the HAProxy of the bundle."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_haproxy_is_that_of_the_bundle(host: Host) -> None:
    assert host.package("haproxy").version.startswith("3.0.")
    assert host.run("grep --recursive --files-with-matches airgap /etc/apt").stdout == ""
    for instance in ("gateway", "endpoint"):
        assert host.service(f"trtllm-haproxy@{instance}.service").is_running


def test_site_has_requested_a_completion_through_the_gateway(host: Host) -> None:
    lines = host.check_output("journalctl --output cat --unit trtllm-haproxy@gateway").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert any(entry["key"] == "run-of-ansible" and entry["status"] == 200 for entry in entries)
