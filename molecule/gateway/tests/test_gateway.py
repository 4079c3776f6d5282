# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gateway and a host's endpoint under systemd."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

ASK = "curl --silent --show-error --cacert /etc/trtllm/gateway/ca.pem --header 'Authorization: Bearer sk-test' "
CHAT = ASK + '--no-buffer --data \'{"model": "chat"}\' https://localhost/v1/chat/completions'
STREAM = "".join(f"{number:02}\n" for number in range(30))


@pytest.mark.parametrize(("instance", "seconds"), [("gateway", 900), ("endpoint", 600)])
def test_systemd_waits_longer_than_haproxy_for_the_last_stream(host: Host, instance: str, seconds: int) -> None:
    assert f"hard-stop-after {seconds}s" in host.file(f"/etc/trtllm/{instance}/haproxy.cfg").content_string
    shown = host.check_output(f"systemctl show --property TimeoutStopUSec trtllm-haproxy@{instance}.service")
    assert shown == f"TimeoutStopUSec={seconds // 60}min 30s"


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_others_can_read_no_secret(host: Host, instance: str) -> None:
    folder = f"/etc/trtllm/{instance}"
    assert host.run(f"runuser --user nobody -- ls {folder}").rc != 0
    for name in host.file(folder).listdir():
        assert "PRIVATE KEY" not in host.file(f"{folder}/{name}").content_string or (
            host.file(f"{folder}/{name}").mode == 0o640
        )


def test_a_stream_outlives_a_reload_and_even_a_stop(host: Host) -> None:
    for command in (
        "reload trtllm-haproxy@gateway",
        "reload trtllm-haproxy@endpoint",
        "restart trtllm-haproxy@gateway",
    ):
        done = host.check_output(
            f"({CHAT}; echo rc=$?) > /tmp/stream & sleep 1; systemctl {command}; wait; cat /tmp/stream"
        )
        assert done == f"{STREAM}rc=0", command


def test_only_a_valid_key_is_served(host: Host) -> None:
    assert json.loads(host.check_output(ASK + "https://localhost/v1/models"))["data"][0]["id"] == "chat"
    refused = host.check_output((ASK + "https://localhost/v1/models").replace("sk-test", "sk-other"))
    assert json.loads(refused)["error"]["code"] == "invalid_api_key"


def test_the_journal_names_the_key(host: Host) -> None:
    lines = host.check_output("journalctl --output cat --unit trtllm-haproxy@gateway").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"chat/host:default"} <= {entry["server"] for entry in entries if entry["key"] == "test"}
    assert not any("sk-test" in line for line in lines)


def test_the_model_server_is_not_reachable_from_outside(host: Host) -> None:
    address = host.check_output("hostname --all-ip-addresses").split()[0]
    assert host.run(f"curl --silent http://{address}:8000/").rc == 7
    # The endpoint wants a certificate.
    assert host.run(f"curl --silent --insecure https://{address}:8443/health").rc != 0
