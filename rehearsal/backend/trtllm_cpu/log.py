# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log lines in TensorRT-LLM's two formats: that of its Python tools and that of its runtime."""

from __future__ import annotations

import time


def info(text: str) -> None:
    _line("I", text)


def warning(text: str) -> None:
    _line("W", text)


def error(text: str) -> None:
    _line("E", text)


def runtime(severity: str, text: str) -> None:
    print(f"[TensorRT-LLM][{severity}] {text}", flush=True)


def _line(severity: str, text: str) -> None:
    print(f"[{time.strftime('%m/%d/%Y-%H:%M:%S')}] [TRT-LLM] [{severity}] {text}", flush=True)


def clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
