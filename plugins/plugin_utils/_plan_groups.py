# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Hosts of a fleet are mostly alike: what is asked of equal hosts is planned once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

# A plan that none of the last so many shares is hardly shared by one before.
_MOST = 16

Inputs = TypeVar("Inputs")
Plan = TypeVar("Plan")


def plan_equals_once(
    inputs: Mapping[str, Inputs],
    plan: Callable[[Inputs], Plan],
    essence: Callable[[Inputs], Any],
    outcome: Callable[[Inputs, Plan], Any],
) -> dict[str, Plan]:
    """The plan of each host, in the order of `inputs`. Equal hosts share a plan, which must not be changed.

    `essence`: what of a host's input always makes another plan, as plain values. `outcome`: what the rest of it means
    for a plan, such as whether the disk has room; hosts for which it means the same share that plan.
    """
    known: dict[str, list[tuple[Any, Any, Plan]]] = {}
    plans: dict[str, Plan] = {}
    for host, whole in inputs.items():
        given = essence(whole)
        key = _canonical(given)
        alike = known.setdefault(key, []) if key is not None else []
        # JSON writes the keys 1 and "1", tuples and lists alike; to Python 1, 1.0 and true are equal.
        shared = [made for had, came, made in alike[-_MOST:] if had == given and outcome(whole, made) == came]
        plans[host] = shared[0] if shared else plan(whole)
        if not shared:
            alike.append((given, outcome(whole, plans[host]), plans[host]))
    return plans


def _canonical(value: Any) -> str | None:
    """None for what JSON cannot write: variables may hold anything."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
