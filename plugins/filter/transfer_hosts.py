# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fanout import transfer_hosts


def checked(peers: t.Any, found: t.Any, maker: t.Any) -> dict[str, t.Any]:
    if not isinstance(found, t.Mapping):
        raise AnsibleFilterError(f"transfer_hosts requires the artifacts by host, not {type(found).__name__}")
    return transfer_hosts(list(peers), found, str(maker))


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"transfer_hosts": checked}
