# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's trtllm-serve takes the command line and the file of a plan, and gets the plan's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, accepted, host
from click.testing import CliRunner
from tensorrt_llm.serve.arguments import llm_arguments
from tensorrt_llm.serve.command_line import Given, make_command
from tensorrt_llm.serve.versions import load_version

LIMITS = {"max_batch_size": 4, "max_seq_len": 3000, "max_num_tokens": 2000, "kv_cache_fraction": 0.6}
REQUESTS: list[dict[str, Any]] = [
    {"model": "smollm2-135m-instruct", "parallelism": {"tensor": 3}},
    {"model": "mixtral-8x7b-instruct", "parallelism": {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}},
    {"model": "qwen2.5-7b-instruct", "serve": {"chunked_prefill": True, "kv_cache_reuse": False}},
    {"model": "llama-3.1-8b", "serve_config": {"kv_cache_config": {"host_cache_size": 10}, "stream_interval": 2}},
]


def started(version: str, service: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments of the LLM that the service starts."""
    file, seen = folder / "config.yml", list[Given]()
    file.write_text(yaml.safe_dump(service["release"]["config"]), encoding="utf-8")
    program, *words = service["container"]["command"]
    assert (program, words[-2]) == ("trtllm-serve", "--extra_llm_api_options")
    result = CliRunner().invoke(make_command(load_version(version), seen.append), [*words[:-1], str(file)])
    assert result.exit_code == 0, result.output
    return llm_arguments(load_version(version), seen[0])


@pytest.mark.parametrize("version", CATALOGUE.serve)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request["model"])
def test_the_server_gets_the_values_of_the_plan(version: str, request_: dict[str, Any], tmp_path: Path) -> None:
    plan = accepted(host(), profile="serve", release=version, limits=LIMITS, **request_)
    found = started(version, plan["serve_service"], tmp_path)
    assert {name: found[name] for name in list(LIMITS)[:3]} == {name: LIMITS[name] for name in list(LIMITS)[:3]}
    assert found["kv_cache_config"]["free_gpu_memory_fraction"] == 0.6
    asked, split = request_.get("parallelism", {}), plan["parallelism"]
    assert (found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (split["tensor"], split["pipeline"])
    assert found["moe_expert_parallel_size"] == asked.get("moe_expert")
    assert found["moe_tensor_parallel_size"] == asked.get("moe_tensor")
    options = request_.get("serve", {})
    assert found["enable_chunked_prefill"] is options.get("chunked_prefill", False)
    assert found["kv_cache_config"]["enable_block_reuse"] is options.get("kv_cache_reuse", True)
    further = request_.get("serve_config", {"kv_cache_config": {"host_cache_size": None}, "stream_interval": 1})
    assert found["stream_interval"] == further["stream_interval"]
    assert found["kv_cache_config"]["host_cache_size"] == further["kv_cache_config"]["host_cache_size"]
    assert found["return_perf_metrics"] is found["enable_iter_perf_stats"] is True
    assert found["trust_remote_code"] is False
    assert found["model"] == f"/release/models/{request_['model']}"
