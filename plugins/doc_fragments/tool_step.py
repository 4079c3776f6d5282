# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that run a tool of TensorRT-LLM in a container."""

    DOCUMENTATION = r"""
options:
  image_digest:
    description:
      - Identifies the image in the inputs, if that is not O(image) itself.
    type: str
  world_size:
    description:
      - Number of ranks (tensor parallel times pipeline parallel). The tool writes a file for each.
    type: int
    default: 1
  gpus:
    description:
      - Indices or UUIDs of the GPUs that the tool may use, or V(all). By default none.
    type: list
    elements: str
    default: []
  shm_size:
    description:
      - Size of C(/dev/shm) in the container, in the format of C(docker run --shm-size).
    type: str
    default: 2g
  ulimits:
    description:
      - Limits in the container, in the format of C(docker run --ulimit).
    type: list
    elements: str
    default: [memlock=-1, stack=67108864]
  env:
    description:
      - Environment variables of the tool. Secrets are not allowed; names that look like secrets are refused.
    type: dict
    default: {}
  user:
    description:
      - Numeric user and group to run the tool as, V(uid) or V(uid:gid). The default is the user of the image.
      - The tool can only write to its output folder and to V(/tmp), which is its working and home folder, in memory.
    type: str
  expected_bytes:
    description:
      - Expected size of the output in bytes, used to check free space and to display progress.
    type: int
  timeout:
    description:
      - Seconds after which the tool or converter is stopped and the module fails. Without a limit, a tool that hangs
        keeps the GPUs, and a converter that waits for a dead file server never ends.
    type: int
    default: 21600
  docker_host:
    description:
      - URL of the Docker daemon. The default is the environment variable E(DOCKER_HOST), or the local socket.
    type: str
requirements:
  - docker >= 7.0 (the Docker SDK for Python)
"""
