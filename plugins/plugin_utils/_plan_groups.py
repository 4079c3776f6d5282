# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Hosts of a fleet are mostly alike: what is asked of equal hosts is planned once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Inputs = TypeVar("Inputs")
Plan = TypeVar("Plan")


def plan_equals_once(
    inputs: Mapping[str, Inputs], plan: Callable[[Inputs], Plan], essence: Callable[[Inputs], Any]
) -> dict[str, Plan]:
    """The plan of each host, in the order of `inputs`. Equal hosts share a plan, which must not be changed.

    `essence`: all of a host's input that makes a difference, as plain values.
    """
    known: dict[str, tuple[Any, Plan]] = {}
    plans: dict[str, Plan] = {}
    for host, whole in inputs.items():
        given = essence(whole)
        key = _canonical(given)
        # JSON writes the keys 1 and "1", tuples and lists alike; to Python 1, 1.0 and true are equal.
        if key is None or key not in known or known[key][0] != given:
            plans[host] = plan(whole)
            if key is not None:
                known[key] = given, plans[host]
        else:
            plans[host] = known[key][1]
    return plans


def _canonical(value: Any) -> str | None:
    """None for what JSON cannot write: variables may hold anything."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None
