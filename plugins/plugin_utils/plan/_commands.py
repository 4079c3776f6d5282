# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The commands of a deployment, with the flags of its TensorRT-LLM version, and the values of its model repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import (
    logits_type,
    required_build_options,
    reuses_blocks,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._options import build_words, convert_words
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS, Limits, Parallelism
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    TENSORRT_LLM,
    Server,
    Spec,
    placeholders,
)

MODEL_REPOSITORY = "/release/model_repository"
ENGINE_DIR = f"{MODEL_REPOSITORY}/tensorrt_llm/1"
TOKENIZER_DIR = "/release/tokenizer"
WEIGHTS_DIR = "/release/weights"
TRITONSERVER = "/opt/tritonserver/bin/tritonserver"
# The ensemble decodes each token of a stream alone, which loses spaces and characters.
STREAM_MODEL = "tensorrt_llm_bls"
PORTS = ("grpc", "http", "metrics")
METRICS_CONFIG = "--metrics-config"
# The start script of a release replaces it by a new random text at each start.
ADMIN_KEY = "@ADMIN_KEY@"


def convert_argv(spec: Spec, parallelism: Parallelism, examples: str) -> list[str]:
    precision = PRECISIONS[spec.precision]
    script = f"{examples}/{spec.release['convert']['scripts'][spec.model.architecture]}"
    argv = ["python3", script, "--model_dir", "/src", "--output_dir", "/dest", "--dtype", precision.dtype]
    argv += ["--tp_size", str(parallelism.tensor), "--pp_size", str(parallelism.pipeline)]
    if precision.weight_only:
        argv += ["--use_weight_only", "--weight_only_precision", precision.weight_only]
    argv += _moe_flags(spec, parallelism)
    # Each worker holds a copy of the model, so several exhaust 40 GB GPUs and the host's memory.
    return [*argv, "--workers", "1", *convert_words(spec)]


def _moe_flags(spec: Spec, parallelism: Parallelism) -> list[str]:
    tensor, expert = parallelism.moe_tensor, parallelism.moe_expert
    if not (tensor or expert):
        return []
    if "--moe_tp_size" in spec.release["convert"]["flags"]:
        return ["--moe_tp_size", str(tensor or 1), "--moe_ep_size", str(expert or 1)]
    # Before 0.11 there are two modes only: 1 distributes whole experts, 2 splits each of them.
    return ["--moe_tp_mode", "1" if (expert or 1) > 1 else "2"]


def build_argv(spec: Spec, workers: int) -> list[str]:
    limits, dtype = spec.limits, PRECISIONS[spec.precision].dtype
    argv = ["trtllm-build", "--checkpoint_dir", "/src", "--output_dir", "/dest", "--gemm_plugin", dtype]
    argv += ["--max_batch_size", str(limits.max_batch_size), "--max_input_len", str(limits.max_input_len)]
    if "--max_seq_len" in spec.release["build"]["flags"]:
        argv += ["--max_seq_len", str(limits.max_seq_len)]
    else:
        argv += ["--max_output_len", str(limits.max_seq_len - limits.max_input_len)]
    argv += ["--max_num_tokens", str(limits.max_num_tokens), "--max_beam_width", str(limits.max_beam_width)]
    return [*argv, "--workers", str(workers), *build_words(spec, required_build_options(spec))]


def launch_argv(
    release: Release,
    world_size: int,
    server: Server,
    stop_timeout: int,
    *,
    metrics: Sequence[str] = (),
    oversubscribe: bool = False,
) -> list[str]:
    """The command that upstream's launch script runs. The script itself returns at once, which would end a container.

    There is one tritonserver per rank; ranks above 0 only load the `tensorrt_llm` model and follow rank 0. Since 0.19.0
    the script passes the ports twice. It sets no exit timeout, and Triton's default of 30 seconds cuts long answers. It
    leaves all APIs open. `metrics` are settings of the metrics, which only rank 0 exports.
    """
    ports = [f"--{kind}-port={getattr(server, f'{kind}_port')}" for kind in PORTS]
    settings = [f"{METRICS_CONFIG}={name}=true" for name in metrics]
    argv = ["mpirun", "--allow-run-as-root", *(["--oversubscribe"] if oversubscribe else [])]
    for rank in range(world_size):
        argv += ["-n", "1", TRITONSERVER, f"--model-repository={MODEL_REPOSITORY}"]
        argv += ports * (release["launch"]["ports_given"] - 1)
        if rank:
            argv += ["--model-control-mode=explicit", f"--load-model={TENSORRT_LLM}"]
        argv += [*ports, "--disable-auto-complete-config", f"--exit-timeout-secs={stop_timeout}"]
        argv += [*_closed(server), *([] if rank else settings), *server.arguments]
        argv += [f"--backend-config=python,shm-region-prefix-name=prefix{rank}_", ":"]
    return argv


def _closed(server: Server) -> list[str]:
    """Flags that close APIs, by a key that nobody is told."""
    if not server.closed_apis:
        return []
    closed = f"{','.join(server.closed_apis)}:admin-key={ADMIN_KEY}"
    return [f"--http-restricted-api={closed}", f"--grpc-restricted-protocol={closed}"]


def metrics_settings(spec: Spec) -> list[str]:
    """What the rules of role observability need: percentiles of the queue, and when the first part of a stream is sent.

    Only a model for streams tells how long users wait for the first token: other models send an answer as a whole, and
    that of the LLM API does both.
    """
    streams = spec.profile == "engine" and spec.streaming
    wanted = {"summary_latencies", *(["histogram_latencies"] if streams else [])}
    return [name for name in spec.release["launch"]["metrics_config"] if name in wanted]


def planned_flags(spec: Spec) -> set[str]:
    """The flags of tritonserver that the plan sets, and another name of one."""
    words = launch_argv(spec.release, 2, Server(), 0, metrics=metrics_settings(spec))
    return {flag_of(word) for word in words if word.startswith("--")} | {"--model-store"}


def flag_of(argument: str) -> str:
    """The flag of an argument of tritonserver, with the setting if there is a value for each setting."""
    flag, _equals, value = argument.partition("=")
    return f"{flag}={value.partition('=')[0]}" if flag == METRICS_CONFIG else flag


def engine_repository(spec: Spec) -> dict[str, dict[str, str]]:
    """Values by Triton model and placeholder, for the placeholders in this version's templates."""
    values = _placeholder_values(spec)
    repository = {}
    for model in spec.models:
        own = {name: values[name] for name in placeholders(spec.release, model) if name in values}
        filled = {**own, **spec.repository_parameters.get(model, {})}
        repository[model] = {name: str(value) for name, value in filled.items() if value is not None}
    return repository


def _placeholder_values(spec: Spec) -> dict[str, str]:
    limits = spec.limits
    return {
        "triton_max_batch_size": str(limits.max_batch_size),
        "triton_backend": "tensorrtllm",
        "decoupled_mode": str(spec.streaming),
        "max_queue_delay_microseconds": "0",
        "max_queue_size": "0",
        "batching_strategy": "inflight_fused_batching",
        "engine_dir": ENGINE_DIR,
        "tokenizer_dir": TOKENIZER_DIR,
        "tokenizer_type": "auto",
        # In 0.9 and 0.10, no BOS token is added if this is not filled.
        "add_special_tokens": "True",
        "skip_special_tokens": "True",
        "preprocessing_instance_count": "1",
        "postprocessing_instance_count": "1",
        "bls_instance_count": "1",
        # Decodes the tokens of a stream as a whole.
        "accumulate_tokens": str(spec.streaming),
        "tensorrt_llm_model_name": TENSORRT_LLM,
        "max_beam_width": str(limits.max_beam_width),
        "kv_cache_free_gpu_mem_fraction": str(limits.kv_cache_fraction),
        "logits_datatype": logits_type(spec),
        # Upstream cannot reuse blocks with several beams, and the server would not start.
        **({"enable_kv_cache_reuse": "False"} if spec.limits.max_beam_width > 1 and reuses_blocks(spec) else {}),
        "encoder_input_features_data_type": "TYPE_FP16",
        "prompt_embedding_table_data_type": "TYPE_FP16",
    }


def llmapi_repository(spec: Spec, parallelism: Parallelism) -> dict[str, dict[str, Any]]:
    """The arguments of LLM() in model.yaml that this version supports, and those that the user added."""
    limits = spec.limits
    arguments = {
        "model": WEIGHTS_DIR,
        "tokenizer": TOKENIZER_DIR if spec.tokenizer else None,
        "backend": "pytorch",
        "dtype": PRECISIONS[spec.precision].dtype if spec.precision != spec.model.dtype else None,
        "tensor_parallel_size": parallelism.tensor,
        "pipeline_parallel_size": parallelism.pipeline,
        "moe_tensor_parallel_size": parallelism.moe_tensor,
        "moe_expert_parallel_size": parallelism.moe_expert,
        **_supported(spec, llmapi_limits(limits)),
    }
    planned = {name: value for name, value in arguments.items() if value is not None}
    planned["triton_config"] = {"max_batch_size": 0, "decoupled": spec.streaming}
    return {TENSORRT_LLM: merged(planned, spec.repository_parameters.get(TENSORRT_LLM, {}))}


def llmapi_limits(limits: Limits) -> dict[str, Any]:
    """The limits under the names of LLM()'s arguments."""
    return {
        "max_batch_size": limits.max_batch_size,
        "max_input_len": limits.max_input_len,
        "max_seq_len": limits.max_seq_len,
        "max_num_tokens": limits.max_num_tokens,
        "max_beam_width": limits.max_beam_width,
        "kv_cache_config": {"free_gpu_memory_fraction": limits.kv_cache_fraction},
    }


def _supported(spec: Spec, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in spec.release["llmapi"]["model_yaml"]}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base`, recursively updated with `changes`."""
    result = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], value) if both else value
    return result


def repository_overrides(spec: Spec) -> Mapping[str, Mapping[str, Any]]:
    """Fields of the models' configurations. The LLM API's model sets this one in code that the launch flags disable."""
    if spec.profile == "engine":
        return spec.repository_overrides
    decoupled = {TENSORRT_LLM: {"model_transaction_policy": {"decoupled": spec.streaming}}}
    return merged(decoupled, spec.repository_overrides)
