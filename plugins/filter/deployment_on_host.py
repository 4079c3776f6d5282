# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._comparison import placed


def deployment_on_host(wanted: t.Any, there: t.Any) -> dict[str, str]:
    if not isinstance(there, t.Mapping):
        raise AnsibleFilterError(f"deployment_on_host requires deployments by host, not {type(there).__name__}")
    return placed(str(wanted), there)


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"deployment_on_host": deployment_on_host}
