#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Find out what would stop a deployment on a host, all of it at once
version_added: "0.1.0"
description:
  - Checks a host before anything is changed on it, and returns every obstacle with what to do about it.
  - It needs nothing but Python on the host. It fails only if the host cannot be looked at. Obstacles are returned, so
    that the caller decides.
  - Only what O(needs) names is checked. Every check is described in C(docs/operations.md) of the collection.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.coming_storage
  - tritonops.trtllm.preflight_needs
options:
  token:
    description:
      - The access token for O(needs[].hub), in place of the one in O(needs[].hub.token_file).
    type: str
  ca_bundle:
    description:
      - File with the certificates to trust in place of the system's, for everything that is asked over the network.
      - The proxy variables of the environment are honoured.
    type: path
  timeout:
    description:
      - Seconds to wait for each answer over the network.
    type: int
    default: 20
  command_timeout:
    description:
      - Seconds to wait for each of the programs that are asked. One GPU in trouble can make them hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Check whether a small model could be served here
  tritonops.trtllm.preflight_info:
    needs:
      - ports:
          - port: 8000
            what: HTTP
          - port: 8001
            what: gRPC
        units: [triton.service]
        containers: [triton]
        disk:
          - path: /opt/trtllm/weights/0123456789abcdef
            bytes: 269000000
            what: weights
        hub:
          repository: HuggingFaceTB/SmolLM2-135M-Instruct
          revision: main
        systemd: true
  register: preflight

- name: Check whether the GPUs are healthy and what they should be
  tritonops.trtllm.preflight_info:
    needs:
      - gpus:
          count: 8
          name: NVIDIA A100-SXM4-40GB
          driver: "525"
        units: [triton.service]
  register: gpus

- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ item.message }}; {{ item.remedy }}"
  loop: "{{ preflight.findings }}"
"""

RETURN = r"""
findings:
  description: The obstacles; empty when there are none.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check that found it.
      type: str
      sample: port_taken
    severity:
      description: V(error) for what will stop the deployment, V(warning) for what may.
      type: str
      sample: error
    message:
      description: What was found.
      type: str
      sample: "port 8000 on 127.0.0.1 (HTTP) is taken by pid 4242: nginx: master process (it listens on 0.0.0.0)"
    remedy:
      description: What to do about it.
      type: str
      sample: stop it, or choose another port in needs.ports
    waivable:
      description: Whether the deployment may go on in spite of it, if somebody takes responsibility for that.
      type: bool
      sample: true
facts:
  description: What was looked up for the checks.
  returned: always
  type: dict
  contains:
    architecture:
      description: Architecture of the processor. Only with O(needs[].architectures).
      type: str
      sample: x86_64
    system:
      description: The distribution's C(ID) and C(VERSION_ID). Only with O(needs[].systems).
      type: str
      sample: debian 12
    memory_bytes:
      description: Memory of the host. Only with O(needs[].memory_bytes) or O(needs[].shm).
      type: int
      sample: 25208512512
    clock_synchronised:
      description: Whether something keeps the clock right; V(null) where nothing tells. Only with O(needs[].clock).
      type: bool
      sample: true
    selinux_enforcing:
      description: Whether SELinux enforces its rules. Only with O(needs[].root).
      type: bool
      sample: false
    firewalld:
      description: Whether firewalld runs. Only with O(needs[].ports).
      type: bool
      sample: false
    gpus:
      description: The GPUs and what belongs to them. Only with O(needs[].gpus).
      type: dict
      contains:
        driver_version:
          description: Version of the kernel driver; V(null) where it does not answer.
          type: str
          sample: 590.48.01
        cuda_version:
          description: Newest CUDA version that the driver supports.
          type: str
          sample: "13.1"
        devices:
          description: The GPUs that answer, as M(tritonops.trtllm.gpu_info) returns them.
          type: list
          elements: dict
          sample: []
        on_bus:
          description: How many GPUs are on the PCI bus, whether they answer or not.
          type: int
          sample: 8
        switches:
          description: How many NVSwitches are on the PCI bus.
          type: int
          sample: 6
        fabric_manager:
          description: The state of the fabric manager's unit, and its version. V(null) without NVSwitches.
          type: dict
          sample:
            load: loaded
            active: active
            version: 590.48.01
        xids:
          description: The driver's errors in the kernel's log since boot, by GPU and code.
          type: list
          elements: dict
          sample:
            - place: "0000:0f:00"
              code: 79
              times: 1
    disk:
      description: The file systems that O(needs[].disk) is about.
      type: list
      elements: dict
      sample:
        - mount: /
          needed_bytes: 269000000
          free_bytes: 84000000000
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.dict_transformations import dict_merge
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, options_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import judge
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import STORAGE


def argument_spec() -> dict[str, t.Any]:
    return {
        "needs": {"type": "list", "elements": "dict", "default": [], "options": options_of(Needs)},
        "storage": STORAGE,
        "token": {"type": "str", "no_log": True},
        "ca_bundle": {"type": "path"},
        "timeout": {"type": "int", "default": 20},
        "command_timeout": {"type": "int", "default": 120},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    findings: list[dict[str, t.Any]] = []
    facts: dict[str, t.Any] = {}
    try:
        for needs in module.params["needs"]:
            host = LiveHost(module, needs)
            findings += [found for found in judge(host.needs, host.known) if found not in findings]
            facts = dict_merge(facts, host.shown())
    except (OSError, ValueError) as exc:
        module.fail_json(msg=f"the host cannot be looked at: {exc}")
    module.exit_json(changed=False, findings=findings, facts=facts)


if __name__ == "__main__":
    main()
