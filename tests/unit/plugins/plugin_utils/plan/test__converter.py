# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which converter is used, and why; and the plan's folder is the one that the module creates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import native_inputs, unsupported
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights._hf_hub import DEFAULT_ALLOW
from ansible_collections.tritonops.trtllm.plugins.modules import trtllm_checkpoint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import OPTIONS, conversions
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._keys import snapshot_inputs
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    host,
    plan_for,
    refused,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.tiny_model import TINY_MIXTRAL, tiny_mixtral

ENGINE_RELEASES = [name for name, entry in CATALOGUE.releases.items() if "engine" in entry["profiles"]]
PLAIN = ("float16", "bfloat16", "float32")
WEIGHT_ONLY = ("int8_weight_only", "int4_weight_only")
ROOMY = host("BM.GPU.H100.8", gpus=[{"name": "NVIDIA H200", "memory_mib": 144384}] * 8)


def own_model(architecture: str) -> dict[str, Any]:
    shape = {"layers": 2, "heads": 8, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 101, "max_positions": 4096}
    if architecture == "MixtralForCausalLM":
        shape.update(experts=4, experts_per_token=2)
    return {"repository": "me/tiny", "revision": "1" * 40, "architecture": architecture, "shape": shape}


def test_every_precision_has_one_kind() -> None:
    assert set(PRECISIONS) == {*PLAIN, *WEIGHT_ONLY, "fp8"}


@pytest.mark.parametrize("release", ENGINE_RELEASES)
def test_native_is_chosen_whenever_possible_and_the_plan_gives_the_reason(release: str) -> None:
    for architecture in CATALOGUE.releases[release]["convert"]["scripts"]:
        for precision in (*PLAIN, *WEIGHT_ONLY):
            request = {"release": release, "image": IMAGE, "precision": precision, "model": own_model(architecture)}
            plan = accepted(ROOMY, **request)
            converter, checkpoint = plan["converter"], plan["engine_build"]["checkpoint"]
            can = not unsupported(release, architecture) and precision in PLAIN
            assert converter["name"] == checkpoint["converter"] == ("native" if can else "upstream")
            assert converter["reason"].startswith(f"{converter['name']}: ")
            assert ("command" in checkpoint) is not can and ("tp_size" in checkpoint) is can
            if not can:
                said = refused(ROOMY, converter="native", **request)
                assert set(said) == {"trtllm_converter"}
                assert converter["reason"].removeprefix("upstream: ") in said["trtllm_converter"]


def test_both_converters_are_covered() -> None:
    assert any(unsupported(release, "LlamaForCausalLM") for release in ENGINE_RELEASES)
    assert not unsupported(ENGINE_RELEASES[-1], "LlamaForCausalLM")


@pytest.mark.parametrize("precision", WEIGHT_ONLY)
def test_what_depends_on_the_gpu_says_so_and_what_would_do(precision: str) -> None:
    assert "a layout that depends on the GPU" in accepted(precision=precision)["converter"]["reason"]
    said = refused(precision=precision, converter="native")["trtllm_converter"]
    assert said.endswith("remove trtllm_converter to use upstream's, or use trtllm_precision float16, "
                         "bfloat16 or float32")  # fmt: skip


def test_upstream_can_be_requested() -> None:
    asked, chosen, native = (accepted(converter=converter) for converter in ("upstream", "", "native"))
    assert asked["converter"] == {"name": "upstream", "reason": "upstream (set by trtllm_converter)"}
    assert asked["engine_build"]["checkpoint"]["command"][0] == "python3"
    assert asked["artifacts"]["checkpoint"] != chosen["artifacts"]["checkpoint"] == native["artifacts"]["checkpoint"]
    assert "did you mean native" in refused(converter="natve")["trtllm_converter"]


@pytest.mark.parametrize("request_", [{"profile": "llmapi"}, {"engine_dir": "/srv/engine"}])
@pytest.mark.parametrize("converter", ["", "native", "upstream"])
def test_nothing_is_converted_without_an_engine(request_: dict[str, str], converter: str) -> None:
    plan = accepted(converter=converter, image=IMAGE, **request_)
    assert plan["converter"]["name"] == "" and plan["engine_build"] == {}
    assert plan["converter"]["reason"].startswith("nothing is converted: ")


@pytest.mark.parametrize(
    ("asked", "cut"),
    [
        ({"tensor": 8}, Cut(8, 1, 8, 1)),
        ({"tensor": 4, "pipeline": 2}, Cut(4, 2, 4, 1)),
        ({"tensor": 8, "moe_expert": 8}, Cut(8, 1, 1, 8)),
        ({"tensor": 8, "moe_tensor": 2, "moe_expert": 4}, Cut(8, 1, 2, 4)),
    ],
)
def test_options_describe_the_slicing_and_the_key_is_the_modules(asked: dict[str, int], cut: Cut) -> None:
    plan = accepted(parallelism=asked, precision="bfloat16")
    inputs = native_inputs(plan["artifacts"]["weights"]["key"], plan["release"], "bfloat16", cut)
    assert {name: plan["engine_build"]["checkpoint"][name] for name in OPTIONS}.items() <= inputs.items()
    assert plan["artifacts"]["checkpoint"]["key"] == artifact_key(inputs)
    assert plan["artifacts"]["checkpoint"]["dest"].endswith(f"/checkpoint/{plan['artifacts']['checkpoint']['key']}")
    assert cut.world_size == plan["parallelism"]["world_size"]


def test_a_checkpoint_that_the_module_creates_is_reused_by_the_next_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = {"model": TINY_MIXTRAL, "parallelism": {"tensor": 4, "pipeline": 2, "moe_expert": 4}}
    plan = accepted(**request)
    weights = tmp_path / "weights" / plan["artifacts"]["weights"]["key"]
    tiny_mixtral(weights)
    model = plan["model_weights"]["snapshots"][0]
    inputs = snapshot_inputs(model["repository"], model["revision"], DEFAULT_ALLOW)
    (weights / "artifact.json").write_text(json.dumps({"inputs": inputs, "files": {}}))

    dest = tmp_path / "checkpoint" / plan["artifacts"]["checkpoint"]["key"]
    checkpoint = {name: value for name, value in plan["engine_build"]["checkpoint"].items() if name != "expected_bytes"}
    arguments = {**checkpoint, "src": str(weights), "dest": str(dest), "release": plan["release"]}
    made = run_module(trtllm_checkpoint, capsys, **arguments)
    assert made["changed"] and made["world_size"] == plan["parallelism"]["world_size"], made
    assert (
        artifact_key(json.loads((dest / "artifact.json").read_text())["inputs"])
        == plan["artifacts"]["checkpoint"]["key"]
    )
    there = plan_for(host(artifacts=[f"checkpoint/{dest.name}"]), **request)
    assert {step["what"]: step["action"] for step in there["steps"]}["checkpoint"] == "reuse"
    assert there["budget"]["host_memory"] == 0


def test_each_checkpoint_is_converted_once_for_all_accepted_hosts() -> None:
    same, other, none = accepted(), accepted(precision="bfloat16"), accepted(profile="serve")
    planned = {
        "a": {"default": same},
        "b": {"default": other},
        "c": {"default": same, "again": same},
        "d": {"default": plan_for(model="none")},
        "e": {"default": none},
        "f": {"default": plan_for(model="none"), "second": other},
    }
    found = conversions({host: {"deployments": plans} for host, plans in planned.items()})
    assert [entry["hosts"] for entry in found] == [["a", "c"], ["b", "f"], ["e"]]
    assert [entry["checkpoint"] for entry in found] == [
        plan.get("engine_build", {}).get("checkpoint", {}) for plan in (same, other, none)
    ]
