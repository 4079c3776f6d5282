# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that run a tool of the release in its container have in common."""

    DOCUMENTATION = r"""
options:
  image_digest:
    description:
      - What identifies the image, when that is not O(image) itself.
    type: str
  world_size:
    description:
      - Number of ranks (tensor parallel times pipeline parallel), each of which leaves a file.
    type: int
    default: 1
  gpus:
    description:
      - GPUs the tool may use, as indices or UUIDs, or V(all). None if empty.
    type: list
    elements: str
    default: []
  shm_size:
    description:
      - Size of C(/dev/shm) in the container, as C(docker run --shm-size) takes it.
    type: str
    default: 2g
  ulimits:
    description:
      - Limits in the container, as C(docker run --ulimit) takes them.
    type: list
    elements: str
    default: [memlock=-1, stack=67108864]
  env:
    description:
      - Environment of the tool. Nothing secret may be in it; names that look so are refused.
    type: dict
    default: {}
  user:
    description:
      - User and group to run the tool as, in numbers, as V(uid) or V(uid:gid). If not given, the image's own.
    type: str
  expected_bytes:
    description:
      - About how many bytes the tool will write. Progress is measured by it, and free space is checked before.
    type: int
  docker_host:
    description:
      - URL of the Docker engine. If not given, the environment variable E(DOCKER_HOST), or the local socket.
    type: str
requirements:
  - docker >= 7.0 (the Docker SDK for Python)
"""
