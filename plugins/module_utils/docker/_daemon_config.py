# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads, merges and formats Docker's daemon.json."""

from __future__ import annotations

import copy
import json
import typing as t


class DaemonConfigError(Exception):
    """The file cannot be read, or is not a JSON object."""


def parse(text: str, path: str) -> dict[str, t.Any]:
    """The configuration in the text. An empty file is an empty configuration, as it is for Docker."""
    if not text.strip():
        return {}
    try:
        config = json.loads(text)
    except json.JSONDecodeError as exc:
        raise DaemonConfigError(
            f"{path} is not valid JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}."
            " It was not changed: repair it, or move it away to start with an empty configuration."
        ) from exc
    if not isinstance(config, dict):
        raise DaemonConfigError(
            f"{path} contains a JSON {type(config).__name__}, but Docker expects an object."
            " It was not changed: repair it, or move it away."
        )
    return config


def read(path: str) -> str | None:
    """The file's text; None if it does not exist."""
    try:
        # Docker skips a byte order mark, too.
        with open(path, encoding="utf-8-sig") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise DaemonConfigError(f"{path} cannot be read: {exc}") from exc


def merge(current: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Merge `wanted` into `current`: objects are merged, other values replaced, and null removes a key."""
    merged = copy.deepcopy(dict(current))
    for key, value in wanted.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged_below = merge(below if isinstance(below, dict) else {}, value)
            # Removing a key must not create a missing parent.
            if merged_below or key in merged or not value:
                merged[key] = merged_below
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def dump(config: t.Mapping[str, t.Any]) -> str:
    """The text of the file, indented like nvidia-ctk's, so that a diff only shows actual changes."""
    return json.dumps(config, indent=4) + "\n"
