# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tensorrt_llm.serve`: trtllm-serve."""

from __future__ import annotations

from .start import main

if __name__ == "__main__":
    main()
