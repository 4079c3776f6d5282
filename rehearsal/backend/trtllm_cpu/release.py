# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between TensorRT-LLM versions, as data: `flags/<version>.json`.

They have three tables of flags (see cli.py), the keys of the engine's config.json, and the meaning of unfilled
placeholders. In the table of keys a string that starts with "$" stands for the value of that name.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import VERSION

Table = Mapping[str, Any]


@functools.lru_cache
def load_tables(release: str = VERSION) -> dict[str, Table]:
    path = Path(__file__).parent / "flags" / f"{release}.json"
    tables: dict[str, Table] = json.loads(path.read_text(encoding="utf-8"))
    return tables


def fill(template: Any, values: Table) -> Any:
    """The template with every "$name" replaced by that value."""
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, str) and template.startswith("$"):
        return values[template[1:]]
    return template
