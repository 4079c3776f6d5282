# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test host: systemd runs without a failed unit, and its engine runs containers as the service role does."""

from __future__ import annotations

import pytest

CONTAINER_OPTIONS = (
    "--network host --shm-size 2g --ulimit memlock=-1 --ulimit stack=67108864 --read-only --tmpfs /tmp "
    "--cap-drop ALL --security-opt no-new-privileges --user 990:990"
)
UNIT = f"""
[Unit]
Requires=docker.service
After=docker.service
[Service]
ExecStart=/usr/bin/docker run --rm --name probe {CONTAINER_OPTIONS} probe /usr/bin/sleep infinity
ExecStop=/usr/bin/docker stop --time 1 probe
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def probe(host):
    """A minimal image, loaded from an archive, and an enabled unit that runs it."""
    files = "usr/bin/sleep $(ldd /usr/bin/sleep | grep -o '/lib[^ ]*')"
    host.run_expect(
        [0], f"cd / && tar --dereference -c {files} | docker import - probe && docker save probe -o /tmp/probe.tar"
    )
    host.run_expect([0], "docker rmi probe && docker load -i /tmp/probe.tar")
    host.run_expect([0], "echo %s > /etc/systemd/system/probe.service", UNIT)
    host.run_expect([0], "systemctl enable --now probe.service")


def test_systemd_runs_without_a_failed_unit(host):
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_a_restricted_container_runs_under_systemd(host, probe):
    host.run_expect([0], "timeout 120 sh -c 'until docker exec probe /usr/bin/sleep 0; do sleep 0.2; done'")
    assert host.service("probe").is_running


def test_nothing_listens_beyond_loopback(host):
    listening = host.check_output("ss -Hltn | awk '{print $4}'").splitlines()
    assert [address for address in listening if not address.startswith(("127.", "[::1]"))] == []
