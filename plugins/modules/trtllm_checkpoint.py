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
  - Converts the safetensors files of a Hugging Face model to C(config.json) and a C(rank<N>.safetensors) for each rank.
    The result is identical to that of upstream's converter, bit by bit. This needs no GPU, no container and little
    memory, and works on any Linux machine with Python, such as the control node.
  - With O(converter=upstream), C(convert_checkpoint.py) of the TensorRT-LLM version is run in a container of the
    backend image instead, without network or privileges.
  - The checkpoint is written to O(dest) with C(.partial) appended, verified (configuration, header of each rank's file)
    and renamed. A second run with the same inputs does nothing. After an interrupted run, the next one starts again.
    It is not created if O(src) changes meanwhile.
  - Check mode fails for a model that O(converter=native) would refuse, if O(src) exists already.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.artifact_step
  - tritonops.trtllm.log_patterns
  - tritonops.trtllm.tool_step

options:
  src:
    description:
      - Folder of the model; in the container of O(converter=upstream) it is C(/src) (read-only).
      - For V(native), it must contain C(config.json) and one or more safetensors files. Pickle files (C(.bin), C(.pt))
        are refused, because reading them runs code that they contain.
      - Its inputs are part of the inputs of the checkpoint. If the folder of complete weights was removed to free
        space, its name is used instead.
  converter:
    description:
      - The converter to use.
      - V(native) is the converter of this collection, for Llama, Mistral, Mixtral and Qwen2 in float16, bfloat16 and
        float32, without quantisation, for TensorRT-LLM 0.9.0 to 1.2, the last one with engines.
      - V(upstream) is the converter of the TensorRT-LLM version, for everything else. It needs O(image) and O(command).
    type: str
    choices: [native, upstream]
    default: native
  dtype:
    description:
      - Data type of the checkpoint. V(auto) keeps 16-bit weights and converts 32-bit weights to float16.
      - Finite values that are too large for float16 become infinite, as with upstream's converter. The module warns
        about them and returns their number.
      - For O(converter=native).
    type: str
    choices: [auto, float16, bfloat16, float32]
    default: auto
  tp_size:
    description:
      - Number of ranks that share each layer (tensor parallel). It must divide the number of attention heads. It must
        also divide the number of KV heads, or be a multiple of it; in that case each KV head is on several ranks.
      - For O(converter=native).
    type: int
    default: 1
  pp_size:
    description:
      - Number of stages that the layers are distributed over (pipeline parallel). It must divide the number of layers.
      - For O(converter=native).
    type: int
    default: 1
  moe_tp_size:
    description:
      - Number of the O(tp_size) ranks that share each expert. The default is O(tp_size) divided by O(moe_ep_size).
      - For O(converter=native) and a mixture of experts. Before TensorRT-LLM 0.11.0, it must be 1 or O(tp_size).
    type: int
  moe_ep_size:
    description:
      - Number of the O(tp_size) ranks that the experts are distributed over. The default is O(tp_size) divided by
        O(moe_tp_size), or 1.
      - For O(converter=native) and a mixture of experts. Before TensorRT-LLM 0.11.0, it must be 1 or O(tp_size).
    type: int
  use_parallel_embedding:
    description:
      - Whether to split the embedding over the ranks of a stage, instead of repeating it on each of them.
      - For O(converter=native).
    type: bool
    default: false
  embedding_sharding_dim:
    description:
      - With O(use_parallel_embedding), whether to split rows (the vocabulary, V(0)) or columns (V(1)).
      - For O(converter=native).
    type: int
    choices: [0, 1]
    default: 0
  use_embedding_sharing:
    description:
      - Whether to omit the head if it is the same as the embedding and every rank has the same part of both, for
        TensorRT-LLM 0.14 to 0.16.
      - For O(converter=native).
    type: bool
    default: false
  workers:
    description:
      - Number of threads that read and write. The default is two for each available processor. More than 8 are not
        used, because they only need more memory (with 8, about 350 MB).
      - For O(converter=native).
    type: int
  checksums:
    description:
      - Whether to record the sha256 of the written files, which O(verify) compares. The files are hashed while they are
        written, which needs more processor time than the conversion. It is always done with O(converter=upstream) and
        with O(verify).
      - For O(converter=native).
    type: bool
    default: false
  image:
    description:
      - The backend image to run, by ID or V(repository@sha256:…). Docker must have it already.
      - Required for O(converter=upstream).
    type: str
  command:
    description:
      - The tool and its arguments. It reads from C(/src) and writes to C(/dest).
      - Required for O(converter=upstream).
    type: list
    elements: str
  backend_files:
    description:
      - Clone of the backend on the host, for TensorRT-LLM versions whose image does not contain the examples. In the
        container it is C(/backend) (read-only).
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
- name: Convert Mixtral for eight GPUs, on the control node
  tritonops.trtllm.trtllm_checkpoint:
    src: /srv/models/Mixtral-8x7B-Instruct-v0.1
    dest: /srv/checkpoints/mixtral-tp8
    release: 0.17.0
    dtype: float16
    tp_size: 8
  delegate_to: localhost

- name: Distribute the experts over the GPUs instead of splitting each of them
  tritonops.trtllm.trtllm_checkpoint:
    src: /opt/trtllm/weights/3f2a9c0d1b7e4865
    dest: /opt/trtllm/checkpoint/0c8a4e21f7d3b659
    release: 0.17.0
    dtype: bfloat16
    tp_size: 8
    moe_ep_size: 8
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Quantise the weights to 8 bits, which only upstream's converter can do
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
  description: Why the checkpoint had to be created; V(null) if it existed.
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
  description: Duration in seconds; V(null) if there was nothing to do.
  returned: success
  type: float
  sample: 341.7
world_size:
  description: Number of ranks.
  returned: success
  type: int
  sample: 8
total_size:
  description: Size of all files in bytes.
  returned: success
  type: int
  sample: 93405585408
overflowed:
  description:
    - Number of finite values that became infinite in float16, by tensor of the source.
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

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import check_timeout, ending_within
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
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
    """Check the number of ranks in the configuration, and the header of each rank's file."""
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


def create(module: AnsibleModule) -> dict[str, t.Any]:
    if module.params["converter"] == "upstream":
        return ToolStep(UPSTREAM, module).result()
    misplaced = [name for name in ("image", "command", "backend_files") if module.params[name]]
    if misplaced:
        raise ArtifactError(
            f"{', '.join(misplaced)}: only for converter upstream; do not set it, or set converter to upstream"
        )
    check_timeout(module.params["timeout"])
    with ending_within(module.params["timeout"], lambda: fail_late(module)):
        return NativeStep(module, check_checkpoint).result()


def fail_late(module: AnsibleModule) -> None:
    src, dest, timeout = (module.params[name] for name in ("src", "dest", "timeout"))
    module.fail_json(
        msg=f"the checkpoint {dest} was not finished within {timeout} seconds. If the disks are only slow, increase"
        f" timeout (engine_build_timeout). Otherwise check that the file systems of {src} and {dest} respond, and that"
        " no other run creates it. The next run starts again"
    )


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
    run_module(module, create, f"cannot create {module.params['dest']}")


if __name__ == "__main__":
    main()
