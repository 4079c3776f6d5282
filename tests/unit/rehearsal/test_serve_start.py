# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line and configuration of the rehearsal's trtllm-serve, as each version has them."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tensorrt_llm.executor import WorkersError
from tensorrt_llm.serve import start
from tensorrt_llm.serve.arguments import ConfigError, llm_arguments
from tensorrt_llm.serve.command_line import Given, make_command
from tensorrt_llm.serve.kv_cache import KvCache
from tensorrt_llm.serve.parsers import Parser
from tensorrt_llm.serve.versions import load_version

VERSIONS = ["1.0.0", "1.1.0", "1.2.1", "1.3.0rc29"]
OLD, LATE = VERSIONS[:2], VERSIONS[2:]


def parse(version: str, *words: str) -> tuple[Result, list[Given]]:
    seen: list[Given] = []
    return CliRunner().invoke(make_command(load_version(version), seen.append), words), seen


def arguments(version: str, *words: str, file: str = "", folder: Path | None = None) -> dict[str, Any]:
    if file:
        assert folder is not None
        (folder / "config.yml").write_text(file, encoding="utf-8")
        words = (*words, "--extra_llm_api_options", str(folder / "config.yml"))
    result, [given] = parse(version, "/model", *words)
    assert result.exit_code == 0, result.output
    return llm_arguments(load_version(version), given)


@pytest.mark.parametrize("version", VERSIONS)
def test_serve_is_meant_without_a_command(version: str) -> None:
    for words in (["/model", "--port", "9"], ["serve", "/model", "--port", "9"]):
        result, [given] = parse(version, *words)
        assert result.exit_code == 0, result.output
        assert (given.model, given.options["--port"], given.options["--host"]) == ("/model", 9, "localhost")
        assert given.explicit == {"--port"}


@pytest.mark.parametrize(
    ("words", "versions"),
    [
        (["--tp_size", "2"], VERSIONS),
        (["--tensor_parallel_size", "2"], LATE),
        (["--config", "x.yml"], LATE),
        (["--tool_parser", "qwen3"], LATE),
        (["--chat_template", "x"], LATE),
        (["--enable_chunked_prefill"], LATE),
        (["--free_gpu_memory_fraction", "0.5"], LATE),
        (["--reasoning_parser", "deepseek-r1"], VERSIONS),
        (["--reasoning_parser", "qwen3"], LATE),
        (["--reasoning_parser", "qwen3_5"], LATE[1:]),
        (["--served_model_name", "x"], LATE[1:]),
        (["--no-telemetry"], LATE[1:]),
        (["--kv_cache_dtype", "fp8"], LATE[1:]),
        (["--fail_fast_on_attention_window_too_large"], VERSIONS[:3]),
        (["--backend", "pytorch"], VERSIONS),
        (["--model", "x"], []),
        (["--port", "x"], []),
    ],
)
def test_a_version_has_its_own_options(words: list[str], versions: list[str]) -> None:
    assert [version for version in VERSIONS if parse(version, "/model", *words)[0].exit_code == 0] == versions


def test_an_unknown_option_is_named() -> None:
    result, seen = parse("1.1.0", "/model", "--config", "x")
    assert result.exit_code == 2 and not seen and "No such option '--config'" in result.output


@pytest.mark.parametrize(
    "words", [["--grpc"], ["--backend", "_autodeploy"], ["--max_beam_width", "2"], ["--trust_remote_code"]]
)
def test_an_option_that_needs_more_than_a_cpu_is_refused_with_a_reason(words: list[str]) -> None:
    version = "1.3.0rc29" if words == ["--grpc"] else "1.2.1"
    result, seen = parse(version, "/model", *words)
    assert result.exit_code == 2 and not seen and "of this version but" in result.output


def test_other_commands_and_versions_cannot_be_rehearsed() -> None:
    assert "disaggregated cannot be rehearsed" in parse("1.2.1", "disaggregated", "-c", "x")[0].output
    with pytest.raises(SystemExit, match=r"1.2.0 cannot be rehearsed \(versions: 1.0.0, 1.1.0, 1.2.1, 1.3.0rc29\)"):
        load_version("1.2.0")


@pytest.mark.parametrize(("version", "expected"), [("1.2.1", 16), ("1.3.0rc29", 4)])
def test_the_file_or_the_command_line_wins(tmp_path: Path, version: str, expected: int) -> None:
    found = arguments(version, "--max_batch_size", "4", file="max_batch_size: 16", folder=tmp_path)
    assert found["max_batch_size"] == expected
    assert arguments(version, file="max_batch_size: 16", folder=tmp_path)["max_batch_size"] == 16


@pytest.mark.parametrize(("version", "expected"), [("1.0.0", 0.9), ("1.1.0", 0.9), ("1.2.1", 0.5), ("1.3.0rc29", 0.5)])
def test_the_cache_section_of_the_file_replaces_or_merges(tmp_path: Path, version: str, expected: float) -> None:
    words = ("--kv_cache_free_gpu_memory_fraction", "0.5")
    found = arguments(version, *words, file="kv_cache_config: {max_tokens: 64}", folder=tmp_path)["kv_cache_config"]
    assert (found["free_gpu_memory_fraction"], found["max_tokens"]) == (expected, 64)


@pytest.mark.parametrize(
    ("version", "file", "words"),
    [
        ("1.2.1", "kv_cache_dtype: fp8", "got invalid argument: kv_cache_dtype"),
        ("1.0.0", "sampler_type: auto", "got invalid argument: sampler_type"),
        ("1.1.0", "kv_connector_config: {}", "got invalid argument: kv_connector_config"),
        ("1.2.1", "telemetry_config: {disabled: true}", "got invalid argument: telemetry_config"),
        ("1.2.1", "build_config: {}", "build_config is specific to TensorRT backend"),
        ("1.2.1", "kv_cache_config: {fraction: 1}", "kv_cache_config.fraction\n  Extra inputs are not permitted"),
        ("1.2.1", "cuda_graph_config: {padding_enabled: true}", "Extra inputs are not permitted"),
        ("1.2.1", "kv_cache_config: 3", "Input should be a valid dictionary"),
        ("1.2.1", "enable_chunked_prefill: 7", "Input should be a valid boolean"),
        ("1.2.1", "max_num_tokens: many", "Input should be a valid number"),
        ("1.2.1", "attn_backend: 4", "Input should be a valid string"),
        ("1.2.1", "enable_lora: true", "LoRA is not there"),
        ("1.2.1", "- 1", "is no mapping of keys"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, version: str, file: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        arguments(version, file=file, folder=tmp_path)
    assert words in str(refused.value)


def test_null_and_late_keys_are_taken(tmp_path: Path) -> None:
    found = arguments("1.3.0rc29", file="telemetry_config: {disabled: true}\ncuda_graph_config: null", folder=tmp_path)
    assert found["telemetry_config"] == {"disabled": True} and found["cuda_graph_config"] is None


def test_a_taken_address_is_noticed_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = one.getsockname()[1]
        with pytest.raises(SystemExit):
            parse_and_run("1.2.1", "/model", "--host", "127.0.0.1", "--port", str(port))
    assert f"Failed to bind socket to 127.0.0.1:{port}" in capsys.readouterr().out


def parse_and_run(version: str, *words: str) -> None:
    _result, [given] = parse(version, *words)
    start.run(load_version(version), given)


def test_a_container_without_a_name_or_a_home_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = arguments("1.2.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    with pytest.raises(OSError, match="LOGNAME and USER are not set"):
        start.check_machine(load_version("1.2.1"), found)
    monkeypatch.setenv("USER", "trtllm")
    start.check_machine(load_version("1.2.1"), found)
    monkeypatch.setenv("TRITON_CACHE_DIR", "/proc/none")
    with pytest.raises(OSError):
        start.check_machine(load_version("1.2.1"), found)


def test_open_mpi_5_starts_no_workers_as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "trtllm")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    start.check_machine(load_version("1.2.1"), arguments("1.2.1"))
    with pytest.raises(WorkersError, match="MPI_ERR_UNKNOWN"):
        start.check_machine(load_version("1.3.0rc29"), arguments("1.3.0rc29"))


@pytest.mark.parametrize(
    ("version", "words", "environment", "expected"),
    [
        ("1.2.1", (), "", False),
        ("1.3.0rc29", (), "", True),
        ("1.3.0rc29", ("--no-telemetry",), "", False),
        ("1.3.0rc29", (), "TRTLLM_NO_USAGE_STATS", False),
        ("1.3.0rc29", (), "DO_NOT_TRACK", False),
    ],
)
def test_a_late_version_reports_its_usage_unless_that_is_off(
    monkeypatch: pytest.MonkeyPatch, version: str, words: tuple[str, ...], environment: str, expected: bool
) -> None:
    if environment:
        monkeypatch.setenv(environment, "1")
    _result, [given] = parse(version, "/model", *words)
    assert start.reports_usage(given, {}) is expected
    assert start.reports_usage(given, {"telemetry_config": {"disabled": True}}) is False


def test_a_length_beyond_the_models_is_cut_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [start.max_seq_len(wanted, 512) for wanted in (None, 256, 512, 1024)] == [512, 256, 512, 512]
    monkeypatch.setenv("TLLM_ALLOW_LONG_MAX_MODEL_LEN", "1")
    assert start.max_seq_len(1024, 512) == 1024


MODEL = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64}


def test_a_small_cache_cuts_the_length_or_fails_later() -> None:
    settings = {"free_gpu_memory_fraction": 0.9, "max_tokens": 100, "tokens_per_block": 32}
    cache = KvCache.of(settings, MODEL)
    assert (cache.blocks, cache.tokens) == (3, 96)
    assert cache.limit(load_version("1.2.1"), 512) == 96
    assert cache.limit(load_version("1.3.0rc29"), 512) == 512
    with pytest.raises(RuntimeError, match="requires 4 KV cache blocks, which exceeds its GPU-primary capacity of 3"):
        cache.check(97)
    cache.check(96)
    assert KvCache.of({"free_gpu_memory_fraction": 1.0, "max_tokens": None}, MODEL).tokens == 8 * 1024**3 // 256


@pytest.mark.parametrize(
    ("parser", "text", "finished", "reasoning", "content"),
    [
        (None, "<think>a</think>b", True, "", "<think>a</think>b"),
        ("qwen3", "<think>a</think>b", True, "a", "b"),
        ("qwen3", "plain", False, "", "plain"),
        ("qwen3", "<thi", False, "", ""),
        ("qwen3", "<thi", True, "", "<thi"),
        ("qwen3", "<think>a</thi", False, "a", ""),
        ("qwen3", "<think>a</thi", True, "a</thi", ""),
        ("deepseek-r1", "a</think>b", True, "a", "b"),
        ("deepseek-r1", "<think>a</think>b", True, "a", "b"),
        ("deepseek-r1", "only thoughts", True, "only thoughts", ""),
        ("nano-v3", "a</think>b", True, "a", "b"),
    ],
)
def test_reasoning_is_separated(parser: str | None, text: str, finished: bool, reasoning: str, content: str) -> None:
    parts = Parser(parser).parse(text, with_tools=False, finished=finished)
    assert (parts.reasoning, parts.content) == (reasoning, content)


@pytest.mark.parametrize(
    ("text", "finished", "content", "names"),
    [
        ('Let me see.\n<tool_call>{"name": "a", "arguments": {}}</tool_call>', True, "Let me see.", ["a"]),
        ('<tool_call>{"name": "a"}</tool_call><tool_call>{"name": "b"}</tool_call>', True, "", ["a", "b"]),
        ("x <tool", False, "x ", []),
        ("x <tool", True, "x <tool", []),
        ("<tool_call>{broken}</tool_call>", True, "", []),
    ],
)
def test_tool_calls_are_separated(text: str, finished: bool, content: str, names: list[str]) -> None:
    parts = Parser(tools="qwen3").parse(text, with_tools=True, finished=finished)
    assert parts.content == content and [call["function"]["name"] for call in parts.calls] == names


def test_a_parser_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="--tool_parser kimi_k2 cannot be honoured here"):
        Parser(tools="kimi_k2")
    with pytest.raises(ValueError, match="--reasoning_parser gemma4 cannot be honoured here"):
        Parser("gemma4")
