# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._prune_table import prune_table_of


def prune_table(results: t.Any, removed: bool = False) -> list[str]:
    if not isinstance(results, t.Mapping):
        raise AnsibleFilterError(f"prune_table requires results by host, not {type(results).__name__}")
    return prune_table_of(results, removed)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"prune_table": prune_table}
