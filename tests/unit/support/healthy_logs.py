# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that a healthy server writes when it starts, by TensorRT-LLM version and profile."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE

ENGINE, LLMAPI = "engine", "llmapi"
PROFILES = {ENGINE: (ENGINE,), LLMAPI: (LLMAPI,), "both": (ENGINE, LLMAPI)}
RELEASES = sorted(CATALOGUE.releases, key=lambda release: [int(part) for part in release.split(".")])


class Lines(t.NamedTuple):
    first: str
    last: str
    profile: str
    text: str


def starts() -> list[tuple[str, str]]:
    """Every supported version with each of its profiles."""
    return [(release, profile) for release in RELEASES for profile in CATALOGUE.releases[release]["profiles"]]


def healthy_log(release: str, profile: str) -> str:
    number = RELEASES.index(release)
    return "".join(
        lines.text.lstrip("\n")
        for lines in LINES
        if profile in PROFILES[lines.profile] and RELEASES.index(lines.first) <= number <= RELEASES.index(lines.last)
    )


NEWEST = RELEASES[-1]
LINES = (
    # Open MPI in a container.
    Lines(
        "0.8.0",
        NEWEST,
        "both",
        """
Authorization required, but no authorization protocol specified
[host:00001] PMIX ERROR: ERROR in file gds_ds12_lock_pthread.c at line 168
WARNING: There was an error initializing an OpenFabrics device.
WARNING: No preset parameters were found for the device that Open MPI detected:
[1700000000.123456] [host:31   :0]        parser.c:2036 UCX  WARN  unused environment variable: UCX_TLS_EXTRA
/usr/lib/python3/dist-packages/transformers/utils/hub.py:124: FutureWarning: Using `TRANSFORMERS_CACHE`
None of PyTorch, TensorFlow >= 2.0, or Flax have been found.
Special tokens have been added in the vocabulary.
You are using the default legacy behaviour of the LlamaTokenizer.
""",
    ),
    # Triton quotes messages from 24.04 on, which is 0.9.0.
    Lines(
        "0.8.0",
        "0.8.0",
        ENGINE,
        """
I0314 18:26:50.432863 95 pinned_memory_manager.cc:275] Pinned memory pool is created with size 268435456
W0314 18:26:50.433130 95 server.cc:251] failed to enable peer access for some device pairs
I0314 18:26:50.434596 95 model_lifecycle.cc:469] loading: tensorrt_llm:1
W0314 18:26:50.803682 95 metrics.cc:738] DCGM unable to start: DCGM initialization error
W0314 18:26:51.803682 95 metrics.cc:821] Unable to get power limit for GPU 0. Status:Success, value:0.000000
I0314 18:27:13.818558 95 http_server.cc:4637] Started HTTPService at 127.0.0.1:8000
""",
    ),
    Lines(
        "0.9.0",
        NEWEST,
        "both",
        """
I1122 18:26:50.432863 1 pinned_memory_manager.cc:277] "Pinned memory pool is created with size 268435456"
W1122 18:26:50.432863 1 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory: out of memory"
W1122 18:26:50.433130 1 server.cc:251] "failed to enable peer access for some device pairs"
I1122 18:26:50.434596 1 model_lifecycle.cc:472] "loading: tensorrt_llm:1"
W1122 18:26:50.803682 1 metrics.cc:798] "DCGM unable to start: DCGM initialization error"
I1122 18:26:51.010000 1 python_be.cc:2289] "TRITONBACKEND_ModelInstanceInitialize: preprocessing_0_0 (CPU device 0)"
I1122 18:26:52.683256 1 model_lifecycle.cc:839] "successfully loaded 'tensorrt_llm'"
I1122 18:27:13.818558 1 http_server.cc:4725] "Started HTTPService at 127.0.0.1:8000"
I1122 18:27:13.859558 1 http_server.cc:358] "Started Metrics Service at 127.0.0.1:8002"
""",
    ),
    # The backend asks for every parameter that it knows.
    Lines(
        "0.8.0",
        "0.9.0",
        ENGINE,
        """
[TensorRT-LLM][WARNING] max_num_sequences is not specified, will be set to the TRT engine max_batch_size
[TensorRT-LLM][WARNING] enable_trt_overlap is not specified, will be set to false
[TensorRT-LLM][WARNING] Decoupled mode with another policy than guaranteed_no_evict requires use_paged_context_fmha
[TensorRT-LLM][WARNING] Parameter max_draft_len cannot be read from json:
[TensorRT-LLM][WARNING] [json.exception.out_of_range.403] key 'max_draft_len' not found
""",
    ),
    Lines(
        "0.8.0",
        "0.10.0",
        ENGINE,
        """
[TensorRT-LLM][WARNING] [json.exception.out_of_range.403] key 'num_medusa_heads' not found
[TensorRT-LLM][WARNING] Optional value for parameter num_medusa_heads will not be set.
[TensorRT-LLM][WARNING] Parameter cross_attention cannot be read from json:
[TensorRT-LLM][WARNING] [json.exception.out_of_range.403] key 'cross_attention' not found
[TensorRT-LLM][WARNING] [json.exception.type_error.302] type must be array, but is null
[TensorRT-LLM][WARNING] Optional value for parameter lora_target_modules will not be set.
[TensorRT-LLM][WARNING] [json.exception.type_error.302] type must be string, but is null
[TensorRT-LLM][WARNING] Optional value for parameter quant_algo will not be set.
[TensorRT-LLM][WARNING] Optional value for parameter kv_cache_quant_algo will not be set.
[TensorRT-LLM][INFO] Initializing MPI with thread mode 1
""",
    ),
    Lines(
        "0.8.0",
        "0.18.2",
        ENGINE,
        """
[TensorRT-LLM][WARNING] enable_kv_cache_reuse is not specified, will be set to false
""",
    ),
    Lines(
        "0.8.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] gpu_device_ids is not specified, will be automatically set
[TensorRT-LLM][WARNING] Don't setup 'add_special_tokens' correctly (${add_special_tokens}). Set it as True.
[TensorRT-LLM][WARNING] batch_scheduler_policy parameter was not found or is invalid (max_utilization)
[TensorRT-LLM][WARNING] max_beam_width is not specified, will use default value of 1
[TensorRT-LLM][WARNING] normalize_log_probs is not specified, will be set to true
[TensorRT-LLM][WARNING] max_tokens_in_paged_kv_cache is not specified, will use default value
[TensorRT-LLM][WARNING] kv_cache_free_gpu_mem_fraction is not specified, will use default value of 0.9
[TensorRT-LLM][WARNING] max_attention_window_size is not specified, will use default value (i.e. max_sequence_length)
[TensorRT-LLM][WARNING] enable_chunked_context is not specified, will be set to false.
[TensorRT-LLM][INFO] Engine version 0.0.0 found in the config file, assuming engine(s) built by new builder API.
[TensorRT-LLM][INFO] MPI size: 2, rank: 0
[TensorRT-LLM][INFO] Rank 0 is using GPU 0
[TensorRT-LLM][WARNING] Device 0 peer access Device 1 is not available.
[TensorRT-LLM][INFO] TRTGptModel maxNumSequences: 8
[TensorRT-LLM][INFO] TRTGptModel maxBatchSize: 8
[TensorRT-LLM][INFO] TRTGptModel enableTrtOverlap: 0
[TensorRT-LLM][INFO] The logger passed into createInferRuntime differs from one already provided.
[TensorRT-LLM][INFO] Loaded engine size: 6470 MiB
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 3.44 MB GPU memory for runtime buffers.
""",
    ),
    Lines(
        "0.9.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] lora_cache_max_adapter_size not set, defaulting to 64
[TensorRT-LLM][WARNING] lora_cache_gpu_memory_fraction not set, defaulting to 0.05
[TensorRT-LLM][WARNING] decoding_mode parameter is invalid or not specified. Using default: top_k_top_p
""",
    ),
    Lines(
        "0.10.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] iter_stats_max_iterations is not specified, will use default value of 1000
[TensorRT-LLM][WARNING] gpu_weights_percent parameter is not specified, will use default value of 1.0
[TensorRT-LLM][WARNING] kv_cache_host_memory_bytes not set, defaulting to 0
[TensorRT-LLM][WARNING] sink_token_length is not specified, will use default value
[TensorRT-LLM][WARNING] participant_ids is not specified, will be automatically set
""",
    ),
    Lines(
        "0.11.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] encoder_model_path is not specified, will be left empty
[TensorRT-LLM][INFO] Initializing MPI with thread mode 3
[TensorRT-LLM][INFO] Refreshed the MPI local session
[TensorRT-LLM][INFO] Capacity Scheduler Policy: GUARANTEED_NO_EVICT
[TensorRT-LLM][INFO] Context Chunking Scheduler Policy: None
""",
    ),
    Lines(
        "0.14.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] cross_kv_cache_fraction is not specified
[TensorRT-LLM][WARNING] Fix optionalParams : KV cache reuse disabled, no paged context FMHA support
[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.14 GiB, available: 74.69 GiB
[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 17210
""",
    ),
    Lines(
        "0.19.0",
        NEWEST,
        ENGINE,
        """
[TensorRT-LLM][WARNING] enable_kv_cache_reuse is not specified, will be set to true
[TensorRT-LLM][WARNING] guided_decoding_backend is not specified, guided decoding will not be used
[TensorRT-LLM][WARNING] Cannot find parameter with name: lookahead_window_size
""",
    ),
    Lines(
        "0.19.0",
        NEWEST,
        LLMAPI,
        """
I1122 18:26:51.434596 1 model.py:101] "[trtllm] Starting trtllm engine with args: {'backend': 'pytorch'}"
/usr/local/lib/python3.12/dist-packages/torch/utils/cpp_extension.py:2059: UserWarning: TORCH_CUDA_ARCH_LIST is not set.
/usr/local/lib/python3.12/dist-packages/modelopt/torch/__init__.py:36: UserWarning: transformers 4.51.1 is incompatible.
Multiple distributions found for package optimum. Picked the first distribution: optimum
[TensorRT-LLM] TensorRT-LLM version: 0.0.0
[11/22/2026-18:26:52] [TRT-LLM] [W] Using default gpus_per_node: 8
[11/22/2026-18:26:52] [TRT-LLM] [I] PyTorchConfig(extra_resource_managers={}, use_cuda_graph=False)
rank 0 using MpiPoolSession to spawn MPI processes
[W1122 18:26:53.120000000 socket.cpp:752] [c10d] The socket cannot be initialized (errno: 97).
Loading safetensors weights in parallel: 100%|##########| 4/4 [00:00<00:00, 61.11it/s]
`torch_dtype` is deprecated! Use `dtype` instead!
[11/22/2026-18:26:59] [TRT-LLM] [RANK 0] [W] Attention workspace size is not enough
[11/22/2026-18:27:02] [TRT-LLM] [I] Estimated max memory in KV cache : 30.41 GiB
2026-11-22 18:27:05,120 - INFO - flashinfer.jit: Prebuilt kernels not found, using JIT backend
I1122 18:27:06.683256 1 model_lifecycle.cc:849] "successfully loaded 'tensorrt_llm'"
""",
    ),
)

SERVE_START = """
NOTE: CUDA Forward Compatibility mode ENABLED.
  Using CUDA 13.1 driver version 590.48.01 with kernel driver version 580.126.20.
[TensorRT-LLM] TensorRT-LLM version: 1.2.1
[11/22/2026-18:26:52] [TRT-LLM] [W] Using default gpus_per_node: 8
rank 0 using MpiPoolSession to spawn MPI processes
[11/22/2026-18:26:53] [TRT-LLM] [I] start MpiSession with 2 workers
[11/22/2026-18:26:58] [TRT-LLM] [I] Prefetching 14.96GB checkpoint files.
Loading safetensors weights in parallel: 100%|##########| 4/4 [00:00<00:00, 61.11it/s]
[11/22/2026-18:26:59] [TRT-LLM] [RANK 0] [W] Attention workspace size is not enough
[11/22/2026-18:27:02] [TRT-LLM] [I] Estimated max memory in KV cache : 30.41 GiB
[11/22/2026-18:27:03] [TRT-LLM] [W] max_seq_len=131072 is larger than the max sequence length that can be allocated
2026-11-22 18:27:05,120 - INFO - flashinfer.jit: Prebuilt kernels not found, using JIT backend
[11/22/2026-18:27:06] [TRT-LLM] [I] Running autotuner warmup...
[11/22/2026-18:27:09] [TRT-LLM] [I] get signal from executor worker
INFO:     Started server process [1]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)
INFO:     172.18.0.1:51234 - "POST /v1/completions HTTP/1.1" 200 OK
"""
"""Of trtllm-serve, with two workers and a driver that is older than the image's CUDA."""
