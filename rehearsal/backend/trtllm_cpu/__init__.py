# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorRT-LLM's work on GPUs, done with NumPy on a CPU, with the same files and command lines.

The rehearsal's backend image installs this package. `convert_checkpoint.py` and `trtllm-build` write upstream's
checkpoint and engine folders with it, and the Triton backend named "tensorrtllm" runs the network in them.
"""

from __future__ import annotations

import os

VERSION = os.environ.get("TRTLLM_VERSION", "1.2.1")
