# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the processes of HAProxy may do in a container."""

from __future__ import annotations

import json
import re

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_workers_have_no_capabilities(host: Host, instance: str) -> None:
    processes = [p for p in host.process.filter(comm="haproxy") if f"/etc/trtllm/{instance}/" in p.args]
    # The master process can only start workers, which open the ports.
    assert sorted(process.user for process in processes) == ["root", "trtllm-haproxy"]
    for process in processes:
        status = host.file(f"/proc/{process.pid}/status").content_string
        # CAP_KILL, CAP_SETGID, CAP_SETUID and CAP_NET_BIND_SERVICE.
        assert "CapBnd:\t00000000000004e0" in status and "NoNewPrivs:\t1" in status
        permitted = re.search(r"CapPrm:\t([0-9a-f]+)", status)
        assert permitted and int(permitted[1], 16) == (0 if process.user == "trtllm-haproxy" else 0x4E0)


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_the_container_is_closed(host: Host, instance: str) -> None:
    described = json.loads(host.check_output(f"docker inspect trtllm-haproxy-{instance}"))[0]
    assert described["HostConfig"]["ReadonlyRootfs"] and not described["HostConfig"]["Privileged"]
    assert "@sha256:" in described["Config"]["Image"]
    writable = [mount["Destination"] for mount in described["Mounts"] if mount["RW"]]
    assert writable == [f"/run/trtllm-{instance}"]
