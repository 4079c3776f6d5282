# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._comparison import comparison_lines


def comparison_table(comparison: t.Any) -> list[str]:
    if not isinstance(comparison, t.Mapping):
        raise AnsibleFilterError(
            f"comparison_table requires the result of comparison_report, not {type(comparison).__name__}"
        )
    return list(comparison_lines(comparison))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"comparison_table": comparison_table}
