# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules that check free space, for file systems that will be created or grown."""

    DOCUMENTATION = r"""
options:
  storage:
    description:
      - File systems that will be created or grown before anything is written. For paths below their mount points, this
        free space is used instead of the current one.
    type: list
    elements: dict
    default: []
    suboptions:
      mount:
        description: Where the file system will be mounted.
        type: path
        required: true
      free_bytes:
        description: The free space that it will have, in bytes.
        type: int
        required: true
"""
