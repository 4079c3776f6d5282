# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that make an artifact from another one."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - Folder of the source. It is mounted read-only as C(/src) in the container of a tool.
      - If the source changes, a new artifact is made. A finished artifact that was removed to free its space is still
        identified by the name of its folder.
    type: path
    required: true
  dest:
    description:
      - Folder to create, with the artifact, the output of the tool in C(tool.log), and C(artifact.json).
    type: path
    required: true
  release:
    description:
      - Version of the TensorRT-LLM backend that the artifact is made for, such as V(0.17.0).
    type: str
    required: true
  verify:
    description:
      - Whether to compare the checksums of the files in O(dest), instead of only names and sizes.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the inputs of the artifact, not its content.
  idempotent:
    support: full
"""
