#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_host_info
short_description: Tell what a host has that a plan goes by
version_added: "0.1.0"
description:
  - Returns the GPUs, processors, memory and disk of a host, and the artifacts and releases that earlier runs have left
    on it. Changes nothing, needs no privileges and nothing but Python on the host.
  - What is returned in RV(host_facts) can be kept in a file, to plan for the host without contacting it.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.coming_storage
options:
  root:
    description:
      - The folder on the host that everything of ours lives in. It need not exist.
    type: path
    default: /opt/trtllm
  executable:
    description:
      - Name or path of C(nvidia-smi).
    type: str
    default: nvidia-smi
  timeout:
    description:
      - Seconds to wait for C(nvidia-smi), and for C(nvidia-ctk). One GPU in trouble can make them hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.gpu_info
  - module: tritonops.trtllm.trtllm_plan
"""

EXAMPLES = r"""
- name: Look at the host
  tritonops.trtllm.trtllm_host_info:
    root: /opt/trtllm
  register: host_info

- name: Keep what was found
  ansible.builtin.copy:
    content: "{{ host_info.host_facts | ansible.builtin.to_nice_json }}\n"
    dest: "{{ inventory_hostname }}.json"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
host_facts:
  description: What a plan goes by.
  returned: always
  type: dict
  contains:
    gpus:
      description:
        - The GPUs in the order in which C(nvidia-smi) counts them, as M(tritonops.trtllm.gpu_info) returns them.
      type: list
      elements: dict
      sample:
        - index: 0
          name: NVIDIA A100-SXM4-40GB
          uuid: GPU-00000000-0000-4000-8000-000000000000
          pci_bus_id: "00000000:0F:00.0"
          memory_mib: 40960
          memory_used_mib: 0
          compute_capability: "8.0"
          mig_mode: false
          mig_devices: 0
          persistence_mode: true
          ecc_mode: true
          ecc_uncorrected_volatile: 0
          ecc_uncorrected_aggregate: 0
    driver_version:
      description: Version of the GPUs' driver; V(null) without one.
      type: str
      sample: 570.124.06
    processors:
      description: Processors as the system counts them.
      type: int
      sample: 128
    memory_bytes:
      description: Memory of the host in bytes; V(null) where the system does not tell.
      type: int
      sample: 2199023255552
    disk_free_bytes:
      description: What can still be written to the file system that has, or will have, O(root), in bytes.
      type: int
      sample: 6800000000000
    container_toolkit:
      description: Version of the NVIDIA Container Toolkit; V(null) without one.
      type: str
      sample: 1.17.8
    root:
      description: The folder of O(root).
      type: str
      sample: /opt/trtllm
    root_foreign:
      description:
        - Names in the folder of O(root) where it is not empty and has no mark of the collection; ten at most.
      type: list
      elements: str
      sample: []
    root_outdated:
      description:
        - Names in the folder of O(root) that an earlier version of the collection has left there, whose layout is not
          used any more.
      type: list
      elements: str
      sample: []
    artifacts:
      description:
        - Folders below O(root) that are finished. These are artifacts with their record, clones of the backend's
          sources, and releases.
        - V(image/<key>) says that an image was fetched, not that the engine still has it.
      type: list
      elements: str
      sample:
        - deployments/default/releases/mixtral-8x7b-instruct-1.2.1-0f1e2d3c
        - engine/c49b01ad7e3f5862
        - weights/00112233445566ff
    deployments:
      description: By the name of each deployment, the id of the release that it serves. Empty where it serves none.
      type: dict
      sample:
        default: mixtral-8x7b-instruct-1.2.1-0f1e2d3c
gpu_error:
  description: What C(nvidia-smi) said when it failed; V(null) when it is absent or works.
  returned: always
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch"
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import STORAGE, place_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import query_gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    artifacts,
    current_releases,
    memory_total,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    DEFAULT_ROOT,
    foreign_names,
    outdated_names,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import CommandFailed, run_with_timeout

MOST_FOREIGN = 10


def container_toolkit(module: AnsibleModule) -> str | None:
    """The version that nvidia-ctk says it is of; a broken one is as good as none."""
    path = module.get_bin_path("nvidia-ctk")
    try:
        said = run_with_timeout(module, [path, "--version"], module.params["timeout"]) if path else ""
    except CommandFailed:
        return None
    match = re.search(r"version (\d\S*)", said)
    return match.group(1) if match else None


def look(module: AnsibleModule) -> dict[str, t.Any]:
    root = module.params["root"]
    smi = query_gpus(module, module.params["executable"], module.params["timeout"])
    facts = {
        "gpus": smi["gpus"],
        "driver_version": smi["driver_version"],
        "processors": os.cpu_count() or 1,
        "memory_bytes": memory_total() or None,
        "disk_free_bytes": place_of(root, module.params["storage"]).free,
        "container_toolkit": container_toolkit(module),
        "root": root,
        "root_foreign": foreign_names(root)[:MOST_FOREIGN],
        "root_outdated": outdated_names(root),
        "artifacts": artifacts(root),
        "deployments": current_releases(root),
    }
    return {"host_facts": facts, "gpu_error": smi["error"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": DEFAULT_ROOT},
            "storage": STORAGE,
            "executable": {"type": "str", "default": "nvidia-smi"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        result = look(module)
    except OSError as exc:
        module.fail_json(msg=f"the host cannot be looked at: {exc}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
