# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying others' changes of a file over to what it was before us. Pure."""

from __future__ import annotations

import json
import typing as t
from collections import Counter


def patch_mapping(
    base: t.Mapping[str, t.Any], old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """`base` with what differs between `old` and `new`, key by key."""
    patched = dict(base)
    for key in set(old) | set(new):
        if key not in new:
            patched.pop(key, None)
        elif key not in old or old[key] != new[key]:
            mappings = [side.get(key, {}) for side in (base, old, new)]
            if all(isinstance(side, dict) for side in mappings):
                below = patch_mapping(*mappings)
                # That ours is gone from where nothing was before us must not make the parent.
                if below or key in base or key not in old:
                    patched[key] = below
            else:
                patched[key] = new[key]
    return patched


def patch_json(base: str, old: str, new: str) -> str:
    """As patch_mapping, over texts; where nothing differs the very text stays."""
    parsed = [json.loads(text) if text.strip() else {} for text in (base, old, new)]
    if not all(isinstance(side, dict) for side in parsed):
        raise ValueError("not a JSON object")
    patched = patch_mapping(*parsed)
    if patched == parsed[0]:
        return base
    return json.dumps(patched, indent=4) + "\n"


def patch_lines(base: str, old: str, new: str) -> str:
    """`base` without the lines that `old` has and `new` has not, and with those that are new, at the end."""
    before, after = Counter(old.splitlines()), Counter(new.splitlines())
    taken, added = before - after, after - before
    lines = []
    for line in base.splitlines():
        if taken[line]:
            taken[line] -= 1
        else:
            lines.append(line)
    for line in new.splitlines():
        if added[line]:
            added[line] -= 1
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


PATCHES: dict[str, t.Callable[[str, str, str], str]] = {"json": patch_json, "lines": patch_lines}
