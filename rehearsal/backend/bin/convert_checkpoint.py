# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for upstream's `convert_checkpoint.py`; see trtllm_cpu/tools.py."""

from __future__ import annotations

import sys

from trtllm_cpu.tools import convert_checkpoint

if __name__ == "__main__":
    sys.exit(convert_checkpoint())
