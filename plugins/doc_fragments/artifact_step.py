# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that make one artifact out of another have in common."""

    DOCUMENTATION = r"""
options:
  src:
    description:
      - Folder with what is read; a tool in a container sees it read-only as C(/src).
      - What went into it is part of what makes a new artifact necessary. When the folder of a finished artifact was
        removed to free its space, its name still stands for it.
    type: path
    required: true
  dest:
    description:
      - Folder that will hold what is made, a tool's output as C(tool.log), and C(artifact.json).
    type: path
    required: true
  release:
    description:
      - Release of the TensorRT-LLM backend that it is made for, such as V(0.17.0).
    type: str
    required: true
  verify:
    description:
      - Hash the files of a finished O(dest) again, instead of looking at names and sizes only.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what identifies the artifact, not its content.
  idempotent:
    support: full
"""
