# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.benchmark._benchmark import (
    CannotMeasure,
    check_comparable,
    settings_of,
)


def benchmark_settings(
    plan: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any], hosts: int = 1, baseline: t.Any = None
) -> dict[str, t.Any]:
    try:
        settings = settings_of(plan, given, hosts)
        if baseline:
            check_comparable(settings, baseline)
    except CannotMeasure as exc:
        raise AnsibleFilterError(f"cannot measure: {exc}") from exc
    return settings


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"benchmark_settings": benchmark_settings}
