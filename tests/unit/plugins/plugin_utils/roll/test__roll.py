# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.filter.roll_turn import roll_turn
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import wrong_values
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.roll._roll import Roll, batches, roll_of


def sizes(hosts: int, **options: Any) -> list[int]:
    roll = roll_of(options)
    return [len(batch) for batch in batches({f"gpu{number:03d}": roll for number in range(hosts)})]


@pytest.mark.parametrize(
    ("hosts", "options", "expected"),
    [
        (0, {}, []),
        (3, {}, [1, 1, 1]),
        (5, {"batch": 2}, [2, 2, 1]),
        (5, {"batch": "2", "canary": "1"}, [1, 2, 2]),
        (10, {"batch": "25%", "canary": 1}, [1, 2, 2, 2, 2, 1]),
        (3, {"batch": "10%"}, [1, 1, 1]),
        (3, {"batch": "100%"}, [3]),
        (2, {"batch": 1, "canary": 5}, [2]),
        (4, {"batch": 2, "canary": None, "min_ready": None, "pause": None}, [2, 2]),
    ],
)
def test_batches(hosts: int, options: dict[str, Any], expected: list[int]) -> None:
    assert sizes(hosts, **options) == expected


def test_hosts_with_other_options_roll_later() -> None:
    one, two = Roll(), Roll(batch="2", canary=1)
    hosts = {"d": two, "c": one, "b": two, "a": one, "e": two}
    assert batches(hosts) == [["a"], ["c"], ["b"], ["d", "e"]]


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": "0%"}, "batch"),
        ({"batch": "101%"}, "batch"),
        ({"batch": "half"}, "batch"),
        ({"batch": "-1"}, "batch"),
        ({"batch": 1.5}, "batch"),
        ({"canary": 0}, "canary"),
        ({"min_ready": -1}, "min_ready"),
        ({"pause": -1}, "pause"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], variable: str) -> None:
    with pytest.raises(ValueError, match=f"trtllm_roll.{variable} = "):
        roll_of(options)
    (refusal,) = wrong_values({"trtllm_roll": options})
    assert refusal.variable == f"trtllm_roll.{variable}"


@pytest.mark.parametrize("options", [{"pause": "soon"}, {"bach": 1}, [1], "1"])
def test_other_types_and_names_are_refused_by_the_plan(options: Any) -> None:
    assert [refusal.variable.split(".")[0] for refusal in wrong_values({"trtllm_roll": options})] == ["trtllm_roll"]


def test_right_options_are_not_refused() -> None:
    given = {"batch": "25%", "canary": 1, "min_ready": 0, "pause": 300}
    assert list(wrong_values({"trtllm_roll": given})) == []
    assert roll_of(given) == Roll("25%", 1, 0, 300)


def server(host: str, state: str = "ready", status: str = "UP", route: str = "openai-chat") -> dict[str, Any]:
    return {"host": host, "deployment": "default", "backend": route, "state": state, "status": status}


THREE = [server("gpu1"), server("gpu2"), server("gpu3")]


def turn(servers: list[dict[str, Any]] | None, host: str = "gpu1", **options: Any) -> dict[str, Any]:
    options = {"batch": [host], **options}
    return roll_turn({"gateway1": servers}, host, **options)


def test_a_host_leaves_if_enough_others_are_in_rotation() -> None:
    found = turn(THREE)
    assert found == {
        "servers": [{"gateway": "gateway1", "deployment": "default", "ready": True, "stays": True}],
        "refusals": [],
        "routes": {"gateway1": ["openai-chat"]},
    }


@pytest.mark.parametrize(
    ("servers", "options", "words"),
    [
        (THREE, {"roll": {"min_ready": 3}}, "without gpu1, 2 of the 3 hosts"),
        (THREE, {"batch": ["gpu1", "gpu2", "gpu3"]}, "(with gpu1, gpu2, gpu3 in one batch), 0 of the 1 hosts"),
        ([server("gpu1"), server("gpu2", status="DOWN")], {}, "; gpu2 is not in rotation"),
        ([server("gpu1"), server("gpu2", state="drain"), server("gpu3", state="maint")], {}, "gpu2, gpu3 are not in"),
        ([server("gpu1")], {"roll": {"min_ready": 1}}, "0 of the 1 hosts"),
    ],
)
def test_a_host_stays_if_too_few_others_are_in_rotation(
    servers: list[dict[str, Any]], options: dict[str, Any], words: str
) -> None:
    (refusal,) = turn(servers, **options)["refusals"]
    assert refusal.startswith("gateway gateway1: ") and words in refusal


@pytest.mark.parametrize(
    ("servers", "options"),
    [
        # The only host of its route: without it, it could never be changed.
        ([server("gpu1")], {}),
        # It gets no requests, and may be what has to be repaired.
        ([server("gpu1", status="DOWN"), server("gpu2", status="DOWN")], {}),
        ([server("gpu1", state="drain"), server("gpu2", status="DOWN")], {}),
        (THREE, {"roll": {"min_ready": "0"}, "batch": ["gpu1", "gpu2", "gpu3"]}),
        ([server("gpu1"), server("gpu2", status="no check")], {}),
        ([], {}),
        (None, {}),
    ],
)
def test_a_host_leaves_if_that_takes_nothing_away(
    servers: list[dict[str, Any]] | None, options: dict[str, Any]
) -> None:
    assert turn(servers, **options)["refusals"] == []


def test_only_the_named_deployments_leave() -> None:
    others = [{**server("gpu1"), "deployment": "small", "backend": "openai-small"}, *THREE]
    assert [entry["deployment"] for entry in turn(others, names=["small"])["servers"]] == ["small"]
    assert turn(others, names=[])["servers"] == []
    assert [entry["deployment"] for entry in turn(others)["servers"]] == ["small", "default"]


def test_each_gateway_is_asked() -> None:
    found = roll_turn({"a": THREE, "b": [server("gpu1", state="drain"), server("gpu2")], "c": None}, "gpu1", ["gpu1"])
    assert [(entry["gateway"], entry["ready"]) for entry in found["servers"]] == [("a", True), ("b", False)]


def test_a_deployment_that_changes_its_route_does_not_roll() -> None:
    served = {"default": {"api": "openai", "model": "org/new"}}
    found = turn(THREE, served=served)
    assert "from the route openai-chat to openai-org:new" in found["refusals"][0]
    accepted = turn(THREE, served=served, roll={"min_ready": 0})
    assert accepted["refusals"] == [] and accepted["routes"] == {} and not accepted["servers"][0]["stays"]
    assert turn([server("gpu1")], served=served)["refusals"] == []
    assert "run site" in turn(THREE, served=served, roll={"min_ready": 0}, configured=False)["refusals"][0]
    assert turn(THREE, served={"default": {"api": "openai", "model": "chat"}})["refusals"] == []
