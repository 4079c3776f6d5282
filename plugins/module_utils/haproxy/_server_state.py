# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Take servers out of rotation and back, and wait until they have nothing to do."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._map_file import (
    as_text,
    read_file,
    read_text,
    write_file,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime, Server

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

STATES = ("ready", "drain", "maint")
ABSENT = "absent"
# A request can be between its choice of a server and the server's counter, so that one reading of 0 is not enough.
IDLE_READINGS = 2
PAUSE = 0.5


def ensure_state(module: AnsibleModule) -> dict[str, t.Any]:
    runtime = Runtime(module.params["socket"])
    state: str = module.params["state"]
    if state == ABSENT:
        return {"changed": _forget(module), "waited_seconds": 0.0, "in_flight": 0, "servers": []}
    servers = _servers(runtime, module.params["host"], module.params["deployment"])
    outdated = [server for server in servers if server.state != state]
    # First the file, so that a reload in between does not lose the state.
    kept = _keep(module, {server.name for server in servers}, state)
    waited = 0.0
    if not module.check_mode:
        for server in outdated:
            runtime.set_state(server, state)
        waited = _wait(module, runtime) if module.params["wait"] else 0.0
        servers = _servers(runtime, module.params["host"], module.params["deployment"])
    return {
        "changed": bool(outdated) or kept,
        "waited_seconds": round(waited, 1),
        "in_flight": sum(server.in_flight for server in servers),
        "servers": [server._asdict() for server in servers],
    }


def _keep(module: AnsibleModule, names: t.Collection[str], state: str) -> bool:
    """Write the state to the file that HAProxy reads when it starts. Returns whether the file changes."""
    return _rewrite(
        module,
        lambda before: {
            **{name: kept for name, kept in before.items() if name not in names},
            **({} if state == "ready" else dict.fromkeys(names, state)),
        },
    )


def _forget(module: AnsibleModule) -> bool:
    host, deployment = module.params["host"], module.params["deployment"]
    return _rewrite(
        module,
        lambda before: {name: kept for name, kept in before.items() if not _is_of(name, host, deployment)},
    )


def _rewrite(module: AnsibleModule, change: t.Callable[[dict[str, str]], dict[str, str]]) -> bool:
    path: str = module.params["states_file"]
    before = read_text(read_file(path))
    after = change(before)
    if after != before and not module.check_mode:
        write_file(module, path, as_text(after))
    return after != before


def _is_of(server: str, host: str, deployment: str) -> bool:
    """A server is named HOST:DEPLOYMENT."""
    name, _colon, served = server.rpartition(":")
    return name == host and deployment in ("", served)


def _servers(runtime: Runtime, host: str, deployment: str) -> list[Server]:
    """The servers of a host, in all backends."""
    every = runtime.servers()
    found = [server for server in every if _is_of(server.name, host, deployment)]
    if not found:
        known = sorted({server.name for server in every})
        raise ModuleFailure(
            f"{runtime.path}: HAProxy has no server {host}:{deployment or '*'}; it has {', '.join(known) or 'none'}"
        )
    return found


def _wait(module: AnsibleModule, runtime: Runtime) -> float:
    """Wait until the servers have had no request several times in a row. Returns the seconds."""
    start = time.monotonic()
    idle = 0
    while True:
        servers = _servers(runtime, module.params["host"], module.params["deployment"])
        busy = sum(server.in_flight for server in servers)
        idle = 0 if busy else idle + 1
        waited = time.monotonic() - start
        if idle >= IDLE_READINGS:
            return waited
        if waited >= module.params["wait"]:
            raise ModuleFailure(
                f"{module.params['host']} still has {busy} requests under way after {waited:.0f} s. They can go on: the"
                f" state is {module.params['state']}. Wait longer (wait), or continue and cut them off",
                in_flight=busy,
            )
        time.sleep(PAUSE)
