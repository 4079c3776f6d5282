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
from ansible_collections.tritonops.trtllm.plugins.module_utils._nvidia_smi import look_for_gpus


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "executable": {"type": "str", "default": "nvidia-smi"},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **look_for_gpus(module, module.params["executable"], module.params["timeout"]))


if __name__ == "__main__":
    main()
