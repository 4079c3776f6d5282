# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each known failure is found in its sample lines, and not in a warning or the log of a healthy server."""

from __future__ import annotations

import re
from functools import cache

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _log_patterns
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LogPatterns,
    read_log_patterns,
    server_reason,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_log_patterns
from ansible_collections.tritonops.trtllm.tests.unit.support.healthy_logs import SERVE_START, healthy_log, starts

ENTRIES = {entry["name"]: entry for entry in load_log_patterns()}


@cache
def known() -> LogPatterns:
    return read_log_patterns(log_patterns_option())


def explain(log: str) -> list[dict[str, str]]:
    return _log_patterns.explain(log, known())


def each(field: str) -> list[tuple[str, str]]:
    return [(name, text) for name, entry in ENTRIES.items() for text in entry.get(field, [])]


# Lines that almost match, and errors that a server without a GPU logs without consequences.
ALMOST = r"""
E1122 18:26:50.433130 1 server.cc:241] "CudaDriverHelper has not been initialized."
E1122 18:26:50.801058 1 ensemble_scheduler.cc:1468] "unable to create stream for ensemble: CUDA driver version"
| tensorrt_llm | 1       | READY                                                        |
Error: Failed to initialize NVML
[TensorRT-LLM][INFO] TRTGptModel maxBatchSize: 1, the engine was built with library version 9.3.0
[TensorRT-LLM][INFO] Killed by nobody, exit code 0
The engine plan file was read; unable to find 'preprocessing/1/extra.py', which is optional
"""

LOAD_FAILURE = r"""
E1122 18:26:50.433130 1 server.cc:241] "CudaDriverHelper has not been initialized."
I1122 18:26:50.697241 1 pb_stub.cc:366] "Failed to initialize Python stub: ValueError: no such file\n\nAt:\n  m.py"
E1122 18:26:50.800472 1 backend_model.cc:692] "ERROR: Failed to create instance: ValueError: no such file\n\nAt"
E1122 18:26:50.800587 1 m.cc:642] "failed to load 'preprocessing' version 1: Internal: ValueError: no such file\n\nAt"
I1122 18:26:50.800606 1 model_lifecycle.cc:777] "failed to load 'preprocessing'"
"""


@pytest.mark.parametrize(("name", "line"), each("samples"))
def test_a_sample_is_only_explained_by_its_own_entry(name: str, line: str) -> None:
    found = explain("some line before\n" + line + "\nsome line after\n")
    assert found == [
        {"id": name, "cause": ENTRIES[name]["cause"], "remedy": ENTRIES[name]["remedy"], "line": line.strip()}
    ]


@pytest.mark.parametrize(("name", "pattern"), each("patterns"))
def test_a_pattern_compiles_and_has_a_sample(name: str, pattern: str) -> None:
    assert [line for line in ENTRIES[name]["samples"] if re.search(pattern, line)]


@pytest.mark.parametrize(("release", "profile"), starts())
def test_a_healthy_start_explains_nothing_and_gives_no_reason(release: str, profile: str) -> None:
    log = healthy_log(release, profile)
    assert log.count("\n") > 25 and "Started HTTPService" in log
    assert explain(log + ALMOST) == []
    assert server_reason(log + ALMOST) == ""


def test_a_healthy_start_of_trtllm_serve_explains_nothing() -> None:
    assert explain(SERVE_START) == [] and server_reason(SERVE_START) == ""
    worker = "RuntimeError: Executor worker returned error"
    assert [hit["id"] for hit in explain(SERVE_START + worker)] == ["executor_worker"]


# What users reported, with the lines around it, and the entry that explains it.
REUSE = "When KV cache block reuse is set, model has to be built with paged context FMHA support"
REPORTED = [
    ("Failed to initialize NVML: Unknown Error", "gpus_taken"),
    (
        "the following directives are specified both as a flag and in the configuration file: hosts",
        "option_given_twice",
    ),
    ("could not find an available, non-overlapping IPv4 address pool among the defaults", "no_address_pool"),
    ("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4, please update", "driver_too_old"),
    ("Exception: data did not match any variant of untagged enum ModelWrapper at line 9 column 3", "tokenizer_format"),
    ("Error Code 9: API Usage Error (Target GPU SM 120 is not supported by this TensorRT release.)", "gpu_unsupported"),
    ("CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors", "gpu_without_kernels"),
    (f"[WARNING] [json.exception.out_of_range.403] key 'cross_attention' not found\n{REUSE}", "paged_context_fmha"),
    ("Error generating request: Request beam width 1 is not equal to max_beam_width 4", "beam_width"),
    ("Assertion failed: samplingConfig.beamWidth <= maxBeamWidth (/app/gptDecoderBatch.cpp:417)", "beam_width"),
    ("[TensorRT-LLM][WARNING] [json.exception.out_of_range.403] key 'num_medusa_heads' not found", ""),
    ("KeyError: 'getpwuid(): uid not found: 994'", "user_without_name"),
    ("Assertion failed: Block reuse is currently not supported with beam width > 1", "reuse_with_beams"),
    ("Assertion failed: LoRA task 3 not found in cache. Please send LoRA weights with request", "lora_not_built"),
    ("Invalid argument: model configuration specifies empty reshape for non-empty dims", "no_batching"),
    ("model input cannot have empty reshape for non-batching model as scalar tensors are not", "no_batching"),
    ("With communicationMode kLEADER, MPI worldSize is expected to be equal to tp*pp when", "mpi_world_size"),
    (
        "NCCL WARN Error: failed to extend /dev/shm/nccl-X to 33030532 bytes, error: No space left on device (28)",
        "shm_size",
    ),
    ("OSError: [Errno 28] No space left on device: '/dev/shm/torch_1_2'", "shm_size"),
    ("[host:00031] Caught signal 7 (Bus error: nonexistent physical address)", "shm_size"),
    (
        "ERROR: This container was built for NVIDIA Driver Release 590.48 or later, but\n"
        "       version 580.159.03 was detected and compatibility mode is UNAVAILABLE.",
        "driver_too_old",
    ),
    ("tar: cannot write: No space left on device", "no_space"),
    ("[host:00031] Read -1, expected 4120, errno = 1", "mpi_memory_copy"),
    ("Unable to enable DNAT rule: iptables: No chain/target/match by that name.", "firewall_chains_gone"),
    ("Warning: Extension addrtype revision 0 not supported, missing kernel module?", "kernel_module_missing"),
    (
        "ValueError: The sum of prompt length (9351.0), query length (0) should not exceed max_num_tokens",
        "prompt_too_long",
    ),
]


@pytest.mark.parametrize(("lines", "name"), REPORTED)
def test_what_users_reported_is_known(lines: str, name: str) -> None:
    assert [hit["id"] for hit in explain(healthy_log("0.9.0", "engine") + lines)] == ([name] if name else [])


@pytest.mark.parametrize("level", ["[TensorRT-LLM][WARNING] ", "[01/02/2025-08:45:59] [TRT-LLM] [W] "])
@pytest.mark.parametrize(("name", "line"), each("samples"))
def test_a_warning_is_no_cause(level: str, name: str, line: str) -> None:
    assert explain(f"some line before\n{level}{line}\n") == [], name


@pytest.mark.parametrize(("release", "profile"), starts())
def test_an_error_after_a_healthy_start_is_explained_by_its_own_line(release: str, profile: str) -> None:
    error = "[TensorRT-LLM][ERROR] Assertion failed: " + REUSE
    assert [hit["id"] for hit in explain(healthy_log(release, profile) + error)] == ["paged_context_fmha"]


def test_a_missing_key_is_still_known_as_an_error() -> None:
    error = "[TensorRT-LLM][ERROR] [json.exception.out_of_range.403] key 'num_medusa_heads' not found\n"
    assert [hit["id"] for hit in explain(healthy_log("0.9.0", "engine") + error)] == ["engine_config_keys"]


def test_the_earliest_failure_comes_first() -> None:
    log = "There are not enough slots available in the system to satisfy the 8 slots\nKilled\n"
    assert [hit["id"] for hit in explain(log)] == ["mpi_slots", "convert_killed"]
    assert [hit["id"] for hit in explain("Killed\n" + log)] == ["convert_killed", "mpi_slots"]


def test_a_consequence_only_counts_without_its_cause() -> None:
    abort = "MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\n"
    assert [hit["id"] for hit in explain(abort)] == ["mpi_abort"]
    assert [hit["id"] for hit in explain(abort + "MPI size 1 != TP size 8 * PP size 1")] == ["mpi_world_size"]


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (LOAD_FAILURE, "failed to load 'preprocessing' version 1: Internal: ValueError: no such file"),
        (
            "E0911 12:00:00.000001 95 model_lifecycle.cc:621] failed to load 'tensorrt_llm' version 1: Internal: "
            "unexpected error when creating modelInstanceState: boom\n",
            "failed to load 'tensorrt_llm' version 1: Internal: "
            "unexpected error when creating modelInstanceState: boom",
        ),
        (
            "| ensemble     | 1 | READY |\n| tensorrt_llm | 1 | UNAVAILABLE: Internal: out of luck    |\n",
            "tensorrt_llm: Internal: out of luck",
        ),
        (
            'E1122 18:26:50.433130 1 server.cc:241] "CudaDriverHelper has not been initialized."\n'
            'E1122 18:27:47.002196 1 main.cc:245] "failed to start HTTP service: Socket already in use "\n',
            "failed to start HTTP service: Socket already in use",
        ),
        (
            'Traceback (most recent call last):\n  File "convert.py", line 3, in <module>\n    main()\n'
            "KeyError: 'num_experts'\n",
            "KeyError: 'num_experts'",
        ),
        (
            "error: creating server: Internal - failed to load all models\n",
            "creating server: Internal - failed to load all models",
        ),
        ("", ""),
    ],
)
def test_the_servers_message_is_extracted(log: str, reason: str) -> None:
    assert server_reason(log) == reason
