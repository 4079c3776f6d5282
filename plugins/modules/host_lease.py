#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_lease
short_description: Make sure that only one run of Ansible changes a host
version_added: "0.1.0"
description:
  - A run acquires the lease of a host before it reads the state that it bases its changes on, and releases it
    afterwards. If another run has the lease, the task fails, or waits, and names the owner.
  - The modules of this collection renew the lease while they run, and fail if the run does not have it any more. For
    this they need RV(environment) as their C(environment).
  - A lease is taken over, with a warning, if it was not renewed for 30 minutes, if the host was restarted, or if its
    owner was started on this control node and does not run any more.
  - A run can acquire the lease several times. RV(acquired) says which of its tasks should release it.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - In check mode the lease is not acquired. If another run has it, there is a warning.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A lease is temporary, so acquiring or releasing it is not reported as a change.
  action:
    description: An action plugin on the control node sets O(owner) and O(ended), and waits.
    support: full
options:
  state:
    description:
      - V(acquired) before and V(released) after the changes.
    type: str
    choices: [acquired, released]
    default: acquired
  wait:
    description:
      - Seconds to wait if another run has the lease. With V(0) the task fails at once.
      - In a play with several hosts, set C(throttle) to V(1) for this task and C(order) to V(sorted) for the play.
        Otherwise two runs may wait for each other's hosts.
    type: int
    default: 0
  owner:
    description:
      - The run of Ansible. The action plugin sets it.
    type: dict
    suboptions:
      run:
        description: A name of the run that no other run has.
        type: str
        required: true
      user:
        description: The user on the control node.
        type: str
        required: true
      node:
        description: The name of the control node.
        type: str
        required: true
      pid:
        description: The process on the control node.
        type: int
        required: true
      place:
        description: Where on the control node the process is visible.
        type: str
        required: true
  ended:
    description:
      - Runs that are known to have ended. The action plugin sets it.
    type: list
    elements: str
    default: []
  path:
    description:
      - The file with the lease. Only root can read it.
    type: path
    default: /run/trtllm-lease.json
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Change the host without interference
  environment: "{{ lease.environment | default({}) }}"
  block:
    - name: Acquire the lease of the host
      tritonops.trtllm.host_lease:
        wait: 600
      register: lease

    - name: Take the host out of the load balancer
      ansible.builtin.include_tasks: drain.yml

    # It acquires and releases the lease itself. Here, it is left to this block.
    - name: Deploy
      ansible.builtin.include_role:
        name: tritonops.trtllm.deployment

  always:
    - name: Release the lease of the host
      tritonops.trtllm.host_lease:
        state: released
      when: lease.acquired | default(false)
"""

RETURN = r"""
acquired:
  description: Whether this task acquired the lease. It did not if the run had it already.
  returned: success
  type: bool
  sample: true
environment:
  description: The environment in which the modules of this collection renew the lease.
  returned: success
  type: dict
  sample: {"TRITONOPS_LEASE": "ansible-local-1234abcdefgh:/run/trtllm-lease.json"}
taken_over:
  description: Which lease was taken over, and why; empty if none was.
  returned: success
  type: str
  sample: ""
held_by:
  description: The run that has the lease.
  returned: if another run has it
  type: dict
  sample:
    {"run": "ansible-local-99abcdefgh", "user": "alice", "node": "control-1", "pid": 99, "place": "4026531836"}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_seconds
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import (
    PATH,
    Lease,
    Moment,
    Owner,
    acquire,
    environment,
    release,
)

NOTHING: dict[str, t.Any] = {"changed": False, "acquired": False, "environment": {}, "taken_over": ""}


def held(lease: Lease, path: str) -> str:
    now = Moment.now().seconds
    return (
        f"{lease.owner} is changing this host: that run of Ansible acquired the lease of the host"
        f" {human_seconds(now - lease.acquired)} ago. Run the playbook again when it has ended, or wait for it with -e"
        " trtllm_lease_wait=SECONDS. If that run does not exist any more, the lease expires in"
        f" {human_seconds(lease.expires_in(now))}; to continue at once, remove {path} on the host."
    )


def acquired(module: AnsibleModule, owner: Owner) -> dict[str, t.Any]:
    path = module.params["path"]
    found, stale = acquire(path, owner, module.params["ended"], module.check_mode)
    if found and found.owner.run != owner.run and not stale:
        if not module.check_mode:
            raise ModuleFailure(held(found, path), held_by=found.owner._asdict())
        module.warn(held(found, path))
    if module.check_mode:
        return NOTHING
    taken_over = f"The lease of {found.owner} on this host was taken over: {stale}." if found and stale else ""
    if taken_over:
        module.warn(taken_over)
    new = found is None or bool(stale)
    return {**NOTHING, "acquired": new, "environment": environment(path, owner.run), "taken_over": taken_over}


def released(module: AnsibleModule, owner: Owner) -> dict[str, t.Any]:
    if not module.check_mode:
        release(module.params["path"], owner.run)
    return NOTHING


STATES = {"acquired": acquired, "released": released}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    return STATES[module.params["state"]](module, Owner(**module.params["owner"]))


def main() -> None:
    text = {"type": "str", "required": True}
    owner = {"run": text, "user": text, "node": text, "pid": {"type": "int", "required": True}, "place": text}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "acquired"},
            # For the action plugin.
            "wait": {"type": "int", "default": 0},
            "owner": {"type": "dict", "options": owner},
            "ended": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path", "default": PATH},
        },
        supports_check_mode=True,
    )
    run_module(module, run, "cannot acquire or release the lease", remedy="Run this task as root.", renews_lease=False)


if __name__ == "__main__":
    main()
