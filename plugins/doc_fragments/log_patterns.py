# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules that explain failures in logs."""

    DOCUMENTATION = r"""
options:
  log_patterns:
    description:
      - The known failures to search for in logs, as JSON. Do not set this in a task.
      - The action plugin of the same name sets it from the collection's catalogue (C(catalogue/log_patterns.yml)).
      - The value is not logged because of its length.
    type: str
"""
