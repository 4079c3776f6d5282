# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._preflight_report import report_of


def preflight_report(found: t.Any, waive: t.Iterable[str] = (), refusals: t.Iterable[t.Any] = ()) -> dict[str, t.Any]:
    if not isinstance(found, t.Mapping):
        raise AnsibleFilterError(f"preflight_report requires the result of preflight_info, not {type(found).__name__}")
    return report_of(found, waive, refusals)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"preflight_report": preflight_report}
