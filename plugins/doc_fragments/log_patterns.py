# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules that explain a log are told of known failures."""

    DOCUMENTATION = r"""
options:
  log_patterns:
    description:
      - The known failures that are looked for in logs, as JSON. Not meant to be set in a task.
      - The module's action plugin fills it in from the collection's catalogue (C(catalogue/log_patterns.yml)).
      - Its value is not logged, because of its length.
    type: str
"""
