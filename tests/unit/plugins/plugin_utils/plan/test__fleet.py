# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several deployments on a host, and artifacts for a whole fleet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import version
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    host,
    host_of,
    host_plan,
    shape_of,
)

PORTS = {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012}
LARGE: dict[str, Any] = {"model": "mixtral-8x7b-instruct", "gpus": 4, "parallelism": {"tensor": 4}, "image": IMAGE}
SMALL: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "gpus": [5, 7],
    "parallelism": {"tensor": 1},
    "server": PORTS,
}
RELEASE_OF_OTHER = {"release": "1.0.0", "image": {**IMAGE, "digest": "sha256:" + "b" * 64}}


def two(facts: dict[str, Any] | None = None, only: str = "", small: Any = None, **large: Any) -> dict[str, Any]:
    """The plan of a BM.GPU4.8 with two deployments: one with four GPUs, and one with two of which it uses one."""
    return host_plan(facts, only, **{**LARGE, **large}, deployments={"small": {**SMALL, **(small or {})}})


def refused(plan: dict[str, Any]) -> dict[str, str]:
    return {entry["variable"]: entry["message"] for entry in plan["refusals"]}


def units(plan: dict[str, Any]) -> list[str]:
    found: list[str] = plan["preflight"]["needs"][0]["units"]
    return found


# --- GPUs


def test_each_deployment_has_its_gpus_for_the_engine_and_the_service() -> None:
    plan = two()
    assert plan["refusals"] == []
    for name, gpus in (("default", ["0", "1", "2", "3"]), ("small", ["5", "7"])):
        made = plan["deployments"][name]
        assert made["engine_build"]["gpus"] == made["triton_service"]["container"]["gpus"] == gpus
    assert plan["gpus"] == {
        "found": [*range(8)],
        "used": {"default": [0, 1, 2, 3], "small": [5]},
        "unused": [4, 6, 7],
    }


def test_a_deployment_is_only_planned_for_its_own_gpus() -> None:
    """Mixtral does not fit on one A100 of 40 GB, though the host has eight."""
    assert "trtllm_parallelism" in refused(host_plan(**{**LARGE, "gpus": 1}))
    assert "trtllm_deployments.small.parallelism" in refused(two(small={"parallelism": {"tensor": 3}}))


def test_a_single_deployment_has_all_gpus() -> None:
    plan = host_plan(model="mixtral-8x7b-instruct", gpus=8)
    assert plan["deployments"]["default"]["triton_service"]["container"]["gpus"] == ["all"]
    assert host_plan(model="mixtral-8x7b-instruct")["deployments"] == plan["deployments"]


def test_a_deployment_without_gpus_gets_the_remaining_ones() -> None:
    small = {name: value for name, value in SMALL.items() if name != "gpus"}
    plan = host_plan(**LARGE, deployments={"small": small})
    assert plan["deployments"]["small"]["triton_service"]["container"]["gpus"] == ["4", "5", "6", "7"]


def test_gpus_that_two_deployments_request_are_refused_for_the_second() -> None:
    found = refused(two(gpus=[0, 1, 2, 3], small={"gpus": [3, 4]}))
    assert found == {"trtllm_deployments.small.gpus": "GPU 3 is used by default"}


def test_a_host_without_gpus_provides_none() -> None:
    plan = host_plan(host("rehearsal"), **{**SMALL, "gpus_required": False})
    container = plan["deployments"]["default"]["triton_service"]["container"]
    assert (plan["refusals"], container["gpus"], plan["gpus"]["found"]) == ([], [], [])


@pytest.mark.parametrize("gpu", ["A100", {"memory_mib": 1}, None, {"name": "NVIDIA A100-SXM4-40GB", "index": "x"}])
def test_wrong_facts_of_gpus_are_refused(gpu: Any) -> None:
    found = refused(two(host(gpus=[*host()["gpus"], gpu])))
    assert len(found) == 1 and next(iter(found)).startswith("trtllm_host_facts.gpus.8")


def test_indexes_can_be_strings() -> None:
    """YAML and other programs may write facts like this."""
    gpus = [{**gpu, "index": str(place)} for place, gpu in enumerate(host()["gpus"])]
    assert two(host(gpus=gpus))["gpus"] == two()["gpus"]
    assert two(host(gpus=gpus))["refusals"] == []


def test_the_expected_number_of_gpus_is_the_hosts_and_not_each_deployments() -> None:
    plan = two(preflight_gpus={"count": 8, "name": "NVIDIA A100-SXM4-40GB"})
    assert plan["refusals"] == []
    assert [need["gpus"]["count"] for need in plan["preflight"]["needs"] if "gpus" in need] == [8]
    assert plan["preflight"]["needs"][0]["gpus"]["name"] == "NVIDIA A100-SXM4-40GB"
    assert "trtllm_preflight_gpus" in refused(two(preflight_gpus={"count": "eight"}))


# --- ports


def test_a_port_belongs_to_one_deployment_and_free_ones_are_suggested() -> None:
    third = {**SMALL, "gpus": [6], "server": PORTS}
    plan = host_plan(**LARGE, deployments={"small": {**SMALL, "server": {}}, "third": third})
    found = refused(plan)
    assert list(found) == ["trtllm_deployments.small.server"]
    message = found["trtllm_deployments.small.server"]
    assert "ports 8000, 8001, 8002 are used by deployment default of this host" in message
    # Not those of the deployment that comes after it.
    assert message.endswith("http_port: 8020, grpc_port: 8021 and metrics_port: 8022 are free")


def test_a_conflict_of_one_port_is_refused() -> None:
    found = refused(two(small={"server": {**PORTS, "grpc_port": 8002}}))
    assert "port 8002 is used by deployment default" in found["trtllm_deployments.small.server"]


def test_trtllm_serve_has_one_port() -> None:
    serve = {**SMALL, "profile": "serve", "release": "1.2.1", "server": {"http_port": 8001}}
    plan = host_plan(**LARGE, deployments={"small": serve})
    assert "port 8001 is used by deployment default" in refused(plan)["trtllm_deployments.small.server"]
    plan = host_plan(**LARGE, deployments={"small": {**serve, "server": {"http_port": 8003}}})
    assert plan["refusals"] == []
    assert [port["port"] for port in plan["preflight"]["needs"][0]["ports"]] == [8001, 8000, 8002, 8003]
    wrong = host_plan(**LARGE, deployments={"small": {**serve, "serve_config": {"x": 1}}})
    assert refused(wrong)["trtllm_deployments.small.serve_config.x"] == "TensorRT-LLM 1.2.1 has no key x"


def test_a_conflict_is_refused_with_other_problems_and_without_a_plan() -> None:
    plan = two(small={"server": {}, "precision": "int3"})
    assert set(refused(plan)) == {"trtllm_deployments.small.server", "trtllm_deployments.small.precision"}
    clash = two(small={"server": {}})
    assert set(clash["deployments"]["small"]) == {"refusals", "warnings", "needs"}
    assert clash["deployments"]["default"]["refusals"] == []


# --- needs


def test_shared_artifacts_are_needed_once() -> None:
    """The same model twice: its weights are downloaded once, but each deployment has its own engine if it differs."""
    again = {**LARGE, "gpus": [4, 5, 6, 7], "server": PORTS, "limits": {"max_batch_size": 4}}
    del again["image"]
    plan = host_plan(**LARGE, deployments={"again": again})
    assert plan["refusals"] == []
    first, second = plan["preflight"]["needs"]
    assert sorted(part["what"] for part in first["disk"]) == ["checkpoint", "engine", "engine", "image", "weights"]
    assert "disk" not in second or second["disk"] == []


def test_two_images_need_the_space_of_two() -> None:
    plan = two(small=RELEASE_OF_OTHER)
    assert plan["refusals"] == []
    parts = [part["what"] for part in plan["preflight"]["needs"][0]["disk"]]
    assert parts.count("image") == 2 and parts.count("weights") == 2
    assert [part["what"] for part in two()["preflight"]["needs"][0]["disk"]].count("image") == 1


def test_deployments_too_large_together_are_refused_and_can_be_waived() -> None:
    larger = {"small": {"model": "mixtral-8x7b", "gpus": 4, "parallelism": {"tensor": 4}, "server": PORTS}}
    alone = host_plan(None, **LARGE)["deployments"]["default"]["budget"]["disk_missing"]
    facts = host(disk_free_bytes=alone + 10**9)
    assert host_plan(facts, **LARGE)["refusals"] == []
    plan = host_plan(facts, **LARGE, deployments=larger)
    assert "all deployments together: the file system" in refused(plan)["trtllm_root"]
    assert [entry["waive"] for entry in plan["refusals"]] == ["disk_space"]
    assert host_plan(facts, **LARGE, deployments=larger, waive=["disk_space"])["refusals"] == []
    plan = host_plan({**facts, "prunable": {"engine/00000000000000aa": 8 * 10**10}}, **LARGE, deployments=larger)
    assert "-e trtllm_prune=remove, which frees 80 GB, or use a folder" in refused(plan)["trtllm_root"]
    # Nothing is refused with enough space for both, or if they share the large artifacts.
    assert host_plan(host(disk_free_bytes=10**13), **LARGE, deployments=larger)["refusals"] == []
    assert host_plan(facts, **{**LARGE, "deployments": {"small": {**LARGE, "server": PORTS}}})["refusals"] == []


def test_hosts_that_are_alike_are_told_what_each_of_them_could_free() -> None:
    frees = {"a": 8 * 10**10, "b": 9 * 10**10}
    hosts = {
        name: host_of(host(disk_free_bytes=10**9, artifacts=[], prunable={"engine/x": size}), **LARGE)
        for name, size in frees.items()
    }
    plans = plan_fleet(hosts, CATALOGUE)["hosts"]
    assert "frees 80 GB" in plans["a"]["message"] and "frees 90 GB" in plans["b"]["message"]


@pytest.mark.parametrize("gpus", [{"gpus": 4}, {"gpus_required": False}])
def test_another_deployment_does_not_change_the_container_of_the_first(gpus: dict[str, Any]) -> None:
    """It would be restarted for that."""
    facts = host() if "gpus" in gpus else host(gpus=[])
    model = {"model": "smollm2-135m-instruct", **gpus}
    alone = host_plan(facts, **model)["deployments"]["default"]["triton_service"]
    both = host_plan(facts, **model, deployments={"small": {**model, "server": PORTS}})
    assert both["refusals"] == [] and alone["container"]["memory"] > 0
    assert both["deployments"]["default"]["triton_service"] == alone


def test_needs_cover_all_deployments() -> None:
    alone = [
        host_plan(**LARGE)["preflight"]["needs"][0],
        host_plan(**{**SMALL, "image": IMAGE})["preflight"]["needs"][0],
    ]
    plan = two(small={"server": {**PORTS, "ulimits": ["nofile=4096"]}})
    first, second = plan["preflight"]["needs"]
    assert first["gpus"]["count"] == 4 + 1
    assert first["gpus"]["memory_mib"] == max(need["gpus"]["memory_mib"] for need in alone)
    assert first["memory_bytes"] == max(need["memory_bytes"] for need in alone)
    assert [port["port"] for port in first["ports"]] == [8001, 8000, 8002, 8011, 8010, 8012]
    assert first["ulimits"] == ["memlock=-1", "stack=67108864", "nofile=4096"]
    assert first["containers"] == ["trtllm-default", "trtllm-small"]
    assert units(plan) == ["trtllm@default.service", "trtllm@small.service"]
    # Needs that only apply to one of them.
    assert second["hub"] == alone[1]["hub"] != first["hub"]
    assert second["shm"]["ranks"] == 1 and first["shm"]["ranks"] == 4
    assert second["planned"] and not {"root", "ports", "gpus", "units"} & {name for name in second if second[name]}


def test_the_gpu_must_suit_the_most_demanding_deployment() -> None:
    plan = two(small={"precision": "bfloat16", **RELEASE_OF_OTHER})
    gpus = plan["preflight"]["needs"][0]["gpus"]
    assert gpus["compute_capability"] == "8.0"
    drivers = [made["needs"]["gpus"]["driver"] for made in plan["deployments"].values()]
    assert gpus["driver"] == max(drivers, key=version)


def test_a_served_deployment_missing_from_the_inventory_is_still_ours() -> None:
    plan = two(host(deployments={"default": "a-1", "old": "b-2", "older": ""}))
    assert units(plan)[2:] == ["trtllm@old.service", "trtllm@older.service"]
    (warning,) = plan["warnings"]
    assert warning.startswith("deployment old is served on this host, but is not in the inventory")
    assert warning.endswith("run teardown with -e trtllm_deployment=old")
    assert two()["warnings"] == []


def test_a_refused_deployment_does_not_change_the_needs_of_others() -> None:
    plan = two(small={"precision": "int3"})
    assert set(refused(plan)) == {"trtllm_deployments.small.precision"}
    first, second = plan["preflight"]["needs"]
    whole, _other = two()["preflight"]["needs"]
    assert first["units"] == whole["units"] and first["hub"] == whole["hub"]
    # All needs of the large one, and those of the small one that are known.
    assert [part for part in whole["disk"] if part not in first["disk"]] == [
        part for part in whole["disk"] if part["path"] in _made_of_small()
    ]
    assert second["hub"]["repository"].lower().startswith("huggingfacetb/")


def _made_of_small() -> set[str]:
    artifacts = two()["deployments"]["small"]["artifacts"]
    return {artifacts[kind]["dest"] for kind in ("checkpoint", "engine")}


# --- refusals


def test_a_problem_that_deployments_share_is_refused_once() -> None:
    found = two(root="relative")["refusals"]
    assert [entry["variable"] for entry in found] == ["trtllm_root"]
    assert [entry["variable"] for entry in two(small={"root": "x"})["refusals"]] == ["trtllm_deployments.small.root"]


def test_an_inherited_option_is_refused_with_the_hosts_variable() -> None:
    wrong = {"weights": {"endpoint": "ftp://x"}}
    assert set(refused(two(**wrong))) == {"trtllm_weights.endpoint"}
    assert set(refused(two(small=wrong))) == {"trtllm_deployments.small.weights.endpoint"}


# --- one of them


def test_one_deployment_is_selected_and_the_others_are_planned_with_it() -> None:
    plan = two(only="small")
    assert list(plan["deployments"]) == ["small"] and len(plan["preflight"]["needs"]) == 1
    assert plan["gpus"] == two()["gpus"]
    assert plan["deployments"]["small"] == two()["deployments"]["small"]
    # Ports and GPUs that the other one uses are not reported as used by others.
    assert units(plan) == ["trtllm@default.service", "trtllm@small.service"]
    assert [port["port"] for port in plan["preflight"]["needs"][0]["ports"]] == [8011, 8010, 8012]


def test_problems_of_another_deployment_do_not_stop_it() -> None:
    assert two(only="default", small={"precision": "int3"})["refusals"] == []
    assert two(only="small", precision="int3")["refusals"] == []
    assert set(refused(two(only="small", small={"server": {}}))) == {"trtllm_deployments.small.server"}


def test_an_unknown_deployment_is_refused_with_the_known_ones() -> None:
    plan = two(only="smal")
    assert refused(plan) == {
        "trtllm_deployment": "is not a deployment of this host; its deployments are: default, small"
    }
    assert (plan["deployments"], plan["preflight"]["needs"]) == ({}, [])


# --- a fleet


def fleet(**artifacts: list[str]) -> dict[str, Any]:
    """Hosts with the same deployments, and the artifacts that they already have."""
    hosts = {
        name: host_of(host(artifacts=there), **LARGE, deployments={"small": SMALL}) for name, there in artifacts.items()
    }
    return plan_fleet(hosts, CATALOGUE)


def key_of(kind: str, name: str = "default") -> str:
    made = two()["deployments"][name]["artifacts"][kind]
    return f"{kind}/{made['key']}"


def test_a_shared_artifact_is_made_by_a_host_that_has_it_or_the_first() -> None:
    weights, engine = key_of("weights"), key_of("engine")
    made = fleet(a=[], b=[weights], c=[weights, engine])["artifacts"]
    assert (made[weights]["made_by"], made[weights]["wanted_by"]) == ("b", ["a", "b", "c"])
    assert made[engine]["made_by"] == "c"
    assert made[key_of("checkpoint")]["made_by"] == "a"
    assert made[weights]["bytes"] == two()["deployments"]["default"]["artifacts"]["weights"]["bytes"] > 10**9


def test_artifacts_include_those_of_all_deployments() -> None:
    made = fleet(a=[])["artifacts"]
    for name in ("default", "small"):
        kinds = ("image", "backend", "weights", "checkpoint", "engine")
        assert {key_of(kind, name) for kind in kinds} <= set(made)
    assert all("/" in name and not name.endswith("/") for name in made)
    # Both have the image, and it is listed once.
    assert [name for name in made if name.startswith("image/")] == [key_of("image")]


def test_a_separate_tokenizer_is_downloaded_like_weights() -> None:
    hosts = {"a": host_of(**{**LARGE, "tokenizer": "smollm2-135m-instruct"})}
    found = plan_fleet(hosts, CATALOGUE)
    made = found["hosts"]["a"]["deployments"]["default"]["artifacts"]
    assert {f"weights/{made[kind]['key']}" for kind in ("weights", "tokenizer")} <= set(found["artifacts"])


def test_a_refused_host_needs_no_artifacts() -> None:
    hosts = {"a": host_of(**{**LARGE, "precision": "int3"}), "b": host_of(**LARGE)}
    found = plan_fleet(hosts, CATALOGUE)
    assert found["hosts"]["a"]["refusals"] and not found["hosts"]["b"]["refusals"]
    assert {tuple(entry["wanted_by"]) for entry in found["artifacts"].values()} == {("b",)}
    assert {entry["made_by"] for entry in found["artifacts"].values()} == {"b"}


@pytest.mark.parametrize(
    ("request_of_tokenizer", "asked"),
    [
        ({}, False),
        ({"tokenizer": "mixtral-8x7b"}, True),
        ({"tokenizer": {"path": "/srv/tokenizer"}}, False),
        ({"tokenizer": "mixtral-8x7b", "weights": {"offline": True}}, False),
    ],
)
def test_the_hub_is_asked_for_a_separate_tokenizer(request_of_tokenizer: dict[str, Any], asked: bool) -> None:
    plan = host_plan(None, **{**LARGE, **request_of_tokenizer})
    hubs = [needs["hub"]["repository"] for needs in plan["preflight"]["needs"] if "hub" in needs]
    assert ("mistralai/Mixtral-8x7B-v0.1" in hubs) is asked


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({"disk_free_bytes": 10**13 + 1}, True),
        ({"disk_free_bytes": None}, False),
        ({"artifacts": ["weights/0000000000000000"]}, True),
        ({"deployments": {"default": "of another version"}}, False),
        ({"deployments": {"gone": "x"}}, False),
        ({"driver_version": "595.10.02"}, False),
    ],
    ids=str,
)
def test_hosts_share_a_plan_if_their_differences_do_not_matter(changes: dict[str, Any], shared: bool) -> None:
    facts = [host(disk_free_bytes=10**13), host(**{"disk_free_bytes": 10**13, **changes})]
    alone = [host_plan(one, **LARGE) for one in facts]
    fleet = plan_fleet({str(number): host_of(one, **LARGE) for number, one in enumerate(facts)}, CATALOGUE)["hosts"]
    assert [fleet["0"], fleet["1"]] == alone
    assert (fleet["0"] is fleet["1"]) is shared


def test_hosts_with_different_artifacts_are_planned_for_what_they_lack() -> None:
    weights = f"weights/{host_plan(None, **LARGE)['deployments']['default']['artifacts']['weights']['key']}"
    facts = {"has": host(artifacts=[weights]), "lacks": host(), "has-too": host(artifacts=[weights, "weights/x"])}
    fleet = plan_fleet({name: host_of(one, **LARGE) for name, one in facts.items()}, CATALOGUE)["hosts"]
    assert fleet["has"] is fleet["has-too"] and fleet["has"] != fleet["lacks"]
    assert {name: host_plan(one, **LARGE) for name, one in facts.items()} == fleet


def test_a_disk_that_is_too_small_is_reported_with_its_size() -> None:
    facts = {str(size): host(disk_free_bytes=size) for size in (10**9, 2 * 10**9, 10**13)}
    fleet = plan_fleet({name: host_of(one, **LARGE) for name, one in facts.items()}, CATALOGUE)["hosts"]
    assert {name: host_plan(one, **LARGE) for name, one in facts.items()} == fleet
    assert "has 1 GB free" in refused(fleet[str(10**9)])["trtllm_root"]
    assert "has 2 GB free" in refused(fleet[str(2 * 10**9)])["trtllm_root"]


def test_hosts_are_planned_independently() -> None:
    """Ports and GPUs of different hosts do not conflict."""
    found = fleet(a=[], b=[])
    assert json.dumps(found["hosts"]["a"]) == json.dumps(found["hosts"]["b"]) == json.dumps(two(host(artifacts=[])))


# --- the hub's token --------------------------------------------------------------------------------------------------


GATED = {"model": "llama-3.1-8b"}


def token_plan(token_file: Any, facts: dict[str, Any] | None = None, **options: Any) -> Any:
    """The plan of a host without artifacts."""
    facts = facts or host(artifacts=[])
    planned = replace(host_of(facts, **{**GATED, **options}), token_file=token_file)
    return plan_fleet({"one": planned}, CATALOGUE)["hosts"]["one"]


@pytest.fixture(name="token")
def fixture_token(tmp_path: Path) -> str:
    (tmp_path / "token").write_text("hf_secret\n")
    return str(tmp_path / "token")


def test_a_gated_model_needs_a_token(token: str) -> None:
    (refusal,) = token_plan(None)["refusals"]
    assert refusal["variable"] == "trtllm_token_file"
    assert "meta-llama/Llama-3.1-8B is a gated model" in refusal["message"]
    assert "accept its licence at https://huggingface.co/meta-llama/Llama-3.1-8B" in refusal["message"]
    accepted_plan = token_plan(token)
    assert accepted_plan["refusals"] == [] and accepted_plan["token_file"] == token


@pytest.mark.parametrize(
    "options",
    [
        {"model": "mixtral-8x7b"},
        {"weights": {"path": "/srv/weights"}},
        {"weights": {"offline": True}},
        {"weights": {"endpoint": "https://mirror.example"}},
    ],
)
def test_a_hub_that_is_not_asked_or_not_gated_needs_no_token(options: dict[str, Any]) -> None:
    assert token_plan(None, **options)["refusals"] == []


def test_weights_that_are_already_there_need_no_token() -> None:
    key = token_plan(None, host())["deployments"]["default"]["artifacts"]["weights"]["key"]
    for path in (None, "/nowhere/token"):
        plan = token_plan(path, facts=host(artifacts=[f"weights/{key}"]))
        assert (plan["refusals"], plan["token_file"]) == ([], "")


def test_a_plan_by_shape_only_warns() -> None:
    """The facts of a shape do not say which artifacts there are."""
    plan = token_plan(None, host())
    assert plan["refusals"] == []
    (warning,) = plan["deployments"]["default"]["warnings"]
    assert warning.startswith("trtllm_token_file: meta-llama/Llama-3.1-8B is a gated model")


def test_a_model_with_its_own_shape_is_gated_too() -> None:
    model = {"repository": "meta-llama/Llama-3.1-8B", "revision": "main", "architecture": "LlamaForCausalLM"}
    plan = token_plan(None, model={**model, "shape": vars(shape_of("llama-3.1-8b"))})
    assert [entry["variable"] for entry in plan["refusals"]] == ["trtllm_token_file"]


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read: "), (" \n", "is empty")])
def test_a_token_that_cannot_be_read_is_refused(content: str | None, words: str, tmp_path: Path) -> None:
    """Also for a model that is not gated, because the tasks that send it would fail."""
    path = tmp_path / "own"
    if content is not None:
        path.write_text(content)
    (refusal,) = token_plan(str(path), model="mixtral-8x7b")["refusals"]
    assert (refusal["variable"], refusal["value"]) == ("trtllm_token_file", str(path))
    assert refusal["message"].startswith(words)


@pytest.mark.parametrize("path", [7, ["x"], {"a": 1}, "\0", "~nobody-at-all/token"])
def test_a_token_file_that_is_no_path_is_refused(path: Any) -> None:
    (refusal,) = token_plan(path)["refusals"]
    assert refusal["variable"] == "trtllm_token_file"


def test_a_relative_token_file_is_in_the_current_folder(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(token).parent)
    plan = token_plan("token")
    assert (plan["refusals"], plan["token_file"]) == ([], token)


def test_a_missing_token_is_among_the_other_reasons() -> None:
    variables = [entry["variable"] for entry in token_plan(None, precision="int3")["refusals"]]
    assert sorted(variables) == ["trtllm_precision", "trtllm_token_file"]
