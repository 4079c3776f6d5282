# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The state of services, certificates, and the servers of a gateway, on this host."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._certificates import days_until
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime, Server
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import output_or_none

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TIMEOUT = 10


def states_of(text: str) -> dict[str, str]:
    """The state of each unit in the output of `systemctl show --property Id,ActiveState`."""
    found = {}
    for block in text.split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in properties:
            found[properties["Id"]] = properties.get("ActiveState", "")
    return found


def unit_states(module: AnsibleModule, units: t.Sequence[str]) -> dict[str, str]:
    if not units:
        return {}
    said = output_or_none(module, TIMEOUT, "systemctl", "show", "--property", "Id,ActiveState", *units)
    return states_of(said or "")


def days_left(text: str, now: float) -> int | None:
    """The days until the time in the output of `openssl x509 -enddate`, such as notAfter=Nov 28 17:55:03 2027 GMT."""
    _name, found, end = text.strip().partition("notAfter=")
    try:
        return days_until(end, now) if found else None
    except ValueError:
        return None


def certificates(module: AnsibleModule, folders: t.Iterable[str]) -> list[dict[str, t.Any]]:
    """The certificates in the folders, with the days until they expire; None if openssl cannot say."""
    paths = [f"{folder}/{name}" for folder in folders for name in _names(folder) if name.endswith(".pem")]
    found = []
    for path in paths:
        said = output_or_none(module, TIMEOUT, "openssl", "x509", "-noout", "-enddate", "-in", path)
        found.append({"path": path, "days_left": days_left(said or "", time.time())})
    return found


def gateway_servers(socket: str) -> list[dict[str, t.Any]] | None:
    """The servers of the gateway on this host; None if none runs here."""
    runtime = Runtime(socket)
    return servers_of(runtime.servers()) if runtime.is_running() else None


def servers_of(servers: t.Iterable[Server]) -> list[dict[str, t.Any]]:
    """Those that are named HOST:DEPLOYMENT; the other ones are not model servers."""
    found = []
    for server in servers:
        host, colon, deployment = server.name.rpartition(":")
        if colon:
            rest = {name: getattr(server, name) for name in ("backend", "state", "status", "in_flight")}
            found.append({"host": host, "deployment": deployment, **rest})
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
