# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tensorrt_llm model when `triton_backend` is "python"; with "tensorrtllm" the backend's own file is used."""

from trtllm_cpu.serving import TritonPythonModel

__all__ = ["TritonPythonModel"]
