# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._status import status_of


def status_report(results: t.Any) -> list[dict[str, t.Any]]:
    if not isinstance(results, t.Mapping):
        raise AnsibleFilterError(f"status_report requires results by host, not {type(results).__name__}")
    return status_of(results)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"status_report": status_report}
