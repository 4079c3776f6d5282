# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, checked against each version's own flags and against recorded runs of upstream's launch script."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import TRITONSERVER, merged
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    flag,
    host,
    refused,
)

RELEASES = list(CATALOGUE.releases)
LLMAPI_RELEASES = [name for name in RELEASES if "llmapi" in CATALOGUE.releases[name]["profiles"]]
PARALLELISMS: list[dict[str, int]] = [
    {},
    {"tensor": 4, "pipeline": 2},
    {"tensor": 8, "moe_expert": 8},
    {"tensor": 8, "moe_tensor": 8},
]
PRECISIONS = ["float16", "bfloat16", "float32", "int8_weight_only", "int4_weight_only"]


# Fits in float32 on eight GPUs, and in float16 on one.
ROOMY = host("BM.GPU.H100.8", gpus=[{"name": "NVIDIA H200", "memory_mib": 144384}] * 8)


def planned(release: str, **request: Any) -> dict[str, Any]:
    """A plan with upstream's converter, whose flags are also checked here."""
    return accepted(ROOMY, release=release, image=IMAGE, converter="upstream", **request)


@pytest.mark.parametrize("release", RELEASES)
def test_commands_only_have_flags_and_values_of_the_version(release: str) -> None:
    facts = CATALOGUE.releases[release]
    for request in (
        *({"parallelism": parallelism} for parallelism in PARALLELISMS),
        *({"precision": precision, "parallelism": {"tensor": 8}} for precision in PRECISIONS),
    ):
        plan = planned(release, **request)
        assert_flags(plan["engine_build"]["checkpoint"]["command"][2:], facts["convert"]["flags"])
        assert_flags(plan["engine_build"]["engine"]["command"][1:], facts["build"]["flags"])


def assert_flags(argv: list[str], known: dict[str, dict[str, Any]]) -> None:
    """A switch has no value; any other flag has one, which must be a valid choice."""
    rest, seen = list(argv), set()
    assert rest
    while rest:
        name = rest.pop(0)
        assert name in known and name not in seen
        seen.add(name)
        if not known[name].get("switch"):
            value = rest.pop(0)
            assert not value.startswith("--")
            assert value in {str(choice) for choice in known[name].get("choices", [value])}, name


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("model", ["mixtral-8x7b", "llama-3-8b-instruct", "mistral-7b", "qwen2.5-7b-instruct"])
def test_the_script_matches_the_architecture(release: str, model: str) -> None:
    scripts = CATALOGUE.releases[release]["convert"]["scripts"]
    architecture = CATALOGUE.models[model]["architecture"]
    if architecture in scripts:
        script = planned(release, model=model)["engine_build"]["checkpoint"]["command"][1]
        assert script.startswith("/") and script.endswith(f"/{scripts[architecture]}")


def test_old_versions_limit_output_tokens() -> None:
    limits = {"max_input_len": 100, "max_seq_len": 300}
    old, new = (planned(release, limits=limits)["engine_build"]["engine"]["command"] for release in ("0.9.0", "1.2.1"))
    assert flag(old, "--max_output_len") == "200" and "--max_seq_len" not in old
    assert flag(new, "--max_seq_len") == "300" and "--max_output_len" not in new


@pytest.mark.parametrize(
    ("release", "split", "words"),
    [
        ("0.9.0", {"moe_expert": 8}, ["--moe_tp_mode", "1"]),
        ("0.9.0", {"moe_tensor": 8}, ["--moe_tp_mode", "2"]),
        ("0.10.0", {"moe_expert": 8}, ["--moe_tp_mode", "1"]),
        ("0.11.0", {"moe_expert": 8}, ["--moe_tp_size", "1", "--moe_ep_size", "8"]),
        ("1.2.1", {"moe_expert": 4, "moe_tensor": 2}, ["--moe_tp_size", "2", "--moe_ep_size", "4"]),
    ],
)
def test_experts_are_split_with_the_flags_of_the_version(release: str, split: dict[str, int], words: list[str]) -> None:
    argv = planned(release, parallelism={"tensor": 8, **split})["engine_build"]["checkpoint"]["command"]
    assert words == argv[argv.index(words[0]) : -2]


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        ("float16", ["--dtype", "float16"]),
        ("bfloat16", ["--dtype", "bfloat16"]),
        ("int8_weight_only", ["--dtype", "float16", "--use_weight_only", "--weight_only_precision", "int8"]),
        ("int4_weight_only", ["--dtype", "float16", "--use_weight_only", "--weight_only_precision", "int4"]),
    ],
)
def test_a_precision_sets_the_data_type_and_the_weight_format(precision: str, words: list[str]) -> None:
    plan = planned("0.12.0", precision=precision)
    argv = plan["engine_build"]["checkpoint"]["command"]
    assert [word for word in argv if word in words] == words
    assert flag(plan["engine_build"]["engine"]["command"], "--gemm_plugin") == words[1]


# --- repositories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_every_required_placeholder_and_no_unknown_one_is_filled(release: str) -> None:
    plan = planned(release)
    groups = CATALOGUE.releases[release]["placeholders"]
    parameters = plan["model_repo"]["release"]["parameters"]
    assert set(parameters) == set(groups)
    for model, names in groups.items():
        required = set(names["required_to_parse"] + names["required_for_sense"])
        filled = parameters[model]
        assert required <= set(filled) <= required | set(names["optional"]), model
        assert all(isinstance(value, str) and value for value in filled.values())


def test_values_of_the_user_win() -> None:
    own = {"kv_cache_free_gpu_mem_fraction": 0.5, "max_queue_size": 7, "enable_kv_cache_reuse": True}
    filled = planned("1.2.1", repository_parameters={"tensorrt_llm": own})["model_repo"]["release"]["parameters"][
        "tensorrt_llm"
    ]
    assert [filled[name] for name in own] == ["0.5", "7", "True"]


def test_limits_reach_the_placeholders() -> None:
    limits = {"max_batch_size": 5, "max_beam_width": 2, "kv_cache_fraction": 0.7}
    repository = planned("1.2.1", limits=limits, streaming=False)["model_repo"]["release"]["parameters"]
    assert {entry["triton_max_batch_size"] for entry in repository.values()} == {"5"}
    engine = repository["tensorrt_llm"]
    assert (engine["max_beam_width"], engine["kv_cache_free_gpu_mem_fraction"]) == ("2", "0.7")
    assert engine["decoupled_mode"] == "False"


@pytest.mark.parametrize("release", LLMAPI_RELEASES)
def test_the_llm_api_only_gets_arguments_that_it_has(release: str) -> None:
    split = {"tensor": 4, "moe_tensor": 2, "moe_expert": 2}
    plan = planned(release, profile="llmapi", parallelism=split, tokenizer="mixtral-8x7b", precision="float16")
    model_yaml = plan["model_repo"]["release"]["llm_args"]["tensorrt_llm"]
    assert set(model_yaml) <= set(CATALOGUE.releases[release]["llmapi"]["model_yaml"])
    assert (model_yaml["model"], model_yaml["tokenizer"]) == ("/release/weights", "/release/tokenizer")
    parts = [model_yaml[f"{part}_parallel_size"] for part in ("tensor", "pipeline", "moe_tensor", "moe_expert")]
    assert parts == [4, 1, 2, 2]
    assert model_yaml["dtype"] == "float16"
    assert model_yaml["kv_cache_config"] == {"free_gpu_memory_fraction": 0.9}
    assert model_yaml["triton_config"] == {"max_batch_size": 0, "decoupled": True}


def test_streams_are_decoded_as_a_whole_and_proved() -> None:
    """The ensemble decodes each token of a stream alone."""
    plan = planned("0.9.0")
    assert plan["model_repo"]["release"]["parameters"]["tensorrt_llm_bls"]["accumulate_tokens"] == "True"
    proof = {"model": "ensemble", "max_tokens_field": "max_tokens"}
    assert plan["triton_service"]["proof"] == {**proof, "stream_model": "tensorrt_llm_bls"}
    assert planned("0.9.0", streaming=False)["triton_service"]["proof"] == proof
    assert planned("1.2.1", profile="llmapi")["triton_service"]["proof"]["stream_model"] == "tensorrt_llm"


@pytest.mark.parametrize("release", LLMAPI_RELEASES)
def test_the_llm_api_builds_nothing_and_has_its_own_request_field(release: str) -> None:
    plan = planned(release, profile="llmapi", streaming=False)
    assert plan["engine_build"] == {} and not {"checkpoint", "engine"} & set(plan["artifacts"])
    assert plan["model_repo"]["release"]["overrides"] == {
        "tensorrt_llm": {"model_transaction_policy": {"decoupled": False}}
    }
    assert plan["triton_service"]["proof"] == {"model": "tensorrt_llm", "max_tokens_field": "sampling_param_max_tokens"}
    assert plan["triton_service"]["container"]["tmpfs"] == "/tmp:exec,size=8g"


def test_arguments_of_the_llm_api_can_be_set() -> None:
    own = {"max_batch_size": 3, "kv_cache_config": {"enable_block_reuse": False}, "enable_chunked_prefill": True}
    parameters = {"tensorrt_llm": own}
    plan = planned("1.2.1", profile="llmapi", repository_parameters=parameters, limits={"max_batch_size": 3})
    model_yaml = plan["model_repo"]["release"]["llm_args"]["tensorrt_llm"]
    assert model_yaml["max_batch_size"] == 3 and model_yaml["enable_chunked_prefill"] is True
    assert model_yaml["kv_cache_config"] == {"free_gpu_memory_fraction": 0.9, "enable_block_reuse": False}


def test_overrides_win_over_required_arguments_of_the_llm_api() -> None:
    own = {"tensorrt_llm": {"model_transaction_policy": {"decoupled": False}, "max_batch_size": 4}}
    plan = planned("1.2.1", profile="llmapi", repository_overrides=own, streaming=False)
    assert plan["model_repo"]["release"]["overrides"] == own


def test_merging_does_not_change_its_inputs() -> None:
    base, changes = {"a": {"b": 1}, "c": 2}, {"a": {"d": 3}, "c": {"e": 4}}
    assert merged(base, changes) == {"a": {"b": 1, "d": 3}, "c": {"e": 4}}
    assert (base, changes) == ({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}, "c": {"e": 4}})


# --- the launch line, written down from runs of upstream's scripts with `--model_repo /release/model_repository` -----

BEFORE_0_19 = """
-n 1 /opt/tritonserver/bin/tritonserver --model-repository=/release/model_repository
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--disable-auto-complete-config --backend-config=python,shm-region-prefix-name=prefix0_ :
-n 1 /opt/tritonserver/bin/tritonserver --model-repository=/release/model_repository
--model-control-mode=explicit --load-model=tensorrt_llm
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--disable-auto-complete-config --backend-config=python,shm-region-prefix-name=prefix1_ :
"""
SINCE_0_19 = """
-n 1 /opt/tritonserver/bin/tritonserver --model-repository=/release/model_repository
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--disable-auto-complete-config --backend-config=python,shm-region-prefix-name=prefix0_ :
-n 1 /opt/tritonserver/bin/tritonserver --model-repository=/release/model_repository
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--model-control-mode=explicit --load-model=tensorrt_llm
--grpc-port=8001 --http-port=8000 --metrics-port=8002
--disable-auto-complete-config --backend-config=python,shm-region-prefix-name=prefix1_ :
"""


CLOSED = "shared-memory,trace,logging:admin-key=@ADMIN_KEY@"
OURS = ["--exit-timeout-secs=60", f"--http-restricted-api={CLOSED}", f"--grpc-restricted-protocol={CLOSED}"]


def upstream(release: str, world_size: int, *metrics: str) -> list[str]:
    """The recorded command with our exit timeout, closed APIs and, for rank 0, metrics.

    All ranks after the second are like the second.
    """
    words = (SINCE_0_19 if RELEASES.index(release) >= RELEASES.index("0.19.0") else BEFORE_0_19).split()
    end = words.index(":") + 1
    first, second = words[:end], words[end:]
    others = [[word.replace("prefix1_", f"prefix{rank}_") for word in second] for rank in range(1, world_size)]
    words = ["mpirun", "--allow-run-as-root", *first, *(word for other in others for word in other)]
    settings = [f"--metrics-config={name}=true" for name in metrics]
    ours = {"--backend-config=python,shm-region-prefix-name=prefix0_": [*OURS, *settings]}
    return [
        part
        for word in words
        for part in ([*ours.get(word, OURS), word] if word.startswith("--backend-config") else [word])
    ]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("world_size", [1, 2, 8])
def test_the_launch_command_is_upstreams(release: str, world_size: int) -> None:
    metrics = CATALOGUE.releases[release]["launch"]["metrics_config"]
    assert planned(release, parallelism={"tensor": world_size})["triton_service"]["container"]["command"] == upstream(
        release, world_size, *metrics
    )


@pytest.mark.parametrize("release", RELEASES)
def test_first_parts_are_only_timed_for_models_that_stream(release: str) -> None:
    """They are whole answers if the engine does not stream, and may be if the LLM API does."""
    plans = [planned(release, streaming=False)]
    if release in LLMAPI_RELEASES:
        plans.append(planned(release, profile="llmapi"))
    for plan in plans:
        command = plan["triton_service"]["container"]["command"]
        assert [word for word in command if "metrics-config" in word] == ["--metrics-config=summary_latencies=true"]


@pytest.mark.parametrize("release", LLMAPI_RELEASES)
def test_the_llm_api_starts_its_ranks_by_itself(release: str) -> None:
    plan = planned(release, profile="llmapi", parallelism={"tensor": 8})
    assert plan["triton_service"]["container"]["command"] == upstream(release, 1, "summary_latencies")


def test_ports_are_those_of_the_request() -> None:
    server = {"http_port": 9000, "grpc_port": 9001, "metrics_port": 9002}
    plan = planned("0.12.0", server=server)
    for port in ("--http-port=9000", "--grpc-port=9001", "--metrics-port=9002"):
        assert plan["triton_service"]["container"]["command"].count(port) == plan["parallelism"]["world_size"]
    assert plan["server"]["ports"] == {"http": 9000, "grpc": 9001, "metrics": 9002}
    assert plan["triton_service"]["endpoint"]["http_port"] == 9000


@pytest.mark.parametrize("release", RELEASES)
def test_the_server_has_every_flag_of_the_launch_command(release: str) -> None:
    command = planned(release, parallelism={"tensor": 2})["triton_service"]["container"]["command"]
    own = command[command.index(TRITONSERVER) :]
    flags = {word.partition("=")[0] for word in own if word.startswith("--")}
    assert flags <= set(CATALOGUE.releases[release]["launch"]["server_flags"])


def command(**server: Any) -> list[str]:
    planned: list[str] = accepted(server=server, parallelism={"tensor": 2})["triton_service"]["container"]["command"]
    return planned


def test_closed_apis_can_be_chosen() -> None:
    assert not [word for word in command(closed_apis=[]) if "restricted" in word]
    words = command(closed_apis=["statistics", "trace"])
    assert words.count("--http-restricted-api=statistics,trace:admin-key=@ADMIN_KEY@") == words.count(TRITONSERVER)
    assert list(refused(server={"closed_apis": ["sharedmemory"]})) == ["trtllm_server.closed_apis"]
    assert list(refused(server={"closed_apis": ["trace", "trace"]})) == ["trtllm_server.closed_apis"]


@pytest.mark.parametrize("api", ["model-repository", "health", "metadata", "inference"])
def test_apis_that_the_proof_of_a_release_needs_stay_open(api: str) -> None:
    assert list(refused(server={"closed_apis": [api]})) == ["trtllm_server.closed_apis"]


def test_further_arguments_reach_every_rank() -> None:
    words = command(arguments=["--log-verbose=1", "--rate-limit=off"])
    assert words.count("--log-verbose=1") == words.count("--rate-limit=off") == words.count(TRITONSERVER) > 1


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--http-port=9000", "--http-port is set by the plan"),
        ("--http-restricted-api=trace:a=b", "--http-restricted-api is set by the plan"),
        ("--model-store=/elsewhere", "--model-store is set by the plan"),
        ("--load-model=*", "--load-model is set by the plan"),
        ("--metrics-config=summary_latencies=false", "--metrics-config=summary_latencies is set by the plan"),
        ("--log-verbos=1", "has no flag --log-verbos (did you mean --log-verbose?)"),
        ("--http-max-input-size=1048576", "Triton of TensorRT-LLM 0.12.0 has no flag --http-max-input-size"),
        ("--log-verbose", "must have the form --flag=value"),
        ("--log-verbose 1", "must have the form --flag=value"),
        ("log-verbose=1", "must have the form --flag=value"),
        ("--log-file=/tmp/a b", "must have the form --flag=value"),
        (":", "must have the form --flag=value"),
    ],
)
def test_an_argument_that_cannot_work_is_refused(argument: str, words: str) -> None:
    said = refused(release="0.12.0", server={"arguments": [argument]})
    assert list(said) == ["trtllm_server.arguments"] and words in str(said)


def test_further_settings_of_the_metrics_can_be_set() -> None:
    own = "--metrics-config=summary_quantiles=0.95:0.001"
    words = command(arguments=[own])
    assert own in words and "--metrics-config=summary_latencies=true" in words


def test_the_size_of_requests_can_be_limited_where_triton_supports_it() -> None:
    plan = planned("1.2.1", server={"arguments": ["--http-max-input-size=1048576"]})
    assert "--http-max-input-size=1048576" in plan["triton_service"]["container"]["command"]


def test_the_server_and_the_unit_give_requests_the_same_time_to_finish() -> None:
    service = accepted(stop_timeout=300)["triton_service"]
    ranks = service["container"]["command"].count("--exit-timeout-secs=300")
    assert service["stop_timeout"] == 300 and ranks == accepted()["parallelism"]["world_size"]
    assert list(refused(stop_timeout=0)) == list(refused(stop_timeout=3601)) == ["trtllm_stop_timeout"]


def test_more_ranks_than_processors_are_oversubscribed() -> None:
    few = accepted(host(processors=2), parallelism={"tensor": 8})["triton_service"]["container"]["command"]
    assert few[:3] == ["mpirun", "--allow-run-as-root", "--oversubscribe"]
