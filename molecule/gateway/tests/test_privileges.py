# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the processes of HAProxy may do."""

from __future__ import annotations

import pytest
from testinfra.host import Host


@pytest.mark.parametrize("instance", ["gateway", "endpoint"])
def test_an_instance_runs_as_its_own_user_without_privileges(host: Host, instance: str) -> None:
    service = host.service(f"trtllm-haproxy@{instance}.service")
    assert service.is_running and service.is_enabled
    processes = [p for p in host.process.filter(comm="haproxy") if f"/etc/trtllm/{instance}/" in p.args]
    assert {process.user for process in processes} == {"trtllm-haproxy"}
    capabilities = host.file(f"/proc/{processes[0].pid}/status").content_string
    # Only CAP_NET_BIND_SERVICE.
    assert "CapBnd:\t0000000000000400" in capabilities and "NoNewPrivs:\t1" in capabilities
