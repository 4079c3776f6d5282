# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness of a server with the OpenAI API: of the rehearsal's trtllm-serve, and of a stub with faults."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import openai_health
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.mpi import needs_mpi
from ansible_collections.tritonops.trtllm.tests.unit.support.openai_stub import OpenAiStub, refused
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    PROJECT,
    SMOLLM2,
    needs_model,
    needs_server,
    serve,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import HANG_UP, RECORDED, STALL, as_json

TINY_MIXTRAL = PROJECT / "rehearsal/mixtral/tiny-mixtral"
METRICS = """\
# TYPE trtllm_kv_cache_max_blocks gauge
trtllm_kv_cache_max_blocks{model_name="smol",engine_type="pytorch"} 7.0
trtllm_kv_cache_tokens_per_block{model_name="smol",engine_type="pytorch"} 32.0
"""
# Of a server that first estimates the size of its cache.
LOG = "max sequence length=64\\nEstimated max memory in KV cache : 7 blocks, max sequence length=224\\n"
CONFIG = "return_perf_metrics: true\nenable_iter_perf_stats: true\nkv_cache_config: {max_tokens: 1024}\n"
Health = t.Callable[..., Result]


@pytest.fixture(name="stub")
def fixture_stub() -> t.Iterator[OpenAiStub]:
    with OpenAiStub() as stub:
        yield stub


@pytest.fixture(name="health")
def fixture_health(stub: OpenAiStub, capsys: pytest.CaptureFixture[str]) -> Health:
    def run(**arguments: t.Any) -> Result:
        defaults = {"url": stub.url, "deadline": 0.3, "interval": 0.01, "probe_timeout": 0.2}
        return run_module(openai_health, capsys, **{**defaults, "log_patterns": log_patterns_option(), **arguments})

    return run


@pytest.fixture(name="unit")
def fixture_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit whose journal has the lines of LOG."""
    state = "LoadState=loaded\\nActiveState=active\\nSubState=running\\nNRestarts=0\\nInvocationID=aaaa\\n"
    scripts = {"systemctl": f"printf '{state}'", "journalctl": f"printf '{LOG}'"}
    for name, line in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_a_server_that_generates_is_healthy(health: Health, stub: OpenAiStub) -> None:
    result = health(model="smol", deadline=5)
    assert (result["live"], result["generates"], result["models"]) == (True, True, ["smol"]) and not result["changed"]
    assert stub.requests[-1][1]["max_tokens"] == 1


def test_a_server_is_waited_for(health: Health, stub: OpenAiStub) -> None:
    stub.routes["GET /health"] = [HANG_UP, as_json({}, status=503), RECORDED["ok"]]
    stub.routes["POST /v1/completions"] = [STALL, stub.complete]
    assert health(deadline=10)["generates"]
    assert len([route for route, _body in stub.requests if route == "GET /health"]) == 4


@pytest.mark.parametrize(
    ("route", "answer", "message"),
    [
        ("GET /health", as_json({}, status=503), "not ready after 0.3 s, the server is not live"),
        ("GET /health", STALL, "accepted the request but did not respond in time"),
        ("POST /v1/completions", STALL, "live, but does not generate"),
        ("POST /v1/completions", as_json({"error": "gone"}, status=500), "live, but does not generate"),
        ("POST /v1/completions", as_json({"choices": [], "usage": {}}), "it returned no token"),
        ("POST /v1/completions", refused("Extra inputs are not permitted"), "refuses to generate a token: Extra"),
        ("GET /v1/models", as_json({"data": [{"id": "other"}]}), "it serves other, not smol"),
    ],
)
def test_a_server_that_does_not_generate_is_not_healthy(
    health: Health, stub: OpenAiStub, route: str, answer: t.Any, message: str
) -> None:
    stub.routes[route] = answer
    result = health(model="smol")
    assert result.get("failed") and message in result["msg"]


def test_a_cache_that_is_too_small_is_not_healthy_by_the_metrics(health: Health, stub: OpenAiStub) -> None:
    stub.routes["GET /prometheus/metrics"] = {"status": 200, "type": "text/plain", "parts": [METRICS]}
    assert health(max_seq_len=224)["kv_cache_tokens"] == 224
    started = time.monotonic()
    assert "its KV cache holds 224 tokens, but one sequence can have 225" in health(max_seq_len=225, deadline=60)["msg"]
    assert time.monotonic() - started < 30


@pytest.mark.usefixtures("unit")
def test_a_cache_that_is_too_small_is_not_healthy_by_the_journal(health: Health) -> None:
    assert health(max_seq_len=224, unit="trtllm@default.service")["kv_cache_tokens"] == 224
    assert "holds 224 tokens" in health(max_seq_len=225, unit="trtllm@default.service")["msg"]


def test_a_size_that_is_not_known_is_not_checked(health: Health) -> None:
    result = health(max_seq_len=225)
    assert result["generates"] and result["kv_cache_tokens"] is None


@needs_server
@needs_model
def test_the_rehearsed_server_reports_its_cache(tmp_path: Path, health: Health) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        "return_perf_metrics: true\nenable_iter_perf_stats: true\nkv_cache_config: {max_tokens: 1024}\n",
        encoding="utf-8",
    )
    with serve(tmp_path, SMOLLM2, "--config", str(config), "--max_batch_size", "1", version="1.3.0rc29") as server:
        asked = {"url": server.url, "model": SMOLLM2.name, "deadline": 20, "probe_timeout": 8}
        assert health(max_seq_len=1024, **asked)["kv_cache_tokens"] == 1024
        assert "its KV cache holds 1024 tokens" in health(max_seq_len=2048, **asked)["msg"]


@pytest.mark.long
@needs_server
@needs_mpi
@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_noticed_within_ten_seconds(tmp_path: Path, health: Health, with_signal: int) -> None:
    with serve(tmp_path, TINY_MIXTRAL, "--tp_size", "2", mpi=True) as server:
        asked = {"url": server.url, "probe_timeout": 8}
        assert health(**asked, deadline=30)["generates"]
        victim = server.children()[-1]
        started = time.monotonic()
        os.kill(victim, with_signal)
        try:
            result = health(**asked, deadline=0)
            noticed = time.monotonic() - started
            assert result.get("failed") and not result["generates"] and noticed < 10
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
