# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of upstream's commands that the user adds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._options import BUILD, CONVERT
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, refused


def commands(release: str = "1.2.1", **request: Any) -> tuple[list[str], list[str]]:
    """The commands that convert and build."""
    build = accepted(release=release, image=IMAGE, **request)["engine_build"]
    return build["checkpoint"].get("command", []), build["engine"]["command"]


def test_options_are_passed_on_in_the_notation_of_the_command() -> None:
    added = {"lora_plugin": "auto", "--lora_target_modules": ["attn_q", "attn_v"], "max_lora_rank": 32}
    _convert, build = commands(build_options={**added, "gather_context_logits": True, "monitor_memory": False})
    words = "--gather_context_logits --lora_plugin auto --lora_target_modules attn_q attn_v --max_lora_rank 32"
    assert " ".join(build).endswith(words)


@pytest.mark.parametrize(("value", "word"), [("enable", "enable"), (True, "enable"), (False, "disable")])
def test_yaml_turns_words_of_an_option_into_booleans(value: Any, word: str) -> None:
    assert commands(build_options={"use_fp8_context_fmha": value})[1][-2:] == ["--use_fp8_context_fmha", word]


def test_options_of_the_converter_choose_upstreams() -> None:
    convert, _build = commands(convert_options={"load_model_on_cpu": True, "rotary_base": 10000.0})
    assert convert[-3:] == ["--load_model_on_cpu", "--rotary_base", "10000.0"]
    said = refused(converter="native", convert_options={"load_model_on_cpu": True})
    assert "those of upstream's converter" in said["trtllm_converter"]


def test_options_change_the_artifacts_that_they_affect() -> None:
    plain, build = accepted()["artifacts"], accepted(build_options={"reduce_fusion": "enable"})["artifacts"]
    assert plain["engine"]["key"] != build["engine"]["key"]
    assert plain["checkpoint"] == build["checkpoint"]
    upstream = accepted(converter="upstream")["artifacts"]
    convert = accepted(convert_options={"use_parallel_embedding": True})["artifacts"]
    assert upstream["checkpoint"]["key"] != convert["checkpoint"]["key"]


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_what_the_plan_sets_is_refused(release: str) -> None:
    request: dict[str, Any] = {"release": release, "image": IMAGE, "precision": "int8_weight_only"}
    split = {"tensor": 8, "moe_expert": 8, "moe_tensor": 1}
    build_section = accepted(converter="upstream", parallelism=split, **request)["engine_build"]
    convert, build = (build_section[name]["command"] for name in ("checkpoint", "engine"))
    for command, argv in ((CONVERT, convert), (BUILD, build)):
        flags = [word for word in argv if word.startswith("--")]
        assert len(flags) > 5
        for flag in flags:
            said = refused(**request, **{command.variable: {flag: "1"}})
            assert "set by the plan" in said[f"trtllm_{command.variable}.{flag[2:]}"]


@pytest.mark.parametrize(
    ("variable", "option", "value", "words"),
    [
        ("build_options", "lora_plugn", "auto", "did you mean --lora_plugin?"),
        ("build_options", "use_custom_all_reduce", "disable", "TensorRT-LLM 1.2.1 has no option"),
        ("build_options", "max_batch_size", 64, "use trtllm_limits.max_batch_size instead"),
        ("build_options", "gemm_plugin", "auto", "use trtllm_precision instead"),
        ("build_options", "workers", 2, "remove it here"),
        ("build_options", "lora_plugin", "fp16", "'fp16' is not one of: auto, float16"),
        ("build_options", "gather_context_logits", "enable", "without a value"),
        ("build_options", "max_draft_len", "ten", "must be a number"),
        ("build_options", "max_draft_len", "1 --strip_plan", "without spaces"),
        ("build_options", "logits_dtype", ["--strip_plan"], "without spaces"),
        ("build_options", "logits_dtype", [], "must be a word"),
        ("build_options", "lora_plugin", None, "must be text"),
        ("build_options", "lora_plugin", {"a": 1}, "must be text"),
        ("build_options", "max_lora_rank", 8, "no effect without LoRA"),
        ("build_options", "remove_input_padding", "disable", "packed inputs"),
        ("build_options", "kv_cache_type", "CONTINUOUS", "a paged KV cache"),
        ("build_options", "dry_run", True, "no complete engine"),
        ("build_options", "lora_dir", "/srv/lora", "names a file"),
        ("convert_options", "use_parallel_embeding", True, "did you mean --use_parallel_embedding?"),
        ("convert_options", "tp_size", 2, "use trtllm_parallelism instead"),
        ("convert_options", "use_weight_only", True, "use trtllm_precision instead"),
        ("convert_options", "save_config_only", True, "no complete engine"),
    ],
)
def test_a_wrong_option_is_refused(variable: str, option: str, value: Any, words: str) -> None:
    assert words in refused(**{variable: {option: value}})[f"trtllm_{variable}.{option}"]


@pytest.mark.parametrize("value", ["x", ["--lora_plugin=auto"], {1: 2}, {"a b": 1}, {"": 1}])
def test_options_must_be_a_mapping_of_names(value: Any) -> None:
    assert "trtllm_build_options" in refused(build_options=value)


def test_an_option_cannot_be_set_twice() -> None:
    said = refused(build_options={"lora_plugin": "auto", "--lora_plugin": "float16"})
    assert said["trtllm_build_options.lora_plugin"] == "is set twice"


def test_an_option_of_an_earlier_version_is_known_there() -> None:
    assert commands("0.9.0", build_options={"use_custom_all_reduce": "disable"})[1][-1] == "disable"


@pytest.mark.parametrize("request_", [{"profile": "llmapi"}, {"engine_dir": "/srv/engine"}])
def test_without_a_build_there_are_no_options(request_: dict[str, Any]) -> None:
    for variable in ("build_options", "convert_options"):
        said = refused(image=IMAGE, **request_, **{variable: {"log_level": "info"}})
        assert "converts and builds nothing" in said[f"trtllm_{variable}"]
