#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_map
short_description: Manage a map file of HAProxy, and apply it without a reload
version_added: "0.1.0"
description:
  - Writes the map file, and replaces the entries of a running HAProxy over its stats socket. All entries change at
    once, so that every request sees either the old ones or the new ones. No connection is closed.
  - If HAProxy does not run, only the file is written. HAProxy reads it when it starts.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - ansible.builtin.files
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The map file. HAProxy's configuration must name it with the same path.
    type: path
    required: true
  entries:
    description:
      - The entries, with their values. Keys cannot contain spaces; neither can contain semicolons or backslashes.
    type: dict
    required: true
  purge:
    description:
      - Whether to remove other entries.
    type: bool
    default: true
  remove:
    description:
      - Keys of entries to remove, for O(purge=false).
    type: list
    elements: str
    default: []
  socket:
    description:
      - HAProxy's stats socket, which must have the level C(admin).
    type: path
    required: true
seealso:
  - module: tritonops.trtllm.haproxy_server
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Take the deployment out of rotation
  tritonops.trtllm.haproxy_map:
    path: /etc/trtllm/endpoint/rotation.map
    entries:
      default: out
    purge: false
    socket: /run/trtllm-endpoint/haproxy.sock
"""

RETURN = r"""
running:
  description: Whether HAProxy runs.
  returned: success
  type: bool
  sample: true
applied:
  description: Whether the entries of the running HAProxy were replaced.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._map_file import ensure_map
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "entries": {"type": "dict", "required": True},
            "purge": {"type": "bool", "default": True},
            "remove": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "socket": {"type": "path", "required": True},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    run_module(module, ensure_map, f"cannot change {module.params['path']}", errors=(OSError, HAProxyError))


if __name__ == "__main__":
    main()
