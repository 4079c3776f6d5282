# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What no release needs, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes

ROW = "  {:<11} {:>8}  {}"
HINT = "Remove it with -e trtllm_prune=remove."


def prune_table_of(results: Mapping[str, Mapping[str, Any]], removed: bool) -> list[str]:
    """`results`: what the module prune returned, by host. `removed`: whether it was more than a list."""
    lines = [line for host, result in results.items() for line in _of_host(host, result, removed)]
    found = any(result["removed"] for result in results.values())
    return lines if removed or not found else [*lines, HINT]


def _of_host(host: str, result: Mapping[str, Any], removed: bool) -> Iterator[str]:
    if not result["removed"]:
        yield f"{host}: there is nothing to remove"
    else:
        yield f"{host}: {human_bytes(result['freed_bytes'])} {'were freed' if removed else 'can be freed'}"
    for entry in result["removed"]:
        path = f"{entry['path']}: " if entry["path"] else ""
        yield ROW.format(entry["what"], human_bytes(entry["bytes"]), f"{path}{entry['why']}")
    for entry in result["kept"]:
        yield ROW.format("kept", "", f"{entry['path']}: {entry['why']}")
