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
  - Cuts and casts the safetensors files of a Hugging Face model into C(config.json) and a C(rank<N>.safetensors) for
    each rank, bit by bit as the release's own converter does. That takes neither a GPU nor a container, and memory for
    a few blocks only; it works on any Linux machine with Python, such as the control node.
  - With O(converter=upstream) it runs the release's own C(convert_checkpoint.py) in the backend's container instead,
    without network or privileges.
  - Everything happens in O(dest) with C(.partial) appended; the checkpoint is verified (configuration, header of each
    rank's file) and then renamed. A second run with the same inputs does nothing; one after an interruption starts
    anew.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.artifact_step
  - tritonops.trtllm.log_patterns
  - tritonops.trtllm.tool_step

options:
  src:
    description:
      - Folder of the model; the tool of O(converter=upstream) sees it read-only as C(/src).
      - For V(native) it has C(config.json) and safetensors files, any number of them. Files that only Python's pickle
        can read (C(.bin), C(.pt)) are refused, for reading them runs what is in them.
      - What went into it is part of what makes a new artifact necessary. When the folder of a finished artifact was
        removed to free its space, its name still stands for it.
  converter:
    description:
      - Who writes the checkpoint.
      - V(native) is the collection's own converter, for Llama, Mistral, Mixtral and Qwen2 in float16, bfloat16 and
        float32. The model must not be quantised, and the release 0.9.0 or later.
      - V(upstream) is the one of the release, for everything else that it can do. It needs O(image) and O(command).
    type: str
    choices: [native, upstream]
    default: native
  dtype:
    description:
      - What the checkpoint computes in. V(auto) keeps 16-bit weights as they are and makes 32-bit ones float16.
      - Finite values that float16 cannot hold become infinite, as with upstream; they are counted and warned about.
      - For O(converter=native).
    type: str
    choices: [auto, float16, bfloat16, float32]
    default: auto
  tp_size:
    description:
      - Ranks that share each layer (tensor parallel). They must divide the attention heads, and the KV heads or be a
        multiple of them, in which case each KV head is on several ranks.
      - For O(converter=native).
    type: int
    default: 1
  pp_size:
    description:
      - Groups of ranks that the layers are spread over (pipeline parallel). They must divide the layers.
      - For O(converter=native).
    type: int
    default: 1
  moe_tp_size:
    description:
      - Of the O(tp_size) ranks, how many share each expert. If not given, what O(moe_ep_size) leaves.
      - For O(converter=native) and a mixture of experts. Before release 0.11.0 it is 1 or O(tp_size).
    type: int
  moe_ep_size:
    description:
      - Of the O(tp_size) ranks, how many the experts are spread over. If not given, what O(moe_tp_size) leaves, or 1.
      - For O(converter=native) and a mixture of experts. Before release 0.11.0 it is 1 or O(tp_size).
    type: int
  use_parallel_embedding:
    description:
      - Whether the embedding is cut over the ranks of a stage, instead of being on each of them.
      - For O(converter=native).
    type: bool
    default: false
  embedding_sharding_dim:
    description:
      - With O(use_parallel_embedding), whether rows (the vocabulary, V(0)) or columns (V(1)) are cut.
      - For O(converter=native).
    type: int
    choices: [0, 1]
    default: 0
  use_embedding_sharing:
    description:
      - Leave the head out where it is the embedding and every rank has the same part of both, for releases 0.14 to
        0.16.
      - For O(converter=native).
    type: bool
    default: false
  workers:
    description:
      - Threads that read and write. If not given, two for each processor that may be used, 8 at most.
      - For O(converter=native).
    type: int
  checksums:
    description:
      - Whether to record the sha256 of what was written, which O(verify) compares. That reads it once more and takes
        about as long as converting. With V(upstream), and with O(verify), it is always done.
      - For O(converter=native).
    type: bool
    default: false
  image:
    description:
      - The backend image to run, by id or V(repository@sha256:…). It must be in the engine.
      - For O(converter=upstream), which needs it.
    type: str
  command:
    description:
      - The tool and its arguments. It reads from C(/src) and writes to C(/dest).
      - For O(converter=upstream), which needs it.
    type: list
    elements: str
  backend_files:
    description:
      - Clone of the backend on the host, for releases whose image lacks the examples; the tool sees it read-only as
        C(/backend).
      - For O(converter=upstream).
    type: path

requirements:
  - safetensors
  - numpy and ml_dtypes, for O(converter=native)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.hf_snapshot
  - module: tritonops.trtllm.trtllm_engine
"""

EXAMPLES = r"""
---
- name: Convert Mixtral for eight GPUs, on the machine that Ansible runs on
  tritonops.trtllm.trtllm_checkpoint:
    src: /srv/models/Mixtral-8x7B-Instruct-v0.1
    dest: /srv/checkpoints/mixtral-tp8
    release: 0.17.0
    dtype: float16
    tp_size: 8
  delegate_to: localhost

- name: Spread the experts over the GPUs instead of cutting each of them
  tritonops.trtllm.trtllm_checkpoint:
    src: /opt/trtllm/weights/3f2a9c0d1b7e4865
    dest: /opt/trtllm/checkpoint/0c8a4e21f7d3b659
    release: 0.17.0
    dtype: bfloat16
    tp_size: 8
    moe_ep_size: 8
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Quantise the weights to 8 bits on the way, which only the release's own converter can
  tritonops.trtllm.trtllm_checkpoint:
    converter: upstream
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
      - --use_weight_only
      - --weight_only_precision
      - int8
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
  description: The tool and its arguments; empty for O(converter=native).
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
overflowed:
  description:
    - By tensor of the source, how many finite values of it became infinite in float16.
  returned: success, for O(converter=native)
  type: dict
  sample: {model.layers.1.block_sparse_moe.experts.3.w2.weight: 2}
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

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._step import ArtifactStep, run_step
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._tool_step import (
    TOOL_ARGUMENTS,
    ToolSpec,
    ToolStep,
    check_ranks,
    check_world_size,
    read_config,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_step import (
    NATIVE_ARGUMENTS,
    NativeStep,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    MISSING_SAFETENSORS,
    read_head,
)


def check_checkpoint(folder: str, world_size: int) -> None:
    """A configuration for so many ranks, and a sound header in each rank's file."""
    check_world_size(read_config(folder).get("mapping", {}), world_size)
    for path in check_ranks(folder, ".safetensors", world_size):
        read_head(path, "convert the model again")


UPSTREAM = ToolSpec(
    name="checkpoint",
    phase="convert",
    check=check_checkpoint,
    inputs=("converter",),
    mounts={"backend_files": "/backend"},
    missing=(missing_required_lib("safetensors"), MISSING_SAFETENSORS) if MISSING_SAFETENSORS else None,
)


def make_step(module: AnsibleModule) -> ArtifactStep:
    if module.params["converter"] == "upstream":
        return ToolStep(UPSTREAM, module)
    misplaced = [name for name in ("image", "command", "backend_files") if module.params[name]]
    if misplaced:
        raise ArtifactError(
            f"{', '.join(misplaced)}: of converter upstream; leave it out, or set converter to upstream"
        )
    return NativeStep(module, check_checkpoint)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **TOOL_ARGUMENTS,
            **NATIVE_ARGUMENTS,
            "converter": {"type": "str", "choices": ["native", "upstream"], "default": "native"},
            "image": {"type": "str"},
            "command": {"type": "list", "elements": "str"},
            "backend_files": {"type": "path"},
        },
        required_if=[("converter", "upstream", ("image", "command"))],
        supports_check_mode=True,
    )
    run_step(module, lambda: make_step(module))


if __name__ == "__main__":
    main()
