# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each known failure is found in the line it is known from, and in no line of a healthy server."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker import _log_patterns
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import explain, server_reason

SAMPLES = [
    ("engine_trt_version", "[E] Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed.Version tag"),
    ("engine_trt_version", "Version tag does not match. Note: Current Version: 236, Serialized Engine Version: 237"),
    (
        "engine_trt_version",
        "The engine plan file is not compatible with this version of TensorRT, "
        "expecting library version 9.3.0.1 got 9.2.0.5, please rebuild.",
    ),
    ("engine_sm", "The engine plan file is generated on an incompatible device, expecting compute 8.0 got compute 9.0"),
    ("engine_config_keys", "[json.exception.out_of_range.403] key 'pretrained_config' not found"),
    ("engine_config_keys", "[json.exception.parse_error.101] parse error at line 1, column 1: unexpected end of input"),
    ("engine_dir_missing", "Assertion failed: Cannot find engine config file /engines/config.json"),
    ("engine_dir_missing", "Decoder (GPT) model path at ${engine_dir} does not exist."),
    ("mpi_world_size", "[TensorRT-LLM][ERROR] Assertion failed: mpiSize == tp * pp (runtime/worldConfig.cpp:80)"),
    ("mpi_world_size", "MPI size 1 != TP size 8 * PP size 1"),
    ("mpi_world_size", "With communicationMode kLEADER, MPI worldSize is expected to be equal to tp*pp when"),
    (
        "template_unfilled_parse",
        "[libprotobuf ERROR text_format.cc:337] Error parsing text-format inference.ModelConfig: "
        "29:17: Expected integer, got: $",
    ),
    (
        "template_unfilled_parse",
        "Error parsing text-format inference.ModelConfig: 51:16: Expected integer or identifier, got: $",
    ),
    ("template_unfilled_parse", "failed to read text proto from /repo/tensorrt_llm/config.pbtxt"),
    (
        "triton_backend_unfilled",
        "unable to find backend library for backend '${triton_backend}', try specifying runtime",
    ),
    ("backend_library_missing", "unable to find backend library for backend 'tensorrtllm', try specifying runtime"),
    ("backend_library_missing", "unable to find 'tensorrtllm/model.py' for model 'tensorrt_llm'"),
    ("bls_model_name", "Model '${tensorrt_llm_model_name}' is not ready"),
    ("decoupled_generate", "generate expects model to produce exactly 1 response, use generate stream for model that"),
    ("decoupled_generate", "ModelInfer RPC doesn't support models with decoupled transaction policy"),
    ("already_running", "tritonserver process(es) already found with PID(s): [211]."),
    (
        "shm_size",
        "Unable to initialize shared memory key 'triton_python_backend_shm_region_3' to requested size.",
    ),
    ("shm_size", "If you are running Triton inside docker, use '--shm-size' flag to control the shared memory region"),
    (
        "lfs_pointer",
        "/usr/bin/ld:libtensorrt_llm_batch_manager_static.pre_cxx11.a: "
        "file format not recognized; treating as linker script",
    ),
    ("lfs_pointer", "The batch manager library is truncated or incomplete. This is usually caused by using Git LFS"),
    ("no_space", "#9 12.3 cp: error writing '/app/build': No space left on device"),
    ("build_oom", "c++: fatal error: Killed signal terminated program cc1plus"),
    ("submodule_clone", "Failed to clone '3rdparty/NVTX' a second time, aborting"),
    ("submodule_clone", "fatal: Failed to recurse into submodule path 'tensorrt_llm'"),
    ("build_oom", "nvcc error   : 'cicc' died due to signal 9 (Kill signal)"),
    ("numpy2", "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0.0 as it may crash."),
    ("mixtral_convert_gpu_oom", "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB."),
    ("mixtral_convert_gpu_oom", "    torch.stack([model_params[f'model.layers.{l}.block_sparse_moe.experts.{e}"),
    ("mixtral_convert_gpu_oom", "    moe_experts_w3w1_weights = torch.concat([w3, w1], dim=-2)"),
    ("mixtral_load_by_shard", "AssertionError: MoE does not support sharded load"),
    ("convert_killed", "Killed"),
    ("convert_killed", "main process ended with exit code 137"),
    ("mixtral_tp8_8k", "RuntimeError: [TensorRT-LLM][ERROR] Assertion failed: elts_per_rank % elts_per_thread == 0"),
    ("peer_access", "CUDA runtime error: peer access is not supported between these two devices"),
    ("peer_access", "Can't enable access between nodes 0 and 1"),
    ("runtime_oom", "CUDA runtime error in ::cudaMallocAsync(ptr, n, mMemPool->getPool(), stream): out of memory"),
    ("runtime_oom", "Error Code 1: Cuda Runtime (out of memory)"),
    ("runtime_oom", "Executor creation failed due to insufficient GPU memory."),
    ("kv_too_small", "maxTokensInPagedKvCache (128) must be large enough to process at least 1 sequence to completion"),
    ("prompt_too_long", "Prompt length (2000) exceeds maximum input length (1024)"),
    ("prompt_too_long", "Prompt length (9000) exceeds maximum sequence length (8192)"),
    ("mpi_slots", "There are not enough slots available in the system to satisfy the 8 slots"),
    ("mpi_abort", "MPI_ABORT was invoked on rank 1 in communicator MPI_COMM_WORLD"),
    ("tokenizer", "ValueError: Couldn't instantiate the backend tokenizer from one of: (1) a tokenizers library file"),
    ("tokenizer", "You need to have sentencepiece installed to convert a slow tokenizer to a fast one."),
    ("bindings_shadowed", "ModuleNotFoundError: No module named 'tensorrt_llm.bindings'"),
    ("llmapi_openai_pkg", "ImportError: cannot import name 'PartReasoningText' from 'openai.types.responses'"),
]

# What a healthy server says, near misses among it.
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


@pytest.mark.parametrize(("name", "line"), SAMPLES)
def test_a_known_line_is_explained(name: str, line: str) -> None:
    found = explain("some line before\n" + line + "\nsome line after\n")
    known = _log_patterns.BY_ID[name]
    assert found == [{"id": name, "cause": known.cause, "remedy": known.remedy, "line": line.strip()}]


def test_every_pattern_has_a_sample() -> None:
    assert {known.id for known in _log_patterns.PATTERNS if known.pattern} == {name for name, _line in SAMPLES}


def test_ids_are_unique_and_every_entry_is_complete() -> None:
    assert len(_log_patterns.BY_ID) == len(_log_patterns.PATTERNS) == 34
    for known in _log_patterns.PATTERNS:
        assert known.cause.endswith(".") and known.remedy.endswith(".")
        assert known.sources and all(source.startswith("https://") for source in known.sources)


def test_a_healthy_log_explains_nothing_and_gives_no_reason() -> None:
    assert explain(HEALTHY) == []
    assert server_reason(HEALTHY) == ""


def test_earliest_failure_first() -> None:
    log = "There are not enough slots available in the system to satisfy the 8 slots\nKilled\n"
    assert [hit["id"] for hit in explain(log)] == ["mpi_slots", "convert_killed"]
    assert [hit["id"] for hit in explain("Killed\n" + log)] == ["convert_killed", "mpi_slots"]


def test_a_follow_up_counts_only_alone() -> None:
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
def test_the_servers_own_words(log: str, reason: str) -> None:
    assert server_reason(log) == reason
