# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prune found, as text."""

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._prune_table import HINT, prune_table_of

ENGINE = {"what": "engine", "path": "/opt/trtllm/engine/x", "why": "no release needs it", "bytes": 95 * 10**9}
CACHE = {"what": "build cache", "path": "", "why": "builds can make it again", "bytes": 7 * 10**9}
KEPT = {"path": "/opt/trtllm/weights/y.partial", "why": "a process or another run uses it"}
FOUND = {"removed": [ENGINE, CACHE], "kept": [KEPT], "freed_bytes": 102 * 10**9}
EMPTY = {"removed": [], "kept": [], "freed_bytes": 0}


def test_a_list_says_what_to_do() -> None:
    assert prune_table_of({"gpu1": FOUND, "gpu2": EMPTY}, removed=False) == [
        "gpu1: 102 GB can be freed",
        "  engine         95 GB  /opt/trtllm/engine/x: no release needs it",
        "  build cache     7 GB  builds can make it again",
        "  kept                  /opt/trtllm/weights/y.partial: a process or another run uses it",
        "gpu2: there is nothing to remove",
        HINT,
    ]


def test_what_was_removed() -> None:
    assert prune_table_of({"gpu1": FOUND}, removed=True)[0] == "gpu1: 102 GB were freed"
    assert HINT not in prune_table_of({"gpu1": FOUND}, removed=True)
    assert prune_table_of({"gpu1": EMPTY}, removed=False) == ["gpu1: there is nothing to remove"]
