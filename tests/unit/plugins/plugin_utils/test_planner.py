# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._planner import make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import Shape, legal_tensor_sizes

CATALOGUE = load_catalogue()
DIGEST = "sha256:" + "a" * 64
A100 = {"name": "NVIDIA A100-SXM4-40GB"}
EIGHT_GPUS = {"gpus": [A100] * 8, "processors": 64}


def request_for(model: Any = "mixtral-8x7b-instruct", **changes: Any) -> dict[str, Any]:
    return {
        "model": model,
        "release": "0.17.0",
        "parallelism": {"tensor": 8},
        "image": {"reference": "registry.example/backend", "digest": DIGEST},
        **changes,
    }


def plan_for(facts: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return make_plan(request_for(**changes), EIGHT_GPUS if facts is None else facts, CATALOGUE)


def refused(facts: dict[str, Any] | None = None, **changes: Any) -> dict[str, str]:
    return {entry["variable"]: entry["message"] for entry in plan_for(facts, **changes)["refusals"]}


def flag(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


def test_a_good_request_is_not_refused() -> None:
    plan = plan_for()
    assert plan["refusals"] == []
    assert plan["launch"]["world_size"] == 8
    assert plan["image"]["run"] == f"registry.example/backend@{DIGEST}"
    assert flag(plan["convert"]["argv"], "--tp_size") == "8"
    assert flag(plan["build"]["argv"], "--workers") == "8"
    assert plan["build"]["gpu"] == A100["name"]


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_commands_have_only_flags_of_the_release(release: str) -> None:
    facts = CATALOGUE.releases[release]
    plan = plan_for(release=release, parallelism={"tensor": 8, "moe_expert": 8})
    for command, known in ((plan["convert"]["argv"], facts["convert"]), (plan["build"]["argv"], facts["build"])):
        used = {word for word in command if word.startswith("--")}
        assert used and used <= set(known["flags"])


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_every_required_placeholder_is_filled(release: str) -> None:
    repository = plan_for(release=release)["repository"]
    for model, groups in CATALOGUE.releases[release]["placeholders"].items():
        required = set(groups["required_to_parse"] + groups["required_for_sense"])
        assert required <= set(repository[model]), model
        assert set(repository[model]) <= required | set(groups["optional"]), model


def test_old_releases_count_output_tokens() -> None:
    old = plan_for(release="0.9.0", limits={"max_input_len": 100, "max_seq_len": 300})["build"]["argv"]
    assert flag(old, "--max_output_len") == "200"
    assert "--max_seq_len" not in old


def test_experts_are_spread_in_the_words_of_the_release() -> None:
    spread = {"tensor": 8, "moe_expert": 4, "moe_tensor": 2}
    assert flag(plan_for(parallelism=spread)["convert"]["argv"], "--moe_ep_size") == "4"
    assert flag(plan_for(release="0.9.0", parallelism=spread)["convert"]["argv"], "--moe_tp_mode") == "1"


def test_templates_come_from_a_clone_where_the_image_has_none() -> None:
    old = plan_for(release="0.12.0")
    assert old["backend"]["source"] == "git"
    assert old["convert"]["argv"][1].startswith("/backend/tensorrt_llm/examples/")
    assert plan_for()["backend"]["source"] == "image"


def test_launch_is_one_server_a_rank() -> None:
    argv = plan_for(parallelism={"tensor": 2}, server={"http_port": 9000})["launch"]["argv"]
    assert argv[:3] == ["mpirun", "--allow-run-as-root", "-n"]
    assert argv.count("/opt/tritonserver/bin/tritonserver") == 2
    assert argv.count("--load-model=tensorrt_llm") == 1
    assert argv.count("--http-port=9000") == 2
    assert "--backend-config=python,shm-region-prefix-name=prefix1_" in argv
    assert "--oversubscribe" not in argv


def test_more_ranks_than_processors_are_oversubscribed() -> None:
    assert "--oversubscribe" in plan_for({"gpus": [A100] * 8, "processors": 2})["launch"]["argv"]


def test_keys_follow_what_goes_in() -> None:
    first, again = plan_for(), plan_for()
    assert first == again
    longer = plan_for(limits={"max_seq_len": 4096})
    assert longer["build"]["dest"] != first["build"]["dest"]
    assert longer["convert"]["dest"] == first["convert"]["dest"]
    other_image = plan_for(image={"reference": "registry.example/backend", "digest": "sha256:" + "b" * 64})
    assert other_image["convert"]["dest"] != first["convert"]["dest"]
    assert other_image["weights"]["dest"] == first["weights"]["dest"]
    assert len({plan["release_id"] for plan in (first, longer, other_image)}) == 3


def test_a_mirror_does_not_make_other_weights() -> None:
    assert plan_for(weights={"endpoint": "https://mirror.example"})["weights"]["dest"] == plan_for()["weights"]["dest"]


def test_what_the_user_fills_wins() -> None:
    plan = plan_for(
        repository_parameters={"tensorrt_llm": {"kv_cache_free_gpu_mem_fraction": 0.5, "max_queue_size": 7}}
    )
    assert plan["repository"]["tensorrt_llm"]["kv_cache_free_gpu_mem_fraction"] == "0.5"
    assert plan["repository"]["tensorrt_llm"]["max_queue_size"] == "7"


def test_an_engine_of_ones_own_needs_no_build() -> None:
    plan = plan_for(engine_dir="/srv/engine")
    assert plan["convert"] is None and plan["build"] is None
    assert plan["engine_dir"] == "/srv/engine"
    assert [entry["what"] for entry in plan["budget"]["disk"]] == ["weights"]
    assert plan["engine_check"] == {"path": "/srv/engine", "image_digest": DIGEST}


def test_disk_follows_the_model_and_its_precision() -> None:
    def disk(**changes: Any) -> dict[str, int]:
        return {entry["what"]: entry["bytes"] for entry in plan_for(**changes)["budget"]["disk"]}

    # 46.7 G parameters (the model's own card) of two bytes.
    assert disk()["weights"] == pytest.approx(93.4e9, rel=0.01)
    assert disk(precision="float32")["engine"] == 2 * disk()["engine"]


def test_a_preset_can_be_pinned_elsewhere() -> None:
    plan = plan_for(model={"preset": "mixtral-8x7b", "revision": "main"})
    assert plan["weights"]["revision"] == "main"


def test_any_other_model_is_a_mapping() -> None:
    shape = {"layers": 2, "heads": 4, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 100, "max_positions": 4096}
    model = {"repository": "me/Tiny", "revision": "1" * 40, "architecture": "LlamaForCausalLM", "shape": shape}
    plan = plan_for(model=model, parallelism={"tensor": 4})
    assert plan["refusals"] == [] and plan["model"]["name"] == "tiny"
    broken = refused(model={**model, "revision": "", "shape": {"layers": 2}})
    assert "trtllm_model.revision" in broken and "trtllm_model.shape.heads" in broken


@pytest.mark.parametrize(
    ("changes", "variable", "says"),
    [
        ({"model": "mixtral-8x7b-instrct"}, "trtllm_model", "did you mean mixtral-8x7b-instruct"),
        ({"model": 7}, "trtllm_model", "must be the name of a preset"),
        ({"release": "9.9.9"}, "trtllm_release", "known are: 0.9.0, 0.12.0"),
        ({"precision": "bf16"}, "trtllm_precision", "float16, bfloat16"),
        ({"profile": "vllm"}, "trtllm_profile", "engine"),
        ({"root": "relative"}, "trtllm_root", "absolute"),
        ({"streaming": "yes"}, "trtllm_streaming", "true or false"),
        ({"parallelism": {"tensor": 3}}, "trtllm_parallelism.tensor", "these do: 1, 2, 4, 8"),
        ({"parallelism": {"tensor": 0}}, "trtllm_parallelism.tensor", "at least 1"),
        ({"parallelism": {"tenser": 2}}, "trtllm_parallelism.tenser", "did you mean tensor"),
        ({"parallelism": {"pipeline": 3}}, "trtllm_parallelism.pipeline", "32 layers"),
        ({"parallelism": {"tensor": 8, "moe_expert": 3}}, "trtllm_parallelism.moe_tensor", "tensor parallelism, 8"),
        ({"parallelism": [8]}, "trtllm_parallelism", "mapping"),
        ({"limits": {"max_seq_len": 40000}}, "trtllm_limits.max_seq_len", "32768"),
        ({"limits": {"max_input_len": 2048}}, "trtllm_limits.max_input_len", "below max_seq_len"),
        ({"image": {"reference": "x"}}, "trtllm_image.digest", "pinned"),
        ({"image": {"digest": DIGEST}}, "trtllm_image.reference", "missing"),
        ({"image": {"source": "archive", "digest": DIGEST}}, "trtllm_image.archive", "absolute path"),
        ({"image": {"source": "tape"}}, "trtllm_image.source", "registry, archive, build"),
        ({"repository_parameters": {"tensorrt_lm": {}}}, "trtllm_repository_parameters.tensorrt_lm", "is not a model"),
        (
            {"repository_parameters": {"tensorrt_llm": {"batching_stratgy": "V1"}}},
            "trtllm_repository_parameters.tensorrt_llm.batching_stratgy",
            "did you mean batching_strategy",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(changes: dict[str, Any], variable: str, says: str) -> None:
    assert says in refused(**changes)[variable]


def test_all_problems_come_at_once() -> None:
    found = refused(model="nothing", release="9", precision="int3", parallelism={"tensor": -1}, image={})
    assert len(found) >= 6


def test_the_host_is_looked_at() -> None:
    assert "8 GPUs, the host has 4" in refused({"gpus": [A100] * 4})["trtllm_parallelism"]
    assert "install the driver" in refused({})["trtllm_gpus_required"]
    assert plan_for({}, gpus_required=False)["refusals"] == []


def test_listening_beyond_loopback_is_warned_of() -> None:
    assert any("0.0.0.0" in text for text in plan_for(server={"address": "0.0.0.0"})["warnings"])
    assert plan_for()["warnings"] == []


def test_legal_tensor_sizes_repeat_or_divide_kv_heads() -> None:
    smollm = Shape(layers=30, heads=9, kv_heads=3, hidden=576, ffn=1536, vocab=49152, max_positions=8192)
    assert legal_tensor_sizes(smollm) == [1, 3]
    mixtral = Shape(
        layers=32, heads=32, kv_heads=8, hidden=4096, ffn=14336, experts=8, vocab=32000, max_positions=32768
    )
    assert legal_tensor_sizes(mixtral) == [1, 2, 4, 8, 16, 32]
