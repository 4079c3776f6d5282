#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_host_info
short_description: Get the facts of a host that planning needs
version_added: "0.1.0"
description:
  - Returns the GPUs, processors, memory and disk of a host, and the artifacts and releases of earlier runs. It changes
    nothing, needs no privileges, and only needs Python on the host.
  - A host without C(nvidia-smi) is reported as a host without GPUs. If C(nvidia-smi) fails, its output is returned in
    RV(gpu_error).
  - It fails if the file system of O(root) does not respond within 30 seconds, such as that of a dead NFS server.
  - RV(host_facts) can be saved in a file and used to plan for the host without a connection to it.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.coming_storage
options:
  root:
    description:
      - The root folder of the collection on the host. It does not have to exist.
    type: path
    default: /opt/trtllm
  configuration:
    description:
      - The folder with the configurations of the roles P(tritonops.trtllm.endpoint#role) and
        P(tritonops.trtllm.gateway#role).
    type: path
    default: /etc/trtllm
  executable:
    description:
      - Name or path of C(nvidia-smi).
    type: str
    default: nvidia-smi
  timeout:
    description:
      - Seconds to wait for C(nvidia-smi) and for C(nvidia-ctk). A faulty GPU can make them hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_plan
"""

EXAMPLES = r"""
- name: Get information about the host
  tritonops.trtllm.trtllm_host_info:
    root: /opt/trtllm
  register: host_info

- name: Save it in a file
  ansible.builtin.copy:
    content: "{{ host_info.host_facts | ansible.builtin.to_nice_json }}\n"
    dest: "{{ inventory_hostname }}.json"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
host_facts:
  description: The facts that planning uses.
  returned: always
  type: dict
  contains:
    gpus:
      description:
        - The GPUs, in the order of C(nvidia-smi). Without C(nvidia-smi) there are none.
        - The values come from C(nvidia-smi -q -x). Compute capability and NVLinks, which it leaves out, come from
          C(--query-gpu) and C(nvlink -s).
      type: list
      elements: dict
      contains:
        index:
          description: Number of the GPU.
          type: int
          sample: 0
        name:
          description: Product name.
          type: str
          sample: NVIDIA A100-SXM4-40GB
        uuid:
          description: The GPU's UUID.
          type: str
          sample: GPU-00000000-0000-4000-8000-000000000000
        pci_bus_id:
          description: Address on the PCI bus.
          type: str
          sample: "00000000:0F:00.0"
        memory_mib:
          description: Memory of the GPU in MiB.
          type: int
          sample: 40960
        memory_used_mib:
          description: Memory in use in MiB.
          type: int
          sample: 0
        compute_capability:
          description: Compute capability, from C(nvidia-smi) or, if that is too old, from the product name.
          type: str
          sample: "8.0"
        mig_mode:
          description: Whether the GPU is split into MIG devices; V(null) if it does not support that.
          type: bool
          sample: false
        mig_mode_pending:
          description: Whether it will be split into MIG devices after the next reset.
          type: bool
          sample: false
        mig_devices:
          description: Number of MIG devices.
          type: int
          sample: 0
        persistence_mode:
          description: Whether the driver stays loaded while the GPU is not in use.
          type: bool
          sample: true
        ecc_mode:
          description: Whether memory errors are corrected; V(null) if the GPU does not support that.
          type: bool
          sample: true
        ecc_uncorrected_volatile:
          description: Uncorrected memory errors since the driver was loaded.
          type: int
          sample: 0
        ecc_uncorrected_aggregate:
          description: Uncorrected memory errors in the lifetime of the GPU.
          type: int
          sample: 0
        ecc_sram_threshold_exceeded:
          description: Whether the GPU had so many SRAM errors that it must be replaced; V(null) if not reported.
          type: bool
          sample: false
        rows_remapped_uncorrected:
          description: Memory rows that were replaced with spare rows because of an uncorrected error.
          type: int
          sample: 0
        row_remapping_pending:
          description: Whether a row will be replaced at the next reset; V(null) if the GPU does not support that.
          type: bool
          sample: false
        row_remapping_failed:
          description: Whether replacing a row failed; V(null) if the GPU does not support that.
          type: bool
          sample: false
        page_retirement_pending:
          description: Whether memory pages will be retired, on GPUs before the A100; V(null) on others.
          type: bool
          sample: null
        recovery_action:
          description:
            - The recovery action that the driver requests; V(none) for none, V(null) if the driver does not report it.
            - Drivers before 570 only report that a reset is required.
          type: str
          sample: none
        performance_state:
          description: Performance state; V(P0) is the fastest.
          type: str
          sample: P0
        pcie_generation:
          description: Current generation of the PCIe link. Many GPUs lower it while they are idle.
          type: int
          sample: 4
        pcie_generation_max:
          description: Highest generation that both the GPU and the host support.
          type: int
          sample: 4
        pcie_width:
          description: Current number of lanes of the PCIe link.
          type: int
          sample: 16
        pcie_width_max:
          description: Highest number of lanes that both the GPU and the host support.
          type: int
          sample: 16
        fabric_state:
          description:
            - State of joining the NVLink fabric of an NVSwitch machine; V(Completed) when it has joined.
            - V(null) on GPUs that do not report it, such as the A100, and on those without a fabric.
          type: str
          sample: null
        fabric_status:
          description:
            - Result of joining the fabric, V(Success) or what failed; V(null) like
              RV(host_facts.gpus[].fabric_state).
          type: str
          sample: null
        nvlinks_active:
          description: NVLinks that are up; V(null) if there are none or the driver does not report them.
          type: int
          sample: 12
        nvlinks_inactive:
          description: NVLinks that are down; V(null) like RV(host_facts.gpus[].nvlinks_active).
          type: int
          sample: 0
    driver_version:
      description: Version of the NVIDIA driver; V(null) if there is none.
      type: str
      sample: 570.124.06
    processors:
      description: Number of processors.
      type: int
      sample: 128
    memory_bytes:
      description: Memory of the host in bytes; V(null) if unknown.
      type: int
      sample: 2199023255552
    disk_free_bytes:
      description: Free space in bytes on the file system that contains, or will contain, O(root).
      type: int
      sample: 6800000000000
    link_mbps:
      description: Speed of the interface with the default route, in Mbit/s; V(null) if the driver does not report it.
      type: int
      sample: 100000
    container_toolkit:
      description: Version of the NVIDIA Container Toolkit; V(null) if it is not installed.
      type: str
      sample: 1.17.8
    root:
      description: The value of O(root).
      type: str
      sample: /opt/trtllm
    root_foreign:
      description:
        - Up to ten names in O(root), if it is not empty and not marked as a folder of the collection.
      type: list
      elements: str
      sample: []
    root_outdated:
      description:
        - Names in O(root) from an earlier version of the collection, whose layout is no longer used.
      type: list
      elements: str
      sample: []
    artifacts:
      description:
        - Complete folders below O(root). These are artifacts with their record, clones of the backend's sources, and
          releases.
        - V(image/<key>) means that an image was pulled, loaded or built, not that Docker still has it.
      type: list
      elements: str
      sample:
        - deployments/default/releases/mixtral-8x7b-instruct-1.2.1-0f1e2d3c
        - engine/c49b01ad7e3f5862
        - weights/00112233445566ff
    prunable:
      description:
        - What M(tritonops.trtllm.prune) would remove with its defaults, by path relative to O(root), and the bytes that
          this would free. Images are not counted, and which paths processes use is not known.
      type: dict
      sample:
        engine/5b1f0c8a7e6d4c32: 95300000000
    deployments:
      description: The ID of the release that each deployment serves, by name of the deployment; empty for none.
      type: dict
      sample:
        default: mixtral-8x7b-instruct-1.2.1-0f1e2d3c
    limits:
      description:
        - The limits of these releases, by name of the deployment, so that a later plan does not choose others.
      type: dict
      sample:
        default:
          max_batch_size: 64
          max_seq_len: 16384
          chosen_for: 9a3f0c2b7d51e846
instances:
  description: V(endpoint) and V(gateway), if they are configured on the host.
  returned: always
  type: list
  elements: str
  sample: [endpoint]
gpu_error:
  description: Output of C(nvidia-smi) if it failed; V(null) if it works or is not installed.
  returned: always
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch"
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import STORAGE, place_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import query_gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    artifacts,
    chosen_limits,
    current_releases,
    memory_total,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._link import link_speed
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    DEFAULT_ROOT,
    foreign_names,
    outdated_names,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import (
    CommandFailed,
    check_responds,
    run_with_timeout,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._root import prunable

MOST_FOREIGN = 10
INSTANCES = ("endpoint", "gateway")


def container_toolkit(module: AnsibleModule) -> str | None:
    """The version that nvidia-ctk reports; None if it is missing or fails."""
    path = module.get_bin_path("nvidia-ctk")
    try:
        said = run_with_timeout(module, [path, "--version"], module.params["timeout"]) if path else ""
    except CommandFailed:
        return None
    match = re.search(r"version (\d\S*)", said)
    return match.group(1) if match else None


def look(module: AnsibleModule) -> dict[str, t.Any]:
    root = module.params["root"]
    check_responds(module, root)
    smi = query_gpus(module, module.params["executable"], module.params["timeout"])
    facts = {
        "gpus": smi["gpus"],
        "driver_version": smi["driver_version"],
        "processors": os.cpu_count() or 1,
        "memory_bytes": memory_total() or None,
        "disk_free_bytes": place_of(root, module.params["storage"]).free,
        "link_mbps": link_speed(),
        "container_toolkit": container_toolkit(module),
        "root": root,
        "root_foreign": foreign_names(root)[:MOST_FOREIGN],
        "root_outdated": outdated_names(root),
        "artifacts": artifacts(root),
        "prunable": prunable(root),
        "deployments": current_releases(root),
        "limits": chosen_limits(root),
    }
    configuration = module.params["configuration"]
    instances = [name for name in INSTANCES if os.path.exists(os.path.join(configuration, name))]
    return {"changed": False, "host_facts": facts, "instances": instances, "gpu_error": smi["error"]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": DEFAULT_ROOT},
            "storage": STORAGE,
            "configuration": {"type": "path", "default": "/etc/trtllm"},
            "executable": {"type": "str", "default": "nvidia-smi"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    run_module(module, look, "cannot get information about the host")


if __name__ == "__main__":
    main()
