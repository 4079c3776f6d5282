# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Most hosts of a fleet are equal: equal hosts with equal variables are planned once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

# Only the most recent plans are compared: older ones are rarely shared.
_MOST_COMPARED = 16

Inputs = TypeVar("Inputs")
Plan = TypeVar("Plan")


def plan_equal_hosts_once(
    inputs: Mapping[str, Inputs],
    plan: Callable[[Inputs], Plan],
    group_key: Callable[[Inputs], Any],
    effects: Callable[[Inputs, Plan], Any],
) -> dict[str, Plan]:
    """The plan of each host, in the order of `inputs`. Equal hosts share a plan, which must not be changed.

    `group_key`: the part of a host's inputs that always changes the plan, as plain values. `effects`: how the rest
    affects a plan, such as whether the disk has enough space; hosts with equal effects share the plan.
    """
    groups: dict[str, list[tuple[Any, Any, Plan]]] = {}
    plans: dict[str, Plan] = {}
    for host, own in inputs.items():
        key = group_key(own)
        text = _canonical(key)
        group = groups.setdefault(text, []) if text is not None else []
        # JSON does not distinguish the keys 1 and "1", or tuples and lists; Python does not distinguish 1 and true.
        shared = [made for other, same, made in group[-_MOST_COMPARED:] if other == key and effects(own, made) == same]
        plans[host] = shared[0] if shared else plan(own)
        if not shared:
            group.append((key, effects(own, plans[host]), plans[host]))
    return plans


def _canonical(value: Any) -> str | None:
    """None for values that JSON cannot represent: variables may contain anything."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
