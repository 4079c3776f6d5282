# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that create an artifact from another one."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - Folder with the source; in the container of a tool it is C(/src) (read-only).
      - Its inputs are part of the inputs of the new artifact. If the folder of a complete artifact was removed to free
        space, its name is used instead.
    type: path
    required: true
  dest:
    description:
      - Folder for the new artifact, with C(artifact.json), and the output of a tool in C(tool.log).
    type: path
    required: true
  release:
    description:
      - TensorRT-LLM version that it is made for, such as V(0.17.0).
    type: str
    required: true
  verify:
    description:
      - Whether to verify the hashes of files in an existing O(dest), and not only their names and sizes.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the inputs of the artifact, not its files.
  idempotent:
    support: full
"""
