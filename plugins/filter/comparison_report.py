# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._comparison import comparison_of


def comparison_report(old: t.Any, new: t.Any, limits: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    for side in (old, new):
        if not isinstance(side, t.Mapping) or "completions" not in side:
            raise AnsibleFilterError("comparison_report requires two deployments with the results of completions_info")
    return comparison_of(old, new, limits or {})


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"comparison_report": comparison_report}
