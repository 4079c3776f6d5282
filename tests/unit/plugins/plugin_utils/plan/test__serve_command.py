# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, file and environment of trtllm-serve."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_command import (
    CONFIG_FILE,
    MODELS_DIR,
    REASONING_PARSER,
    TOOL_PARSER,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, accepted, flag, host

VERSIONS = list(CATALOGUE.serve)
SHAPE = {"layers": 2, "heads": 4, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 100, "max_positions": 4096}


def service(release: str = "1.2.1", **request: Any) -> Any:
    request = {"model": "qwen2.5-7b-instruct", "profile": "serve", **request}
    return accepted(host("VM.GPU.A10.1"), release=release, **request)["serve_service"]


def argv(release: str = "1.2.1", **request: Any) -> list[str]:
    words: list[str] = service(release, **request)["container"]["command"]
    return words


def config(release: str = "1.2.1", **request: Any) -> Any:
    return service(release, **request)["release"]["config"]


def named(repository: str) -> dict[str, Any]:
    return {"repository": repository, "revision": "a" * 40, "architecture": "Qwen3ForCausalLM", "shape": SHAPE}


@pytest.mark.parametrize("release", VERSIONS)
def test_options_and_keys_are_those_of_the_version(release: str) -> None:
    known = CATALOGUE.serve[release]
    spellings = set(known["options"]) | {o["negation"] for o in known["options"].values() if "negation" in o}
    made = service(release, serve={"kv_cache_type": "auto"}, limits={"max_input_len": 100}, precision="float16")
    words = made["container"]["command"]
    assert {word for word in words if word.startswith("--")} <= spellings
    keys, nested = known["config"]["keys"], known["config"]["nested"]
    for name, value in made["release"]["config"].items():
        assert name in keys
        assert set(value) <= set(nested[name]) if isinstance(value, dict) else True


def test_the_container_listens_for_the_port_that_docker_publishes() -> None:
    made = service(server={"http_port": 8123})
    words = made["container"]["command"]
    assert (flag(words, "--host"), flag(words, "--port")) == ("0.0.0.0", "8123")
    assert made["endpoint"]["ports"] == [8123]
    assert made["endpoint"]["address"] == "127.0.0.1"
    assert flag(words, "--extra_llm_api_options") == CONFIG_FILE


def test_sizes_are_options_and_the_cache_is_in_the_file() -> None:
    limits = {"max_batch_size": 4, "max_seq_len": 3000, "max_num_tokens": 2000, "kv_cache_fraction": 0.5}
    words, keys = argv(limits=limits), config(limits=limits)
    assert [flag(words, f"--{name}") for name in list(limits)[:3]] == ["4", "3000", "2000"]
    assert keys["kv_cache_config"]["free_gpu_memory_fraction"] == 0.5
    assert not [word for word in words if "fraction" in word]


@pytest.mark.parametrize("release", ["1.0.0", "1.2.1"])
def test_the_models_name_is_that_of_its_folder(release: str) -> None:
    made = service(release, served_model_name="chat")
    words = made["container"]["command"]
    assert words[1] == f"{MODELS_DIR}/chat"
    assert made["release"]["model"] == made["endpoint"]["model"] == "chat"
    assert "--served_model_name" not in words


def test_the_models_name_is_an_option_if_the_version_has_it() -> None:
    made = service("1.3.0rc29", served_model_name="acme/chat")
    words = made["container"]["command"]
    assert words[1] == f"{MODELS_DIR}/chat"
    assert made["release"]["model"] == "chat"
    assert made["endpoint"]["model"] == flag(words, "--served_model_name") == "acme/chat"


@pytest.mark.parametrize(
    ("repository", "release", "reasoning", "tools"),
    [
        ("Qwen/Qwen3-8B", "1.3.0rc29", "qwen3", "qwen3"),
        ("Qwen/Qwen3-8B", "1.1.0", "", ""),
        ("Qwen/Qwen3-8B-Base", "1.3.0rc29", "", ""),
        ("Qwen/Qwen3-4B-Instruct-2507", "1.2.1", "", "qwen3"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "1.2.1", "", "qwen3_coder"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "1.0.0", "deepseek-r1", ""),
        ("deepseek-ai/DeepSeek-V3.1", "1.2.1", "", "deepseek_v31"),
        ("moonshotai/Kimi-K2-Thinking", "1.3.0rc29", "kimi_k2", "kimi_k2"),
        ("zai-org/GLM-4.7", "1.3.0rc29", "", "glm47"),
        ("me/own-Instruct", "1.3.0rc29", "", ""),
    ],
)
def test_parsers_suit_the_family_and_the_version(repository: str, release: str, reasoning: str, tools: str) -> None:
    words = argv(release, model=named(repository))
    for option, expected in ((REASONING_PARSER, reasoning), (TOOL_PARSER, tools)):
        assert (flag(words, option) if option in words else "") == expected


def test_parsers_can_be_set_and_switched_off() -> None:
    words = argv(model=named("Qwen/Qwen3-8B"), serve={"reasoning_parser": "deepseek-r1", "tool_parser": "none"})
    assert flag(words, REASONING_PARSER) == "deepseek-r1"
    assert TOOL_PARSER not in words


def test_every_parser_of_a_family_is_one_of_a_version() -> None:
    known = {
        option: {name for one in CATALOGUE.serve.values() for name in one["options"].get(option, {}).get("choices", ())}
        for option in (REASONING_PARSER, TOOL_PARSER)
    }
    for family in CATALOGUE.serve["1.2.1"]["parsers"]:
        assert set(family["reasoning"]) <= known[REASONING_PARSER], family
        assert set(family["tools"]) <= known[TOOL_PARSER], family
        assert re.compile(family["repository"])


@pytest.mark.parametrize(
    ("model", "proof"),
    [
        ("qwen2.5-7b-instruct", {"chat": True, "reasoning": False, "max_tokens": 64, "max_seq_len": 2048}),
        ("llama-3.1-8b", {"chat": False, "reasoning": False, "max_tokens": 64, "max_seq_len": 2048}),
        (named("Qwen/Qwen3-8B"), {"chat": True, "reasoning": True, "max_tokens": 1024, "max_seq_len": 4096}),
    ],
)
def test_the_proof_asks_for_what_the_model_can_do(model: Any, proof: dict[str, Any]) -> None:
    assert service(model=model)["proof"] == proof


def test_a_proof_fits_into_a_sequence() -> None:
    limits = {"max_seq_len": 100, "max_input_len": 50, "max_num_tokens": 100, "max_batch_size": 2}
    assert service(model=named("Qwen/Qwen3-8B"), limits=limits)["proof"]["max_tokens"] == 50


def test_experts_are_an_option_and_a_key() -> None:
    request = {"model": "mixtral-8x7b-instruct", "profile": "serve", "release": "1.2.1"}
    made = accepted(parallelism={"tensor": 8, "moe_tensor": 2, "moe_expert": 4}, **request)["serve_service"]
    assert flag(made["container"]["command"], "--ep_size") == "4"
    assert made["release"]["config"]["moe_tensor_parallel_size"] == 2
    assert "--ep_size" not in accepted(**request)["serve_service"]["container"]["command"]


def test_choices_are_in_the_file() -> None:
    chosen = {"chunked_prefill": True, "kv_cache_reuse": False, "guided_decoding_backend": "llguidance"}
    keys = config(serve=chosen, tokenizer="qwen2.5-0.5b-instruct", precision="float16")
    assert keys["kv_cache_config"]["enable_block_reuse"] is False
    assert (keys["enable_chunked_prefill"], keys["guided_decoding_backend"]) == (True, "llguidance")
    assert (keys["tokenizer"], keys["dtype"]) == ("/release/tokenizer", "float16")
    assert (keys["return_perf_metrics"], keys["enable_iter_perf_stats"]) == (True, True)
    assert "guided_decoding_backend" not in config(serve={"guided_decoding_backend": "none"})
    assert "trust_remote_code" not in keys


def test_further_keys_are_added_to_those_of_the_plan() -> None:
    added = {"cuda_graph_config": None, "kv_cache_config": {"host_cache_size": 10}}
    keys = config(serve_config=added)
    assert keys["cuda_graph_config"] is None
    assert (keys["kv_cache_config"]["host_cache_size"], keys["kv_cache_config"]["dtype"]) == (10, "auto")
    changed, plain = service(serve_config=added), service()
    assert changed["release_dir"] != plain["release_dir"]


def test_telemetry_is_off_where_it_is_an_option() -> None:
    for release, known in CATALOGUE.serve.items():
        assert ("--no-telemetry" in argv(release)) == ("--telemetry" in known["options"])


def test_all_ranks_have_the_same_log_level() -> None:
    made = service()
    level = flag(made["container"]["command"], "--log_level")
    assert made["container"]["environment"]["TLLM_LOG_LEVEL"] == level.upper()
