# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, merging and writing the Docker engine's daemon.json. Pure, except for reading the file."""

from __future__ import annotations

import copy
import json
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure


def parse(text: str, path: str) -> dict[str, t.Any]:
    """The configuration in the text. The engine takes an empty file for an empty configuration, so do we."""
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ModuleFailure(
            f"{path} is not valid JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}."
            " It was left as it is: repair it, or move it away to start afresh."
        ) from exc
    if not isinstance(config, dict):
        raise ModuleFailure(
            f"{path} holds a JSON {type(config).__name__} where the engine expects an object."
            " It was left as it is: repair it, or move it away."
        )
    return config


def read(path: str) -> str | None:
    """The file's text, or None when there is none."""
    try:
        # The engine skips a byte order mark too.
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ModuleFailure(f"{path} cannot be read: {exc}") from exc


def merge(current: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Objects are merged, everything else is replaced, a null removes the key; what is not mentioned stays."""
    merged = copy.deepcopy(dict(current))
    for key, value in wanted.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged_below = merge(below if isinstance(below, dict) else {}, value)
            # Removing a key below a parent that is not there must not make the parent.
            if merged_below or key in merged or not value:
                merged[key] = merged_below
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def dump(config: t.Mapping[str, t.Any]) -> str:
    """As nvidia-ctk writes it (four spaces), so that a person's diff shows what changed and no more."""
    return json.dumps(config, indent=4) + "\n"
