#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_engine

short_description: Build TensorRT-LLM engines from a checkpoint

version_added: "0.1.0"

description:
  - Runs C(trtllm-build) of the TensorRT-LLM version in a container of the backend image, without network or privileges.
  - The engine is built in O(dest) with C(.partial) appended, verified (configuration, a file for each rank) and
    renamed. A second run with the same inputs does nothing.
  - An engine only works with the image and the GPU model that it was built with, so both are part of its inputs.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.artifact_step
  - tritonops.trtllm.log_patterns
  - tritonops.trtllm.tool_step

options:
  image:
    description:
      - The backend image to run, by ID or V(repository@sha256:…). Docker must have it already.
    type: str
    required: true
  command:
    description:
      - The tool and its arguments. It reads from C(/src) and writes to C(/dest).
    type: list
    elements: str
    required: true
  gpu:
    description:
      - Name of the GPU that the engine is built for, such as V(NVIDIA A100-SXM4-40GB). It is part of the inputs.
    type: str

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_checkpoint
"""

EXAMPLES = r"""
---
- name: Build engines of Mixtral for eight GPUs
  tritonops.trtllm.trtllm_engine:
    src: /opt/trtllm/checkpoint/5d0c1f6b2a8e9734
    dest: /opt/trtllm/engine/c49b01ad7e3f5862
    image: nvcr.io/nvidia/tritonserver@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    release: 0.17.0
    command:
      - trtllm-build
      - --checkpoint_dir
      - /src
      - --output_dir
      - /dest
      - --gemm_plugin
      - float16
    world_size: 8
    gpus: [all]
    gpu: NVIDIA A100-SXM4-40GB
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
path:
  description: The folder with the engines, O(dest).
  returned: success
  type: str
  sample: /opt/trtllm/engine/c49b01ad7e3f5862
reason:
  description: Why the engines had to be built; V(null) if they existed.
  returned: success
  type: str
  sample: "inputs changed: image"
command:
  description: The tool and its arguments.
  returned: always
  type: list
  elements: str
  sample: [trtllm-build, --checkpoint_dir, /src, --output_dir, /dest, --gemm_plugin, float16]
duration:
  description: Duration in seconds; V(null) if there was nothing to do.
  returned: success
  type: float
  sample: 1284.2
world_size:
  description: Number of ranks.
  returned: success
  type: int
  sample: 8
total_size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 93502316544
rc:
  description: Exit code of the tool.
  returned: when the tool failed
  type: int
  sample: 1
tool_log:
  description: File on the host with the tool's output.
  returned: when the tool failed
  type: str
  sample: /opt/trtllm/engine/c49b01ad7e3f5862.partial/tool.log
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._step import run_step
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._tool_step import (
    TOOL_ARGUMENTS,
    ToolSpec,
    ToolStep,
    check_ranks,
    check_world_size,
    read_config,
)


def check_engine(folder: str, world_size: int) -> None:
    """Check the number of ranks in the configuration of the build, and the engine of each rank."""
    config = read_config(folder)
    if not isinstance(config.get("build_config"), dict):
        raise ArtifactError("config.json has no build_config")
    pretrained = config.get("pretrained_config", {})
    check_world_size(pretrained.get("mapping", {}) if isinstance(pretrained, dict) else pretrained, world_size)
    check_ranks(folder, ".engine", world_size)


KIND = ToolSpec(name="engine", phase="build", check=check_engine, inputs=("gpu",))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **TOOL_ARGUMENTS,
            "image": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "gpu": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_step(module, lambda: ToolStep(KIND, module))


if __name__ == "__main__":
    main()
