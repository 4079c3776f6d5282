# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option for file systems that do not exist yet, of the modules that check free space."""

    DOCUMENTATION = r"""
options:
  storage:
    description:
      - File systems that will be created or grown before anything is written. Their free space is used for paths below
        their mount points, instead of the current free space.
    type: list
    elements: dict
    default: []
    suboptions:
      mount:
        description: Mount point of the file system.
        type: path
        required: true
      free_bytes:
        description: Future free space on it, in bytes.
        type: int
        required: true
"""
