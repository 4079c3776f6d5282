# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.benchmark._benchmark import (
    entry_key,
    figure_lines,
    report_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._benchmark_page import benchmark_page


def benchmark_report(
    levels: t.Any,
    plan: t.Mapping[str, t.Any],
    settings: t.Mapping[str, t.Any],
    about: t.Mapping[str, t.Any],
    baseline: t.Mapping[str, t.Any] | None = None,
    samples: t.Sequence[t.Iterable[str]] = (),
) -> dict[str, t.Any]:
    if not isinstance(levels, t.Sequence) or not levels:
        raise AnsibleFilterError("benchmark_report requires the levels that the module benchmark returns")
    report = report_of(levels, plan, settings, baseline or None, samples, **about)
    return {
        "entry": {entry_key(plan, settings["hosts"]): report},
        "page": benchmark_page(report),
        "text": "\n".join(figure_lines(report)),
        "regressions": report["regressions"],
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"benchmark_report": benchmark_report}
