# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that compare with free space are told of file systems to come."""

    DOCUMENTATION = r"""
options:
  storage:
    description:
      - File systems that are going to be made, or to grow, before anything is written. Their free space counts in place
        of what is measured for paths below their mount points.
    type: list
    elements: dict
    default: []
    suboptions:
      mount:
        description: Where the file system will be mounted.
        type: path
        required: true
      free_bytes:
        description: What will be free on it, in bytes.
        type: int
        required: true
"""
