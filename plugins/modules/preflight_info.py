#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Find everything that would prevent a deployment on a host
version_added: "0.1.0"
description:
  - Checks a host before anything is changed on it, and returns every problem with its remedy.
  - Only needs Python on the host. Problems are returned and do not fail the module. It only fails if the host cannot be
    checked.
  - Only checks what is listed in O(needs). All checks are described in C(docs/operations.md) of the collection.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.coming_storage
  - tritonops.trtllm.preflight_needs
options:
  token:
    description:
      - The access token for O(needs[].hub), instead of the one in O(needs[].hub.token_file).
    type: str
  ca_bundle:
    description:
      - File with CA certificates to use for all connections instead of the system's.
      - The proxy variables of the environment are used, too.
    type: path
  timeout:
    description:
      - Seconds to wait for each answer from the network.
    type: int
    default: 20
  command_timeout:
    description:
      - Seconds to wait for each program that is run. A faulty GPU can make them hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Check whether the host can serve a small model
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

- name: Check the number, kind and health of the GPUs
  tritonops.trtllm.preflight_info:
    needs:
      - gpus:
          count: 8
          name: NVIDIA A100-SXM4-40GB
          driver: "525"
        units: [triton.service]
  register: gpus

- name: Show the problems
  ansible.builtin.debug:
    msg: "{{ item.message }}; {{ item.remedy }}"
  loop: "{{ preflight.findings }}"
"""

RETURN = r"""
findings:
  description: The problems that were found.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Name of the check that found the problem.
      type: str
      sample: port_taken
    severity:
      description: V(error) if the deployment would fail, V(warning) if it may fail.
      type: str
      sample: error
    message:
      description: What was found.
      type: str
      sample: "port 8000 on 127.0.0.1 (HTTP) is used by pid 4242: nginx: master process (it listens on 0.0.0.0)"
    remedy:
      description: How to fix it.
      type: str
      sample: stop it, or choose another port in needs.ports
    waivable:
      description: Whether users can accept the problem and deploy nevertheless.
      type: bool
      sample: true
facts:
  description: The facts that the checks used.
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
    haproxy:
      description: The version of HAProxy that is installed, or would be. Only with O(needs[].haproxy).
      type: str
      sample: 2.8.5
    memory_bytes:
      description: Memory of the host. Only with O(needs[].memory_bytes) or O(needs[].shm).
      type: int
      sample: 25208512512
    clock_synchronised:
      description: Whether the clock is synchronised; V(null) if unknown. Only with O(needs[].clock).
      type: bool
      sample: true
    container_runtimes:
      description: The versions of an installed Docker, of containerd and of runc. Only with O(needs[].runtimes).
      type: dict
      sample:
        docker: 28.5.1
        containerd: 1.7.28
        runc: 1.3.3
    selinux_enforcing:
      description: Whether SELinux is in enforcing mode. Only with O(needs[].root).
      type: bool
      sample: false
    firewalld:
      description: Whether firewalld is running. Only with O(needs[].ports).
      type: bool
      sample: false
    gpus:
      description: The GPUs and their driver. Only with O(needs[].gpus).
      type: dict
      contains:
        driver_version:
          description: Version of the kernel driver; V(null) if it does not answer.
          type: str
          sample: 590.48.01
        cuda_version:
          description: Newest CUDA version that the driver supports.
          type: str
          sample: "13.1"
        devices:
          description: The GPUs that answer, like RV(tritonops.trtllm.trtllm_host_info#module:host_facts.gpus).
          type: list
          elements: dict
          sample: []
        on_bus:
          description: Number of GPUs on the PCI bus, including those that do not answer.
          type: int
          sample: 8
        switches:
          description: Number of NVSwitches on the PCI bus.
          type: int
          sample: 6
        fabric_manager:
          description: State and version of the fabric manager's unit; V(null) without NVSwitches.
          type: dict
          sample:
            load: loaded
            active: active
            version: 590.48.01
        xids:
          description: Errors of the driver in the kernel log since boot, by GPU and code.
          type: list
          elements: dict
          sample:
            - place: "0000:0f:00"
              code: 79
              times: 1
    disk:
      description: The file systems of O(needs[].disk).
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
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_login
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


def run(module: AnsibleModule) -> dict[str, t.Any]:
    refuse_login(module, "needs")
    findings: list[dict[str, t.Any]] = []
    facts: dict[str, t.Any] = {}
    for needs in module.params["needs"]:
        host = LiveHost(module, needs)
        findings += [found for found in judge(host.needs, host.fact) if found not in findings]
        facts = dict_merge(facts, host.as_result())
    return {"changed": False, "findings": findings, "facts": facts}


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    run_module(module, run, "cannot check the host", errors=(OSError, ValueError))


if __name__ == "__main__":
    main()
