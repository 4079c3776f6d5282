# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan: its keys and sizes, what it reuses, and that no input makes the planner raise."""

from __future__ import annotations

import copy
import datetime
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, options_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import refusal_line
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import REQUEST
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    DIGEST,
    IMAGE,
    accepted,
    flag,
    host,
    plan_for,
    refused,
)

SECTIONS = {"needs", "trtllm_backend", "model_weights", "engine_build", "model_repo", "triton_service"}


def test_the_default_is_the_newest_version_with_engines_and_its_newest_image() -> None:
    plan = accepted(release=None)
    assert (plan["release"], plan["profile"], plan["precision"]) == ("1.2.1", "engine", "float16")
    assert plan["trtllm_backend"]["image"]["name"] == "nvcr.io/nvidia/tritonserver:26.07-trtllm-python-py3"
    assert plan["trtllm_backend"]["image"]["digest"] == ""
    assert accepted(profile="llmapi", release=None)["precision"] == "bfloat16"


def test_the_digest_is_what_runs() -> None:
    assert accepted(image=IMAGE)["trtllm_backend"]["image"]["name"] == f"registry.example/backend@{DIGEST}"


@pytest.mark.parametrize("profile", ["engine", "llmapi"])
def test_a_plan_has_all_documented_keys(profile: str) -> None:
    plan = accepted(profile=profile)
    promised = {"release", "profile", "artifacts", "steps", "budget", "warnings", "refusals"}
    assert promised | SECTIONS <= set(plan)
    assert plan["triton_service"]["container"]["command"][0] == "mpirun"


# --- names ------------------------------------------------------------------------------------------------------------


def test_keys_depend_on_the_inputs() -> None:
    first, longer = accepted(image=IMAGE), accepted(image=IMAGE, limits={"max_seq_len": 4096})
    assert longer["artifacts"]["engine"]["dest"] != first["artifacts"]["engine"]["dest"]
    assert longer["artifacts"]["checkpoint"]["dest"] == first["artifacts"]["checkpoint"]["dest"]
    other_image = accepted(image={**IMAGE, "digest": "sha256:" + "b" * 64})
    assert other_image["artifacts"]["checkpoint"]["dest"] == first["artifacts"]["checkpoint"]["dest"]
    assert other_image["artifacts"]["engine"]["dest"] != first["artifacts"]["engine"]["dest"]
    assert other_image["artifacts"]["weights"]["dest"] == first["artifacts"]["weights"]["dest"]
    assert len({plan["release_id"] for plan in (first, longer, other_image)}) == 3


def test_a_mirror_does_not_make_other_weights() -> None:
    mirrored = accepted(weights={"endpoint": "https://mirror.example"})
    assert mirrored["artifacts"]["weights"]["dest"] == accepted()["artifacts"]["weights"]["dest"]


def test_another_version_or_profile_does_not_download_the_weights_again() -> None:
    plans = [accepted(), accepted(release="0.9.0"), accepted(profile="llmapi")]
    assert len({plan["artifacts"]["weights"]["dest"] for plan in plans}) == 1
    assert len({plan["release_id"] for plan in plans}) == 3


def test_templates_come_from_a_clone_if_the_image_has_none() -> None:
    old = accepted(release="0.12.0", converter="upstream")
    assert old["trtllm_backend"]["templates"]["source"] == "git"
    assert old["engine_build"]["checkpoint"]["command"][1].startswith("/backend/tensorrt_llm/examples/")
    assert accepted()["trtllm_backend"]["templates"]["source"] == "image"


def test_sources_can_be_a_mirror() -> None:
    own = {"backend": {"repository": "https://git.example/b.git", "commit": "1" * 40}}
    sources = accepted(release="0.12.0", sources=own)["trtllm_backend"]["clone"]["sources"]
    assert sources["backend"]["repository"] == "https://git.example/b.git" and sources["backend"]["commit"] == "1" * 40
    assert sources["tensorrt_llm"]["commit"] == CATALOGUE.releases["0.12.0"]["sources"]["tensorrt_llm"]["commit"]


def test_planning_is_repeatable_and_does_not_change_its_inputs() -> None:
    request = {
        "model": {"preset": "mixtral-8x7b", "revision": "main"},
        "profile": "llmapi",
        "limits": {"max_seq_len": 4096},
        "repository_parameters": {"tensorrt_llm": {"kv_cache_config": {"enable_block_reuse": True}}},
        "repository_overrides": {"tensorrt_llm": {"parameters": {"a": {"string_value": "b"}}}},
    }
    facts = host()
    before = copy.deepcopy((request, facts))
    first = make_plan(request, facts, CATALOGUE)
    assert first["refusals"] == [] and json.dumps(first) == json.dumps(make_plan(request, facts, CATALOGUE))
    assert (request, facts) == before


# --- steps and sizes --------------------------------------------------------------------------------------------------


def steps(plan: dict[str, Any]) -> dict[str, str]:
    return {step["what"]: step["action"] for step in plan["steps"]}


def test_a_new_host_gets_everything() -> None:
    assert steps(accepted()) == {
        "image": "pull",
        "backend": "extract",
        "weights": "fetch",
        "checkpoint": "convert",
        "engine": "build",
        "release": "render",
        "service": "start",
    }


def test_the_llm_api_needs_no_checkpoint_and_no_engine() -> None:
    assert set(steps(accepted(profile="llmapi"))) == {"image", "backend", "weights", "release", "service"}


def test_existing_artifacts_are_reused_and_need_no_space() -> None:
    plan = accepted()
    kinds = ("image", "backend", "weights", "checkpoint", "engine")
    there = [f"{kind}/{plan['artifacts'][kind]['key']}" for kind in kinds]
    again = accepted(host(artifacts=there, deployments={"default": "another-release"}))
    assert {what for what, action in steps(again).items() if action == "reuse"} == set(kinds)
    assert steps(again)["service"] == "switch"
    assert again["budget"]["disk_missing"] == 0 < again["budget"]["disk_total"]
    release = f"deployments/default/releases/{plan['release_id']}"
    done = accepted(host(artifacts=[*there, release], deployments={"default": plan["release_id"]}))
    assert set(steps(done).values()) == {"reuse", "keep"}
    assert done["release_id"] == plan["release_id"]


def test_a_release_belongs_to_its_deployment() -> None:
    """Releases of another deployment are neither kept, switched from, nor reused."""
    request = {"model": "mixtral-8x7b-instruct"}
    plan = make_plan(request, host(), CATALOGUE)
    others = host(
        artifacts=[f"deployments/default/releases/{plan['release_id']}"], deployments={"default": plan["release_id"]}
    )
    named = make_plan(request, others, CATALOGUE, "small")
    assert (steps(named)["release"], steps(named)["service"]) == ("render", "start")
    folder = f"/opt/trtllm/deployments/small/releases/{named['release_id']}"
    assert named["triton_service"]["release_dir"] == named["model_repo"]["release"]["dest"] == folder
    assert named["triton_service"]["name"] == named["model_repo"]["release"]["manifest"]["deployment"] == "small"
    assert (named["needs"]["units"], named["needs"]["containers"]) == (["trtllm@small.service"], ["trtllm-small"])


def test_containers_get_the_gpus_of_their_deployment() -> None:
    request, two = {"model": "llama-3.1-8b", "parallelism": {"tensor": 2}}, host(gpus=host()["gpus"][:2])
    plan = make_plan(request, two, CATALOGUE, devices=("2", "5"))
    assert plan["engine_build"]["gpus"] == plan["triton_service"]["container"]["gpus"] == ["2", "5"]
    whole = make_plan(request, two, CATALOGUE)
    assert whole["engine_build"]["gpus"] == whole["triton_service"]["container"]["gpus"] == ["all"]
    # The GPUs are part of a release's key.
    assert plan["release_id"] != whole["release_id"]
    assert plan["artifacts"]["engine"]["key"] == whole["artifacts"]["engine"]["key"]
    none = make_plan({**request, "gpus_required": False}, {}, CATALOGUE, devices=("2", "5"))
    assert none["engine_build"]["gpus"] == none["triton_service"]["container"]["gpus"] == []


def test_the_container_has_the_limits_of_trtllm_server() -> None:
    plan = accepted(server={"ulimits": ["nofile=4096:8192"]})
    assert plan["triton_service"]["container"]["ulimits"] == plan["needs"]["ulimits"] == ["nofile=4096:8192"]
    assert accepted()["needs"]["ulimits"] == ["memlock=-1", "stack=67108864"]


@pytest.mark.parametrize(
    ("image", "action"),
    [
        ({"source": "archive", "archive": "/srv/image.tar", "digest": DIGEST}, "load"),
        ({"source": "build"}, "build"),
        ({}, "pull"),
    ],
)
def test_the_step_for_the_image_depends_on_its_source(image: dict[str, str], action: str) -> None:
    assert steps(accepted(release="0.12.0", image=image))["image"] == action


def test_an_image_is_built_for_the_hosts_gpus_with_the_versions_method() -> None:
    built = {"source": "build"}
    plans = [accepted(release=release, image=built)["trtllm_backend"] for release in ("0.9.0", "1.0.0")]
    old, new = (plan["image"]["build"] for plan in plans)
    assert (old["directory"], old["dockerfile"], old["target"], old["pip_constraints"]) == (
        *("", "dockerfile/Dockerfile.trt_llm_backend", ""),
        ["numpy<2"],
    )
    assert (new["directory"], new["target"], new["pip_constraints"]) == (
        *("tensorrt_llm/docker", "tritonrelease_build"),
        [],
    )
    assert old["cuda_architectures"] == new["cuda_architectures"] == "80-real"
    assert plans[0]["clone"]["sources"]["backend"]["ref"] == "v0.9.0" and plans[0]["clone"]["whole"]


def test_build_options_except_speed_make_another_image() -> None:
    def planned(**build: Any) -> dict[str, Any]:
        return accepted(release="0.9.0", image={"source": "build", "build": build})

    def image(**build: Any) -> dict[str, Any]:
        return planned(**build)["trtllm_backend"]["image"]

    first = image()
    assert image(jobs=3)["dest"] == first["dest"] and image(jobs=3)["build"]["jobs"] == 3
    for other in ({"cuda_architectures": "90-real"}, {"args": {"A": 1}}):
        assert image(**other)["name"] != first["name"]
        digests = [plan["model_repo"]["release"]["image_digest"] for plan in (planned(), planned(**other))]
        assert digests[0] != digests[1]
    # With the inputs that the module records.
    recipe = ("dockerfile", "target", "build_args", "cuda_architectures", "pip_constraints")
    clone = planned()["trtllm_backend"]["clone"]
    sources = artifact_key({"sources": clone["sources"], "whole": True})
    inputs = {"image": first["name"], "sources": sources, **{name: first["build"][name] for name in recipe}}
    assert first["dest"].endswith(f"/image/{artifact_key(inputs)}") and clone["dest"].endswith(f"/backend/{sources}")


def test_memory_limits_the_number_of_jobs() -> None:
    def jobs(**facts: Any) -> int:
        return accepted(host(**facts), release="0.9.0", image={"source": "build"})["trtllm_backend"]["image"]["build"][
            "jobs"
        ]

    assert jobs(processors=128, memory_bytes=256 << 30) == 64
    assert jobs(processors=64, memory_bytes=2048 << 30) == 0


def test_templates_of_a_built_image_come_from_its_sources() -> None:
    plan = accepted(release="0.9.0", image={"source": "build"})
    assert plan["artifacts"]["backend"]["dest"] == plan["trtllm_backend"]["clone"]["dest"]
    later = accepted(release="1.0.0", image={"source": "build"})
    assert later["trtllm_backend"]["templates"]["source"] == "image"
    assert [step["what"] for step in later["steps"]][:3] == ["sources", "image", "backend"]


def test_a_mirror_only_has_the_versions_tag_with_its_commit() -> None:
    own = accepted(release="0.9.0")["trtllm_backend"]["clone"]["sources"]["backend"]
    for commit, ref in ((own["commit"], "v0.9.0"), ("0" * 40, None)):
        mirror = {"backend": {"repository": "/srv/backend.git", "commit": commit}}
        found = accepted(release="0.9.0", sources=mirror)["trtllm_backend"]["clone"]["sources"]["backend"]
        assert (found["repository"], found.get("ref")) == ("/srv/backend.git", ref)


def test_disk_space_depends_on_model_and_precision() -> None:
    def disk(**changes: Any) -> dict[str, int]:
        return {entry["what"]: entry["bytes"] for entry in accepted(**changes)["budget"]["disk"]}

    eight = {"parallelism": {"tensor": 8}}
    half, full = disk(**eight), disk(precision="float32", **eight)
    assert half["weights"] == full["weights"] == pytest.approx(93.4e9, rel=0.001)
    assert full["engine"] == 2 * half["engine"] == 2 * half["checkpoint"]
    # A release consists of hard links, so it is not counted.
    assert set(half) == {"image", "weights", "checkpoint", "engine"}


def test_an_existing_engine_needs_no_build() -> None:
    plan = accepted(engine_dir="/srv/engine", image=IMAGE)
    assert plan["engine_build"] == {}
    assert plan["model_repo"]["release"]["engine"] == "/srv/engine"
    assert plan["needs"]["engine"] == {"path": "/srv/engine", "image_digest": DIGEST}
    assert {entry["what"] for entry in plan["budget"]["disk"]} == {"image", "weights"}
    assert "trtllm_engine_dir" in refused(engine_dir="/srv/engine", profile="llmapi")


def test_the_build_uses_one_worker_per_gpu() -> None:
    plan = accepted(parallelism={"tensor": 8}, converter="upstream")
    assert flag(plan["engine_build"]["engine"]["command"], "--workers") == "8"
    assert plan["engine_build"]["engine"]["gpu"] == "NVIDIA A100-SXM4-40GB"
    assert flag(plan["engine_build"]["checkpoint"]["command"], "--workers") == "1"


# --- nothing raises ---------------------------------------------------------------------------------------------------

RUBBISH: list[Any] = [
    *(None, "", -1, 0, 1, 1.5, float("nan"), float("inf"), True, False, "x", "\0", "a\nb", "²", "{", "a=b", "{'a': 1}"),
    *([], {}, [[]], {"a": {}}, {1: 2}, {1: 2, "a": 3}, {None: None}, [None], ["x"], ()),
    *(2**31, 2**63, 10**400, -(10**400), 10**5000, "9" * 5000, "x" * 100_000, b"bytes", {1, 2}, object()),
    *(datetime.date(2026, 1, 1), {"a": [{"b": ({"c": {1: [None]}},)}]}, {"tensorrt_llm": {1: 2, "a": {3: 4}}}),
]
NESTED = {
    "model": ["preset", "repository", "revision", "architecture", "shape", "config", "name", "kind", "dtype"],
    "parallelism": ["tensor", "pipeline", "moe_tensor", "moe_expert", "none"],
    "limits": ["max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens", "max_beam_width"],
    "image": ["source", "reference", "digest", "archive", "layout"],
    "sources": ["backend", "tensorrt_llm"],
    "weights": ["endpoint", "path", "offline"],
    "tokenizer": ["repository", "revision", "path"],
    "server": ["address", "http_port", "grpc_port", "metrics_port", "shm_size", "ulimits"],
    "repository_parameters": ["tensorrt_llm", "ensemble", "none"],
    "repository_overrides": ["tensorrt_llm", "ensemble", "none"],
    "build_options": ["lora_plugin", "--max_lora_rank", "dry_run", "none"],
    "convert_options": ["tp_size", "use_parallel_embedding", "rotary_base"],
}
SHAPE = ["layers", "heads", "kv_heads", "hidden", "ffn", "vocab", "max_positions", "experts", "head_size"]
DIMENSIONS = {
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "hidden": 64,
    "ffn": 128,
    "vocab": 100,
    "max_positions": 4096,
}
MODEL = {"repository": "me/t", "revision": "main", "architecture": "LlamaForCausalLM", "shape": DIMENSIONS}
GOOD: dict[str, Any] = {"model": "llama-3.1-8b"}


def requests() -> Iterator[Any]:
    """Every variable and every nested key with each invalid value, then random combinations."""
    yield from RUBBISH
    for value in RUBBISH:
        yield from ({**GOOD, name: value} for name in REQUEST)
        yield from ({**GOOD, name: {key: value}} for name, keys in NESTED.items() for key in keys)
        yield from ({"model": {**MODEL, key: value}} for key in NESTED["model"])
        yield from ({"model": {**MODEL, "shape": {**DIMENSIONS, key: value}}} for key in SHAPE)
        yield {**GOOD, "limits": {"kv_cache_fraction": value}}
        for profile in ("engine", "llmapi"):
            parameters = {"repository_parameters": {"tensorrt_llm": {"max_batch_size": value, "max_queue_size": value}}}
            yield {**GOOD, "profile": profile, **parameters}
            agreeing = {"max_beam_width": value, "kv_cache_config": value, "max_tokens_in_paged_kv_cache": value}
            yield {**GOOD, "profile": profile, "repository_parameters": {"tensorrt_llm": agreeing}}
            fields = {"instance_group": value, "max_batch_size": value, "model_transaction_policy": value}
            yield {**GOOD, "profile": profile, "repository_overrides": {"tensorrt_llm": fields}}
            yield {**GOOD, "profile": profile, "repository_overrides": {"tensorrt_llm": {"parameters": {"a": value}}}}
    chance = random.Random(3)
    for _round in range(300):
        names = chance.sample(REQUEST, chance.randint(1, len(REQUEST)))
        yield {name: chance.choice(RUBBISH) for name in names}


def facts_of_rubbish() -> Iterator[Any]:
    names = [
        "gpus",
        "driver_version",
        "processors",
        "memory_bytes",
        "disk_free_bytes",
        "container_toolkit",
        "artifacts",
        "deployments",
        "root_outdated",
        "root",
    ]
    yield from RUBBISH
    for value in RUBBISH:
        yield from ({**host(), name: value} for name in names)
        yield host(gpus=[value])
        for key in ("name", "memory_mib", "compute_capability", "index"):
            yield host(gpus=[{**host()["gpus"][0], key: value}] * 2)


NEEDS = ArgumentSpecValidator(options_of(Needs))


def commands_of(plan: dict[str, Any]) -> Iterator[Any]:
    for step in ("checkpoint", "engine"):
        yield from plan["engine_build"].get(step, {}).get("command", [])
    yield from plan["triton_service"]["container"]["command"]


def assert_plan_or_refusals(plan: dict[str, Any]) -> None:
    text = json.dumps(plan, sort_keys=True, allow_nan=False)
    assert NEEDS.validate(plan["needs"]).error_messages == []
    if plan["refusals"]:
        for refusal in plan["refusals"]:
            assert set(refusal) == {"variable", "value", "message", "waive", "check", "advice"}
            assert refusal["variable"].startswith("trtllm_") and refusal["message"]
            assert len(refusal_line(refusal)) < 4000
    else:
        assert "\\u0000" not in text
        assert plan["root"].startswith("/") and plan["triton_service"]["release_dir"].startswith(
            f"{plan['root']}/deployments/default/releases/"
        )
        assert all(isinstance(word, str) and word for word in commands_of(plan))
        assert plan["converter"]["reason"]


def test_no_request_makes_the_planner_raise() -> None:
    facts = host("BM.GPU.H100.8")
    for request in requests():
        assert_plan_or_refusals(make_plan(request, facts, CATALOGUE))


def test_no_facts_make_the_planner_raise() -> None:
    for facts in facts_of_rubbish():
        assert_plan_or_refusals(make_plan(GOOD, facts, CATALOGUE))


def test_invalid_values_without_gpus_make_no_endless_launch_command() -> None:
    shape = {**DIMENSIONS, "heads": 2**40, "kv_heads": 2**40, "ffn": 2**40, "hidden": 2**40, "layers": 2**40}
    for size in (2**40, 64):
        cut = {"tensor": size, "pipeline": size}
        plan = make_plan(
            {"model": {**MODEL, "shape": shape}, "gpus_required": False, "parallelism": cut}, {}, CATALOGUE
        )
        assert_plan_or_refusals(plan)


def test_a_refused_plan_has_nothing_else() -> None:
    plan = plan_for(precision="none")
    assert set(plan) == {"refusals", "warnings", "needs"} and plan["warnings"] == []


def test_a_root_folder_that_others_use_is_refused() -> None:
    found = refused(host(root_foreign=["home-of-others", "postgres"]), root="/data")
    assert list(found) == ["trtllm_root"]
    assert "(home-of-others, postgres)" in found["trtllm_root"] and "such as /data/trtllm" in found["trtllm_root"]
