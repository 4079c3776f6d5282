#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_checkpoint

short_description: Convert a model's weights to a TensorRT-LLM checkpoint

version_added: "0.1.0"

description:
  - Runs the release's own C(convert_checkpoint.py) in the backend's container, without network or privileges.
  - Everything happens in O(dest) with C(.partial) appended; the checkpoint is verified (configuration, header of each
    rank's file) and then renamed. A second run with the same inputs does nothing.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.tool_step

options:
  converter:
    description:
      - Which converter writes the checkpoint. V(upstream) is the one of the release.
    type: str
    choices: [upstream]
    default: upstream
  backend_files:
    description:
      - Clone of the backend on the host, for releases whose image lacks the examples; the tool sees it read-only as
        C(/backend).
    type: path

requirements:
  - safetensors

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.hf_snapshot
  - module: tritonops.trtllm.trtllm_engine
"""

EXAMPLES = r"""
---
- name: Convert Mixtral for eight GPUs
  tritonops.trtllm.trtllm_checkpoint:
    src: /opt/trtllm/weights/3f2a9c0d1b7e4865
    dest: /opt/trtllm/checkpoint/5d0c1f6b2a8e9734
    image: nvcr.io/nvidia/tritonserver@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    release: 0.17.0
    command:
      - python3
      - /app/examples/llama/convert_checkpoint.py
      - --model_dir
      - /src
      - --output_dir
      - /dest
      - --dtype
      - float16
      - --tp_size
      - "8"
    world_size: 8
    gpus: [all]
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
path:
  description: The folder with the checkpoint, O(dest).
  returned: success
  type: str
  sample: /opt/trtllm/checkpoint/5d0c1f6b2a8e9734
reason:
  description: Why the checkpoint had to be made; null when it was there.
  returned: success
  type: str
  sample: "inputs changed: command"
command:
  description: The tool and its arguments.
  returned: always
  type: list
  elements: str
  sample: [python3, /app/examples/llama/convert_checkpoint.py, --model_dir, /src, --output_dir, /dest]
duration:
  description: Seconds that it took; null when there was nothing to do.
  returned: success
  type: float
  sample: 341.7
world_size:
  description: Number of ranks.
  returned: success
  type: int
  sample: 8
total_size:
  description: Bytes of all files.
  returned: success
  type: int
  sample: 93405585408
rc:
  description: Exit code of the tool.
  returned: when the tool failed
  type: int
  sample: 1
tool_log:
  description: File on the host with the tool's output.
  returned: when the tool failed
  type: str
  sample: /opt/trtllm/checkpoint/5d0c1f6b2a8e9734.partial/tool.log
"""

import traceback

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils._tool_step import (
    Kind,
    check_ranks,
    check_world_size,
    read_config,
    run_step,
)

try:
    from safetensors import SafetensorError, safe_open
except ImportError:
    SAFETENSORS_ERROR: str | None = traceback.format_exc()
else:
    SAFETENSORS_ERROR = None


def check_checkpoint(folder: str, world_size: int) -> None:
    """A configuration for so many ranks, and a sound header in each rank's file."""
    check_world_size(read_config(folder).get("mapping", {}), world_size)
    for path in check_ranks(folder, ".safetensors", world_size):
        try:
            with safe_open(path, framework="numpy"):
                pass
        except SafetensorError as exc:
            raise ArtifactError(f"{path} is not a whole safetensors file: {exc}") from exc


def main() -> None:
    run_step(
        Kind(
            name="checkpoint",
            phase="convert",
            check=check_checkpoint,
            inputs=("converter",),
            mounts={"backend_files": "/backend"},
            missing=None if SAFETENSORS_ERROR is None else (missing_required_lib("safetensors"), SAFETENSORS_ERROR),
        ),
        {
            "converter": {"type": "str", "choices": ["upstream"], "default": "upstream"},
            "backend_files": {"type": "path"},
        },
    )


if __name__ == "__main__":
    main()
