# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each known failure is found in its sample lines, and not in the log of a healthy server."""

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

ENTRIES = {entry["name"]: entry for entry in load_log_patterns()}


@cache
def known() -> LogPatterns:
    return read_log_patterns(log_patterns_option())


def explain(log: str) -> list[dict[str, str]]:
    return _log_patterns.explain(log, known())


def each(field: str) -> list[tuple[str, str]]:
    return [(name, text) for name, entry in ENTRIES.items() for text in entry.get(field, [])]


# The log of a healthy server, with lines that almost match.
HEALTHY = r"""
W1122 18:26:50.432863 1 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory"
E1122 18:26:50.433130 1 server.cc:241] "CudaDriverHelper has not been initialized."
I1122 18:26:50.434596 1 model_lifecycle.cc:472] "loading: tensorrt_llm:1"
E1122 18:26:50.801058 1 ensemble_scheduler.cc:1468] "unable to create stream for ensemble: CUDA driver version"
I1122 18:26:50.683256 1 model_lifecycle.cc:839] "successfully loaded 'tensorrt_llm'"
| tensorrt_llm | 1       | READY                                                        |
Error: Failed to initialize NVML
W1122 18:26:50.803682 1 metrics.cc:798] "DCGM unable to start: DCGM initialization error"
[TensorRT-LLM][INFO] MPI size: 8, rank: 0
[TensorRT-LLM][INFO] TRTGptModel maxBatchSize: 1, the engine was built with library version 9.3.0
[TensorRT-LLM][INFO] Killed by nobody, exit code 0
The engine plan file was read; unable to find 'preprocessing/1/extra.py', which is optional
I1122 18:27:13.818558 1 http_server.cc:4713] "Started HTTPService at 127.0.0.1:8000"
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


def test_a_healthy_log_explains_nothing_and_gives_no_reason() -> None:
    assert explain(HEALTHY) == []
    assert server_reason(HEALTHY) == ""


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
