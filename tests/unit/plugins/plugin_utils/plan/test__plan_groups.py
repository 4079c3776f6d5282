# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal hosts are planned once, and no host gets a wrong plan."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._plan_groups import plan_equal_hosts_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, host


def nothing(_given: Any, _plan: Any) -> None:
    """Everything that matters is in the essence."""


def planned(*values: Any) -> tuple[list[Any], int]:
    """The plan of each host, and the number of plans. A plan here is the value that it was made from."""
    made = []

    def plan(given: Any) -> list[Any]:
        made.append(given)
        return [given]

    plans = plan_equal_hosts_once(
        {f"host{number}": value for number, value in enumerate(values)}, plan, lambda value: value, nothing
    )
    assert list(plans) == [f"host{number}" for number in range(len(values))]
    return list(plans.values()), len(made)


def test_equal_hosts_share_a_plan() -> None:
    def facts(count: int) -> dict[str, Any]:
        return {"gpus": [{"name": "A100"}] * count}

    plans, made = planned(({"model": "m"}, facts(8)), ({"model": "m"}, facts(4)), ({"model": "m"}, facts(8)))
    assert made == 2
    assert plans[0] is plans[2] and plans[0] is not plans[1]


def test_the_order_of_keys_does_not_matter() -> None:
    assert planned({"a": 1, "b": 2}, {"b": 2, "a": 1})[1] == 1


@pytest.mark.parametrize(
    "pair",
    [(1, True), (1, 1.0), (1, "1"), ({1: 2}, {"1": 2}), ((1, 2), [1, 2]), (None, "null"), ([], {}), ({"a": None}, {})],
    ids=str,
)
def test_values_that_only_look_equal_are_planned_separately(pair: tuple[Any, Any]) -> None:
    plans, made = planned(*pair, *pair)
    assert made >= 2
    for plan, value in zip(plans, (*pair, *pair)):
        assert plan[0] == value and type(plan[0]) is type(value)


@pytest.mark.parametrize("value", [datetime.date(2026, 1, 1), {1: 0, "a": 0}, {b"x"}], ids=str)
def test_values_that_json_cannot_represent_are_planned_each_time(value: Any) -> None:
    assert planned([value], [value])[1] == 2


def test_a_shared_plan_equals_the_plan_of_each_host() -> None:
    request = {"model": "mixtral-8x7b-instruct"}
    facts = {"a": host(), "b": host("BM.GPU.A10.4"), "c": host()}
    plans = plan_equal_hosts_once(
        {name: (request, each) for name, each in facts.items()},
        lambda given: make_plan(*given, CATALOGUE),
        lambda given: given,
        nothing,
    )
    assert plans == {name: make_plan(request, each, CATALOGUE) for name, each in facts.items()}
    assert plans["a"] is plans["c"]


def test_facts_with_the_same_effect_share_a_plan() -> None:
    """Only the tens of a host matter, and for a plan whether the remainder is small."""
    made = []

    def plan(given: int) -> int:
        made.append(given)
        return given

    hosts = {f"h{number}": number for number in (11, 12, 19, 13, 18, 21, 22)}
    plans = plan_equal_hosts_once(hosts, plan, lambda given: given // 10, lambda given, _plan: given % 10 < 5)
    assert made == [11, 19, 21]
    assert list(plans.values()) == [11, 11, 19, 11, 19, 21, 21]
