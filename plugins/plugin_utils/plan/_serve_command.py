# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The command line, configuration file and environment of trtllm-serve, with the options and keys of its version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import TOKENIZER_DIR, merged
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS, Parallelism
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Spec

CONFIG_FILE = "/release/config.yml"
MODELS_DIR = "/release/models"
"""The weights are in a folder of it: without --served_model_name, the folder's name is the model's in the API."""

HEALTH, METRICS = "/health", "/prometheus/metrics"

NO_PARSER = "none"
SERVED_NAME, TOOL_PARSER, REASONING_PARSER = "--served_model_name", "--tool_parser", "--reasoning_parser"
# Docker publishes the port, at the address of the host that was asked for.
_EVERY_ADDRESS = "0.0.0.0"

# Rank 0 takes the option, the others this variable. The role sets those that are the same for every release.
ENVIRONMENT = {"TLLM_LOG_LEVEL": "INFO"}


def folder_of(spec: Spec) -> str:
    """The folder of the weights below MODELS_DIR."""
    return spec.served_model_name.rpartition("/")[2]


def parser_of(spec: Spec, option: str) -> str:
    """The parser that was set, or that suits the model's family; empty for none."""
    given = spec.serve.reasoning_parser if option == REASONING_PARSER else spec.serve.tool_parser
    if given:
        return "" if given == NO_PARSER else given
    known = parsers(spec.release, option)
    return next((name for name in family_parsers(spec, option) if name in known), "")


def parsers(release: Release, option: str) -> list[str]:
    """Those of the version."""
    return list(release["options"].get(option, {}).get("choices", ()))


def family_parsers(spec: Spec, option: str) -> list[str]:
    """Those that suit the model's family, whether the version has them or not."""
    return list(_family(spec).get("reasoning" if option == REASONING_PARSER else "tools", ()))


def _family(spec: Spec) -> Mapping[str, Any]:
    """Empty if it is not known, and for base models, which have learned no format."""
    name = spec.model.repository.lower()
    if name.endswith("-base"):
        return {}
    return next((family for family in spec.release["parsers"] if re.search(family["repository"], name)), {})


def chats(spec: Spec) -> bool:
    """Whether the model probably has a chat template. Not every repository's name says so."""
    return spec.model.kind == "instruct" or bool(_family(spec))


def serve_argv(spec: Spec, parallelism: Parallelism) -> list[str]:
    """Sizes are options, as in upstream's examples; the rest is in the file, because a file's kv_cache_config replaces
    that of options in early versions."""
    limits, server, options = spec.limits, spec.server, spec.release["options"]
    model = f"{MODELS_DIR}/{folder_of(spec)}"
    argv = ["trtllm-serve", model, "--host", _EVERY_ADDRESS, "--port", str(server.http_port)]
    argv += ["--tp_size", str(parallelism.tensor), "--pp_size", str(parallelism.pipeline)]
    argv += ["--ep_size", str(parallelism.moe_expert)] if parallelism.moe_expert else []
    for name in ("max_batch_size", "max_num_tokens", "max_seq_len"):
        argv += [f"--{name}", str(getattr(limits, name))]
    for option in (REASONING_PARSER, TOOL_PARSER):
        parser = parser_of(spec, option)
        argv += [option, parser] if parser else []
    argv += [SERVED_NAME, spec.served_model_name] if SERVED_NAME in options else []
    argv += ["--no-telemetry"] if "--telemetry" in options else []
    return [*argv, "--log_level", "info", "--extra_llm_api_options", CONFIG_FILE]


def planned_config(spec: Spec, parallelism: Parallelism) -> dict[str, Any]:
    """The keys of the configuration file that the plan sets."""
    serve, dtype = spec.serve, PRECISIONS[spec.precision].dtype
    keys = {
        "kv_cache_config": {
            "free_gpu_memory_fraction": spec.limits.kv_cache_fraction,
            "enable_block_reuse": serve.kv_cache_reuse,
            "dtype": serve.kv_cache_type,
        },
        "enable_chunked_prefill": serve.chunked_prefill,
        "guided_decoding_backend": None if serve.guided_decoding_backend == "none" else serve.guided_decoding_backend,
        "max_input_len": spec.limits.max_input_len if "max_input_len" in spec.explicit_limits else None,
        "moe_tensor_parallel_size": parallelism.moe_tensor,
        "dtype": None if spec.model.quantization or spec.precision == spec.model.dtype else dtype,
        "tokenizer": TOKENIZER_DIR if spec.tokenizer else None,
        # For /prometheus/metrics and /metrics.
        "return_perf_metrics": True,
        "enable_iter_perf_stats": True,
    }
    return {name: value for name, value in keys.items() if value is not None}


def config_file(spec: Spec, parallelism: Parallelism) -> dict[str, Any]:
    return merged(planned_config(spec, parallelism), spec.serve_config)
