# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import route_name
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.roll._roll import (
    Turn,
    drained,
    refusals,
    roll_of,
    routes_of,
    servers_of,
)


def roll_turn(
    gateways: t.Any,
    host: str,
    batch: t.Sequence[str],
    names: t.Sequence[str] | None = None,
    served: t.Mapping[str, t.Any] | None = None,
    roll: t.Mapping[str, t.Any] | None = None,
    configured: bool = True,
) -> dict[str, t.Any]:
    if not isinstance(gateways, t.Mapping):
        raise AnsibleFilterError(f"roll_turn requires servers by gateway, not {type(gateways).__name__}")
    routes = {name: route_name(entry["api"], entry["model"]) for name, entry in (served or {}).items() if entry}
    try:
        turn = Turn(host, batch, names, routes, roll_of(roll).min_ready, configured)
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    servers = servers_of(gateways)
    return {
        "servers": drained(turn, servers),
        "refusals": refusals(turn, servers),
        "routes": routes_of(turn, servers),
    }


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"roll_turn": roll_turn}
