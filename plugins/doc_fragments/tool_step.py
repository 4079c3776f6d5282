# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that run a tool in a container of the backend image."""

    DOCUMENTATION = r"""
options:
  image_digest:
    description:
      - Digest that identifies the image, if it is not in O(image).
    type: str
  world_size:
    description:
      - Number of ranks (tensor parallelism times pipeline parallelism). The tool must write a file for each.
    type: int
    default: 1
  gpus:
    description:
      - GPUs that the tool may use, as indices or UUIDs, or V(all). If empty, it has no GPUs.
    type: list
    elements: str
    default: []
  shm_size:
    description:
      - Size of C(/dev/shm) in the container, in the notation of C(docker run --shm-size).
    type: str
    default: 2g
  ulimits:
    description:
      - Limits in the container, in the notation of C(docker run --ulimit).
    type: list
    elements: str
    default: [memlock=-1, stack=67108864]
  env:
    description:
      - Environment variables of the tool. They must not contain secrets; names that look like secrets are refused.
    type: dict
    default: {}
  user:
    description:
      - User and group to run the tool as, as numbers, in the form V(uid) or V(uid:gid). Defaults to the image's user.
    type: str
  expected_bytes:
    description:
      - Approximate size of the output, in bytes. It is used for the progress and to check free space in advance.
    type: int
  docker_host:
    description:
      - URL of the Docker daemon. Defaults to the environment variable E(DOCKER_HOST), or to the local socket.
    type: str
requirements:
  - docker >= 7.0 (the Docker SDK for Python)
"""
