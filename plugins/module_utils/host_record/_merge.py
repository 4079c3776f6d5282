# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-way merges, which apply the changes of others to the earlier content of a file."""

from __future__ import annotations

import json
import typing as t
from collections import Counter


def patch_mapping(
    base: t.Mapping[str, t.Any], old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]
) -> dict[str, t.Any]:
    """Apply the differences between `old` and `new` to `base`, key by key."""
    patched = dict(base)
    for key in set(old) | set(new):
        if key not in new:
            patched.pop(key, None)
        elif key not in old or old[key] != new[key]:
            mappings = [side.get(key, {}) for side in (base, old, new)]
            if all(isinstance(side, dict) for side in mappings):
                nested = patch_mapping(*mappings)
                # If others removed our key, its parent must not be created for that.
                if nested or key in base or key not in old:
                    patched[key] = nested
            else:
                patched[key] = new[key]
    return patched


def patch_json(base: str, old: str, new: str) -> str:
    """The same for the text of JSON objects. Without differences, the text itself is unchanged."""
    parsed = [json.loads(text) if text.strip() else {} for text in (base, old, new)]
    if not all(isinstance(side, dict) for side in parsed):
        raise ValueError("not a JSON object")
    patched = patch_mapping(*parsed)
    if patched == parsed[0]:
        return base
    return json.dumps(patched, indent=4) + "\n"


def patch_lines(base: str, old: str, new: str) -> str:
    """Remove the lines that only `old` has from `base`, and append those that only `new` has."""
    before, after = Counter(old.splitlines()), Counter(new.splitlines())
    removed, added = before - after, after - before
    lines = []
    for line in base.splitlines():
        if removed[line]:
            removed[line] -= 1
        else:
            lines.append(line)
    for line in new.splitlines():
        if added[line]:
            added[line] -= 1
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


PATCHES: dict[str, t.Callable[[str, str, str], str]] = {"json": patch_json, "lines": patch_lines}
