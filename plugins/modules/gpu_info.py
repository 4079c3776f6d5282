#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Tell which NVIDIA GPUs a host has
version_added: "0.1.0"
description:
  - Runs C(nvidia-smi -q -x) where it is installed and returns what it says. Changes nothing.
  - What that leaves out, compute capability and NVLinks, is asked by C(--query-gpu) and C(nvlink -s).
  - A host without C(nvidia-smi) is not an error, it is a host without usable GPUs.
  - A C(nvidia-smi) that fails (a driver that does not match its libraries, say) is not an error of the module either,
    its own words are returned in RV(error).
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  executable:
    description:
      - Name or path of C(nvidia-smi).
    type: str
    default: nvidia-smi
  timeout:
    description:
      - Seconds to wait for C(nvidia-smi). One GPU in trouble can make it hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Look which GPUs there are
  tritonops.trtllm.gpu_info:
  register: gpus

- name: Install what containers need to use them
  ansible.builtin.include_role:
    name: tritonops.trtllm.nvidia_ctk
  when: gpus.present
"""

RETURN = r"""
present:
  description: Whether the host has at least one GPU that C(nvidia-smi) can talk to.
  returned: always
  type: bool
  sample: true
error:
  description: What C(nvidia-smi) said when it failed; V(null) when it is absent or works.
  returned: always
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch"
driver_version:
  description: Version of the kernel driver.
  returned: always
  type: str
  sample: 570.124.06
cuda_version:
  description: Newest CUDA version that the driver supports.
  returned: always
  type: str
  sample: "12.8"
gpus:
  description: The GPUs in the order in which C(nvidia-smi) counts them.
  returned: always
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
      description: Where it sits.
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
      description: Compute capability, from C(nvidia-smi) or, where that is too old to tell, by the product's name.
      type: str
      sample: "8.0"
    mig_mode:
      description: Whether the GPU is split into MIG devices; V(null) where it cannot be.
      type: bool
      sample: false
    mig_mode_pending:
      description: Whether it will be after the next reset.
      type: bool
      sample: false
    mig_devices:
      description: Number of MIG devices.
      type: int
      sample: 0
    persistence_mode:
      description: Whether the driver stays loaded while nobody uses the GPU.
      type: bool
      sample: true
    ecc_mode:
      description: Whether memory errors are corrected; V(null) where the GPU cannot.
      type: bool
      sample: true
    ecc_uncorrected_volatile:
      description: Uncorrected memory errors since the driver was loaded.
      type: int
      sample: 0
    ecc_uncorrected_aggregate:
      description: Uncorrected memory errors in the life of the GPU.
      type: int
      sample: 0
    ecc_sram_threshold_exceeded:
      description: Whether it had so many errors in its SRAM that it is to be replaced; V(null) where it does not tell.
      type: bool
      sample: false
    rows_remapped_uncorrected:
      description: Rows of the memory that were replaced by spare ones for an uncorrected error.
      type: int
      sample: 0
    row_remapping_pending:
      description: Whether a row is still to be replaced, by a reset; V(null) where the GPU cannot.
      type: bool
      sample: false
    row_remapping_failed:
      description: Whether a row could not be replaced; V(null) where the GPU cannot.
      type: bool
      sample: false
    page_retirement_pending:
      description: Whether pages of the memory are to be retired, on GPUs before the A100; V(null) on others.
      type: bool
      sample: null
    recovery_action:
      description:
        - What the driver wants done to the GPU; V(none) for nothing, V(null) where it does not tell.
        - Drivers before 570 tell only of a reset that is needed.
      type: str
      sample: none
    performance_state:
      description: How fast it is clocked, from V(P0), the fastest.
      type: str
      sample: P0
    pcie_generation:
      description: The generation at which its PCIe link runs now. Many GPUs lower it while they are idle.
      type: int
      sample: 4
    pcie_generation_max:
      description: The highest generation that GPU and host have in common.
      type: int
      sample: 4
    pcie_width:
      description: Lanes of its PCIe link.
      type: int
      sample: 16
    pcie_width_max:
      description: Lanes that GPU and host have in common.
      type: int
      sample: 16
    fabric_state:
      description:
        - How far it has joined the NVLink fabric of an NVSwitch machine, V(Completed) when it has.
        - V(null) on GPUs that do not tell, the A100 among them, and on those without a fabric.
      type: str
      sample: null
    fabric_status:
      description: How joining the fabric ended, V(Success) or what was wrong; V(null) like RV(gpus[].fabric_state).
      type: str
      sample: null
    nvlinks_active:
      description: NVLinks that are up; V(null) where there are none, or the driver does not tell.
      type: int
      sample: 12
    nvlinks_inactive:
      description: NVLinks that are down; V(null) like RV(gpus[].nvlinks_active).
      type: int
      sample: 0
processes:
  description: Processes which use a GPU.
  returned: always
  type: list
  elements: dict
  sample:
    - gpu_index: 0
      pid: 4242
      type: C
      name: /opt/tritonserver/bin/tritonserver
      memory_mib: 31500
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import query_gpus


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "executable": {"type": "str", "default": "nvidia-smi"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **query_gpus(module, module.params["executable"], module.params["timeout"]))


if __name__ == "__main__":
    main()
