#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain a host at the gateway, or put it back in rotation
version_added: "0.1.0"
description:
  - Sets the administrative state of a host's servers in a running HAProxy of the role
    P(tritonops.trtllm.gateway#role), over its stats socket, and can wait until the host has no request under way.
  - The state survives a reload and a restart of HAProxy.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Does not wait.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  host:
    description:
      - The host, by its name in the inventory.
    type: str
    required: true
  deployment:
    description:
      - One deployment of the host. Empty for all.
    type: str
    default: ""
  state:
    description:
      - V(ready) puts the host in rotation, as soon as its health check succeeds.
      - V(drain) sends it no new requests. Requests under way go on.
      - V(maint) is the same, and also ends the health checks.
      - V(absent) removes the host from O(states_file) only, before or after HAProxy gets a configuration without it. A
        server of that name that it gets later is in rotation.
    type: str
    choices: [ready, drain, maint, absent]
    required: true
  wait:
    description:
      - How long to wait until the host has no request under way, in seconds. V(0) does not wait.
    type: int
    default: 0
  socket:
    description:
      - HAProxy's stats socket, which must have the level C(admin).
    type: path
    default: /run/trtllm-gateway/haproxy.sock
  states_file:
    description:
      - The file from which HAProxy reads the states when it starts.
    type: path
    default: /etc/trtllm/gateway/states.map
seealso:
  - module: tritonops.trtllm.haproxy_map
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Drain the host, and wait for its last stream
  tritonops.trtllm.haproxy_server:
    host: "{{ inventory_hostname }}"
    state: drain
    wait: 600
  delegate_to: gateway1
"""

RETURN = r"""
in_flight:
  description: Number of requests under way or queued on the servers.
  returned: always
  type: int
  sample: 0
waited_seconds:
  description: How long the module waited, in seconds.
  returned: success
  type: float
  sample: 12.5
servers:
  description: The servers.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      type: str
      sample: openai-chat
    name:
      description: Name of the server.
      type: str
      sample: gpu1:default
    status:
      description: HAProxy's status.
      type: str
      sample: DRAIN
    state:
      description: The administrative state.
      type: str
      sample: drain
    in_flight:
      description: Number of requests under way or queued.
      type: int
      sample: 0
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._server_state import ABSENT, STATES, ensure_state


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "required": True},
            "deployment": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": [*STATES, ABSENT], "required": True},
            "wait": {"type": "int", "default": 0},
            "socket": {"type": "path", "default": "/run/trtllm-gateway/haproxy.sock"},
            "states_file": {"type": "path", "default": "/etc/trtllm/gateway/states.map"},
        },
        supports_check_mode=True,
    )
    run_module(
        module,
        ensure_state,
        "cannot change the state of the host at the gateway",
        "Check that HAProxy runs",
        errors=(OSError, HAProxyError),
    )


if __name__ == "__main__":
    main()
