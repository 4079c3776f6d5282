# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits that a request leaves open."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _limits
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape, read_host_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._limits import OPEN, nominal_memory
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    host,
    host_of,
    plan_for,
    shape_of,
    warned,
)

MIB = 1 << 20
GPUS = [shape for shape in CATALOGUE.shapes if shape != "rehearsal"]


def limits(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = accepted(facts, **request)["limits"]
    return {name: found[name] for name in OPEN}


def gpus(name: str, mib: int, count: int = 8) -> dict[str, Any]:
    return host(gpus=[{"name": name, "memory_mib": mib, "compute_capability": "8.0"}] * count)


@pytest.mark.parametrize(("model", "shape"), list(product(CATALOGUE.models, GPUS)))
def test_open_limits_are_powers_of_two_that_fit(model: str, shape: str) -> None:
    plan = plan_for(host(shape), model=model)
    if plan["refusals"]:
        return
    chosen, gpu, positions = plan["limits"], plan["budget"]["gpu"], shape_of(model).max_positions
    assert plan["chosen_limits"] == list(OPEN)
    assert all(chosen[name] & (chosen[name] - 1) == 0 for name in OPEN)
    assert chosen["max_input_len"] < chosen["max_seq_len"] <= positions
    assert chosen["max_input_len"] <= chosen["max_num_tokens"] >= chosen["max_batch_size"]
    assert 1 <= chosen["max_batch_size"] <= gpu["sequences"]
    # Twice as many would not fit, unless there are as many as there are in any case.
    assert gpu["sequences"] < 2 * chosen["max_batch_size"] or chosen["max_batch_size"] == _limits.MOST_SEQUENCES
    # Twice as long would be too long for the model, or for many of them.
    assert 2 * chosen["max_seq_len"] > positions or gpu["kv_tokens"] < 2 * 64 * chosen["max_seq_len"]


def test_limits_of_a_known_plan() -> None:
    """By hand: 1.58 M tokens / 64 sequences are 24.7 thousand tokens, so 16384, of which 96 fit."""
    assert limits() == {
        "max_batch_size": 64,
        "max_input_len": 8192,
        "max_seq_len": 16384,
        "max_num_tokens": 8192,
    }


def test_what_is_set_stays_and_the_rest_is_chosen_for_it() -> None:
    assert limits(limits={"max_batch_size": 8})["max_seq_len"] == 32768
    assert limits(limits={"max_seq_len": 2000}) == {
        "max_batch_size": 256,
        "max_input_len": 512,
        "max_seq_len": 2000,
        "max_num_tokens": 8192,
    }
    # A step has a whole prompt, and a sequence has room for an answer.
    long = limits(limits={"max_input_len": 16384})
    assert (long["max_num_tokens"], long["max_seq_len"]) == (16384, 32768)
    assert limits(limits={"max_num_tokens": 4})["max_batch_size"] == 4
    assert limits(limits={"max_beam_width": 4})["max_seq_len"] == 4096


@pytest.mark.parametrize(
    ("profile", "name"), [("engine", "enable_chunked_context"), ("llmapi", "enable_chunked_prefill")]
)
def test_prompts_in_chunks_can_be_longer_than_a_step(profile: str, name: str) -> None:
    request: dict[str, Any] = {"profile": profile, "limits": {"max_seq_len": 32768}}
    assert limits(**request)["max_input_len"] == 8192
    chunks = {"repository_parameters": {"tensorrt_llm": {name: True}}}
    assert limits(**request, **chunks)["max_input_len"] == 16384
    long = limits(profile=profile, limits={"max_input_len": 20000}, **chunks)
    assert (long["max_num_tokens"], long["max_seq_len"]) == (8192, 32768)


def test_set_limits_are_not_changed() -> None:
    given = {"max_batch_size": 3, "max_input_len": 7, "max_seq_len": 11, "max_num_tokens": 13}
    plan = accepted(limits=given)
    assert limits(limits=given) == given and plan["chosen_limits"] == []
    assert "chosen_for" not in plan["model_repo"]["release"]["manifest"]["limits"]


def test_less_memory_leaves_less() -> None:
    """Smaller steps and shorter sequences are better than one request at a time, or than no plan."""
    request: dict[str, Any] = {"model": "llama-3.1-8b", "parallelism": {"tensor": 1}}
    sizes = [limits(gpus("NVIDIA X", mib, 1), **request) for mib in (17600, 20 << 10, 24 << 10, 80 << 10)]
    assert [size["max_num_tokens"] for size in sizes] == [2048, 8192, 8192, 8192]
    assert [size["max_batch_size"] for size in sizes] == [1, 8, 16, 64]
    assert [size["max_seq_len"] for size in sizes] == [1024, 2048, 2048, 4096]
    assert limits(gpus("NVIDIA X", 18 << 10, 1), **request)["max_batch_size"] == 8


def test_tensors_are_small_enough_for_tensorrt() -> None:
    def chosen(**changes: int) -> dict[str, Any]:
        shape = {**vars(shape_of("llama-3.1-8b")), "layers": 1, **changes}
        model = {"repository": "me/wide", "revision": "main", "architecture": "LlamaForCausalLM", "shape": shape}
        return limits(gpus("NVIDIA X", 1 << 20), model=model)

    assert chosen(ffn=1 << 18)["max_num_tokens"] == 2048
    assert chosen(vocab=1 << 24)["max_batch_size"] == 64


def test_without_known_gpus_there_are_small_limits() -> None:
    small = {"max_batch_size": 8, "max_input_len": 1024, "max_seq_len": 2048, "max_num_tokens": 8192}
    assert limits(host("rehearsal"), model="smollm2-135m-instruct", gpus_required=False) == small
    assert limits({"gpus": [{"name": "NVIDIA GB10"}]}, model="tinyllama-1.1b-chat") == small


def test_the_limits_of_an_existing_engine_must_be_set() -> None:
    """What it was built for is not known."""
    engine = {"engine_dir": "/srv/engine", "image": IMAGE}
    assert limits(**engine) == limits(host("rehearsal"), model="smollm2-135m-instruct", gpus_required=False)
    assert warned("trtllm_limits without max_input_len, max_seq_len", limits={"max_batch_size": 4}, **engine)
    assert not warned("trtllm_limits", limits=limits(), **engine)


# --- the same limits for all hosts and runs ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", GPUS)
def test_a_live_host_gets_the_limits_of_its_shape(shape: str) -> None:
    """What drivers report differs a little."""
    facts = facts_of_shape(CATALOGUE.shapes[shape])
    for mib in (-424, -200, 0, 51):
        live = [{**gpu, "memory_mib": gpu["memory_mib"] + mib} for gpu in facts["gpus"]]
        assert limits({**facts, "gpus": live}, model="mistral-7b") == limits(facts, model="mistral-7b")


def test_memory_of_gpus_that_no_shape_has_is_rounded() -> None:
    def nominal(name: str, mib: int) -> int | None:
        known, _wrong = read_host_facts(gpus(name, mib))
        found = nominal_memory(known, CATALOGUE)
        return found // MIB if found else found

    assert nominal("NVIDIA A100-SXM4-40GB", 40500) == 40960
    assert nominal("NVIDIA X", 40500) == nominal("NVIDIA X", 39000) == 38 << 10
    # An A100 that is split, or something else with this name.
    assert nominal("NVIDIA A100-SXM4-40GB", 20000) == 18 << 10


def served(**request: Any) -> dict[str, Any]:
    """The facts of a host that serves the plan of this request, as trtllm_host_info returns them."""
    plan = accepted(**request)
    return {"deployments": {"default": plan["release_id"]}, "limits": {"default": _recorded(plan)}}


def _recorded(plan: dict[str, Any]) -> Any:
    return plan["model_repo"]["release"]["manifest"]["limits"]


def test_a_later_run_keeps_the_engine_if_the_arithmetic_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    request: dict[str, Any] = {"limits": {"kv_cache_fraction": 0.8}}
    before, facts = accepted(**request), host(**served(**request))
    monkeypatch.setattr(_limits, "WANTED_SEQUENCES", 16)
    fresh, later = accepted(**request), accepted(facts, **request)
    assert fresh["limits"] != before["limits"] == later["limits"]
    assert later["artifacts"]["engine"]["key"] == before["artifacts"]["engine"]["key"]
    assert later["release_id"] == before["release_id"] and _recorded(later) == _recorded(before)
    # The release after that has them too.
    assert accepted(host(limits={"default": _recorded(later)}), **request)["limits"] == before["limits"]


@pytest.mark.parametrize(
    "other",
    [
        {"limits": {"max_batch_size": 16}},
        {"release": "0.21.0"},
        {"model": "mixtral-8x7b"},
        {"precision": "bfloat16"},
        {"parallelism": {"tensor": 4}},
        {"profile": "llmapi"},
        {"build_options": {"tokens_per_block": 128}},
    ],
)
def test_another_request_gets_other_limits(other: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    facts = host(**served())
    monkeypatch.setattr(_limits, "WANTED_SEQUENCES", 16)
    assert accepted(facts, image=IMAGE, **other)["limits"] == accepted(image=IMAGE, **other)["limits"]


def test_larger_gpus_of_the_same_name_get_other_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (gpus("NVIDIA A100", mib) for mib in (40960, 81920))
    recorded = {"default": _recorded(accepted(small))}
    assert limits({**large, "limits": recorded}) == limits(large) != limits(small)
    # A driver that reports a little less does not matter.
    monkeypatch.setattr(_limits, "WANTED_SEQUENCES", 16)
    again = limits({**gpus("NVIDIA A100", 40400), "limits": recorded})
    assert again == {name: recorded["default"][name] for name in OPEN} != limits(small)


def test_a_new_host_gets_the_engine_of_its_sister(monkeypatch: pytest.MonkeyPatch) -> None:
    old = host(**served())
    monkeypatch.setattr(_limits, "WANTED_SEQUENCES", 16)
    options = {"model": "mixtral-8x7b-instruct", "release": "1.2.1"}
    hosts = {"new": host_of(host(), **options), "old": host_of(old, **options)}
    plans = plan_fleet(hosts, CATALOGUE)["hosts"]
    new, sister = (plans[name]["deployments"]["default"] for name in hosts)
    assert new["release_id"] == sister["release_id"] == old["deployments"]["default"]
    alone = plan_fleet({"new": hosts["new"]}, CATALOGUE)["hosts"]["new"]["deployments"]["default"]
    assert alone["limits"] != new["limits"]


@pytest.mark.parametrize(
    "damaged",
    [
        *(None, [], "x", {"default": None}, {"default": {"chosen_for": 1}}, {"default": {"chosen_for": "x"}}),
        {"default": {"max_batch_size": 1}},
    ],
)
def test_a_damaged_record_is_ignored(damaged: Any) -> None:
    assert limits(host(limits=damaged)) == limits()


@pytest.mark.parametrize("value", [0, -1, "64", 1.5, True, None, 2**31])
def test_a_wrong_number_in_a_record_is_ignored(value: Any) -> None:
    recorded = served()["limits"]["default"]
    assert limits(host(limits={"default": {**recorded, "max_seq_len": value}})) == limits()


def test_hosts_without_a_record_are_planned_once() -> None:
    """The limits of other hosts are the same for all, so they do not separate equal hosts."""
    options = {"model": "mixtral-8x7b-instruct", "release": "1.2.1"}
    hosts = {name: host_of(host(), **options) for name in "ab"}
    plans = plan_fleet({**hosts, "c": host_of(host(**served()), **options)}, CATALOGUE)["hosts"]
    assert plans["a"] is plans["b"]
    assert replace(hosts["a"], stored={}).known.limits == {}
