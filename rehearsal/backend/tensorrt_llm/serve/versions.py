# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between versions of trtllm-serve, from the collection's catalogue, which the image contains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _layout
from trtllm_cpu import VERSION

CATALOGUE = Path(_layout.__file__).parents[3] / "catalogue"

Version = Mapping[str, Any]


def load_version(name: str = VERSION) -> Version:
    folder = CATALOGUE / "serve"
    path = folder / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yml")))
        raise SystemExit(f"trtllm-serve of TensorRT-LLM {name} cannot be rehearsed (versions: {known})")
    version: Version = _read(path)
    # a version that Triton's images have as well lists the architectures of the LLM API there
    return version if "architectures" in version else {**_read(CATALOGUE / f"releases/{name}.yml")["llmapi"], **version}


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
