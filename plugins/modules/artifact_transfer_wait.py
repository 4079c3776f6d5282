#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_transfer_wait

short_description: Wait until a host's part of a transfer has ended

version_added: "0.1.0"

description:
  - Waits for a task with M(tritonops.trtllm.artifact_transfer) that was started with C(async) and C(poll=0), and
    displays its progress meanwhile, which M(ansible.builtin.async_status) does not.
  - Ends as that task has ended, and removes the file with its result.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  idempotent:
    support: none
  action:
    description: Runs on the control node, as an action plugin, to display the progress.
    support: full

options:
  results_file:
    description:
      - C(results_file) of the result of the task that started the transfer.
    type: path
    required: true
  dest:
    description:
      - Folder of the artifact.
    type: path
    required: true
  timeout:
    description:
      - Seconds to wait.
    type: int
    default: 86400

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.artifact_transfer
"""

EXAMPLES = r"""
---
- name: Wait for the transfer
  tritonops.trtllm.artifact_transfer_wait:
    results_file: "{{ started.results_file }}"
    dest: /opt/trtllm/weights/3f2a9c0d1b7e4865
"""

RETURN = r"""
method:
  description: How the files were received, V(torrent) or V(https). Empty on a host that had the artifact.
  returned: success
  type: str
  sample: torrent
received:
  description: Bytes received, without those of an earlier run.
  returned: success
  type: int
  sample: 269060552
sent:
  description: Bytes sent to other hosts.
  returned: success
  type: int
  sample: 134530276
damaged:
  description: Number of parts that were damaged when they arrived, and were received again.
  returned: success
  type: int
  sample: 0
seconds:
  description: How long it took, with waiting for the other hosts.
  returned: success
  type: float
  sample: 22.4
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._job import outcome


def wait(module: AnsibleModule) -> dict[str, t.Any]:
    return outcome(module.params["results_file"], module.params["dest"], module.params["timeout"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "results_file": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 86400},
        },
    )
    run_module(module, wait, f"cannot wait for the transfer of {module.params['dest']}")


if __name__ == "__main__":
    main()
