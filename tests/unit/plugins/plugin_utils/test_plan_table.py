# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._plan_table import plan_table
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, host, plan_for


def rows(plan: dict[str, Any]) -> dict[str, list[str]]:
    """The words of each line, by its first."""
    return {words[0]: words[1:] for line in plan_table({"one": plan}).splitlines() if (words := line.split())}


def test_a_plan_says_what_is_done_how_large_it_is_and_what_it_leaves() -> None:
    table = rows(accepted(model="mixtral-8x7b", parallelism={"tensor": 8}))
    assert table["image"][:3] == ["pull", "50", "GB"] and table["image"][3].startswith("nvcr.io/")
    assert table["weights"] == ["fetch", "93.4", "GB", "mistralai/Mixtral-8x7B-v0.1", "at", "fc7ac94680e3"]
    assert table["checkpoint"][0] == "convert" and table["engine"][0] == "build"
    assert " ".join(table["service"]).startswith("start grpc at 127.0.0.1:8001, http at 127.0.0.1:8000")
    assert " ".join(table["KV"]) == "cache 1583488 tokens of 16 KiB: 773 sequences of 2048 tokens at once"
    assert "40.0 GiB: runtime 1.5 GiB, weights 11.1 GiB" in " ".join(table["each"])
    assert " ".join(table["disk"]).endswith("in all")
    assert " ".join(table["convert"]) == "native: cuts and casts the safetensors, without a GPU or a container"
    assert table["memory"][:2] == ["1.07", "GB"]
    assert table["exposure"][1:3] == ["known", "vulnerabilities"]


def test_what_is_there_has_no_size() -> None:
    key = accepted()["artifacts"]["weights"]["key"]
    assert rows(accepted(host(artifacts=[f"weights/{key}"])))["weights"][0:2] == [
        "reuse",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ]


def test_a_host_that_is_not_known_has_no_budget_of_gpus() -> None:
    table = rows(accepted({}, gpus_required=False, profile="llmapi"))
    assert not {"each", "KV", "memory", "convert", "checkpoint", "engine"} & set(table)
    assert table["warning"]


def test_weights_of_a_folder_are_named_by_it() -> None:
    assert rows(accepted(weights={"path": "/srv/mixtral"}))["weights"][-1] == "/srv/mixtral"


def test_hosts_with_the_same_plan_share_a_table() -> None:
    same, other = accepted(), accepted(model="llama-3.1-8b")
    table = plan_table({"a": same, "b": other, "c": same, **{f"d{number}": same for number in range(10)}})
    heads = [line for line in table.splitlines() if line.startswith("==")]
    assert heads == ["== a, c, d0, d1, d2 and 7 more", "== b"]


def test_refusals_are_all_there_is() -> None:
    plan = plan_for(precision="int3", root="x", server={"address": "0.0.0.0"})
    lines = plan_table({"one": plan}).splitlines()
    assert lines[:2] == ["== one", "This cannot work:"]
    assert [line.split(" = ")[0] for line in lines[2:]] == ["- trtllm_precision", "- trtllm_root"]


def test_a_refusal_says_how_it_is_accepted() -> None:
    table = plan_table({"one": plan_for(server={"address": "0.0.0.0"})})
    assert table.endswith("(or accept it: trtllm_waive: [exposed_vulnerable_release])")


@pytest.mark.parametrize("release", CATALOGUE.releases)
@pytest.mark.parametrize("shape", ["BM.GPU4.8", "rehearsal"])
def test_any_plan_can_be_shown(release: str, shape: str) -> None:
    for profile in ("engine", "llmapi"):
        request = {"release": release, "profile": profile, "image": IMAGE, "gpus_required": False}
        assert plan_table({"one": plan_for(host(shape), **request)}).startswith("== one\n")
