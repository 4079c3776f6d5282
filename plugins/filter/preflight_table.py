# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._preflight_report import table_of


def preflight_table(reports: t.Any) -> list[str]:
    if not isinstance(reports, t.Mapping):
        raise AnsibleFilterError(f"preflight_table requires reports by host, not {type(reports).__name__}")
    return table_of(reports)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"preflight_table": preflight_table}
