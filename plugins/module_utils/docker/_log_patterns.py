# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the logs of Triton, TensorRT-LLM and their build tools mean. Private to the collection."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import open_regular

_BACKEND = "https://github.com/triton-inference-server/tensorrtllm_backend"
_SERVER = "https://github.com/triton-inference-server/server"
_CLI = "https://github.com/triton-inference-server/triton_cli"
_TRTLLM = "https://github.com/NVIDIA/TensorRT-LLM"
# Where the first error of a log is not in its last part, what follows is noise.
LOG_READ = 256 * 1024
LAST_LINES = 12


class LogPattern(t.NamedTuple):
    """One known failure. Without a pattern it shows itself only by behaviour, and is found by its id."""

    id: str
    pattern: t.Pattern[str] | None
    cause: str
    remedy: str
    sources: tuple[str, ...]
    affects: str = "all"
    follow_up: bool = False  # says that something failed, but not what


def _issues(repository: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{repository}/issues/{number}" for number in numbers)


def _regex(*alternatives: str) -> t.Pattern[str]:
    return re.compile("|".join(alternatives), re.MULTILINE)


PATTERNS: tuple[LogPattern, ...] = (
    LogPattern(
        id="engine_trt_version",
        pattern=_regex(
            r"Serialization assertion stdVersionRead == kSERIALIZATION_VERSION failed",
            r"Version tag does not match\. Note: Current Version: \d+, Serialized Engine Version: \d+",
            r"[Tt]he engine plan file is not compatible with this version of TensorRT, "
            r"expecting library version \S+ got \S+",
        ),
        cause="The engine was built with another TensorRT or TensorRT-LLM than the image that serves it.",
        remedy="Build and serve with the same image; build the engine again whenever the image changes.",
        sources=_issues(_BACKEND, 190, 531) + _issues(_TRTLLM, 660) + _issues(_CLI, 59),
    ),
    LogPattern(
        id="engine_sm",
        pattern=_regex(r"generated on an incompatible device, expecting compute \S+ got compute \S+"),
        cause="The engine was built on a GPU of another architecture.",
        remedy="Build the engine on the same GPU model that serves it.",
        sources=("https://github.com/run-llama/llama_index/issues/12318",),
    ),
    LogPattern(
        id="engine_config_keys",
        pattern=_regex(
            r"\[json\.exception\.out_of_range\.403\] key '\w+' not found", r"\[json\.exception\.parse_error\.101\]"
        ),
        cause="The engine's config.json comes from another TensorRT-LLM release, or engine_dir points to a wrong "
        "or empty folder.",
        remedy="Use one release for building and serving, and look at config.json in engine_dir.",
        sources=_issues(_BACKEND, 337, 207) + _issues(_TRTLLM, 1803),
    ),
    LogPattern(
        id="engine_dir_missing",
        pattern=_regex(r"Cannot find engine config file", r"Decoder \(GPT\) model path at .* does not exist"),
        cause="The placeholder engine_dir was not filled, or the engine files are not in that folder.",
        remedy="Set engine_dir to the folder, as seen in the container, with config.json and rank*.engine.",
        sources=(_BACKEND + "/blob/v0.11.0/inflight_batcher_llm/src/model_instance_state.cc",),
    ),
    LogPattern(
        id="mpi_world_size",
        pattern=_regex(
            r"Assertion failed: mpiSize == tp \* pp",
            r"MPI size \d+ != TP size \d+ \* PP size \d+",
            r"With communicationMode kLEADER, MPI worldSize is expected to be equal to tp\*pp",
        ),
        cause="tritonserver was started without mpirun, or with another number of ranks than the engine was built for.",
        remedy="Start tensor parallel times pipeline parallel ranks of tritonserver under mpirun.",
        sources=_issues(_TRTLLM, 1047, 2021) + _issues(_BACKEND, 33, 398),
    ),
    LogPattern(
        id="template_unfilled_parse",
        pattern=_regex(
            r"Error parsing text-format inference\.ModelConfig: \d+:\d+: Expected integer(?: or identifier)?, got: \$",
            r"failed to read text proto from .*config\.pbtxt",
        ),
        cause="A ${placeholder} outside quotes was left in a config.pbtxt.",
        remedy="Fill every placeholder that this release's template has outside quotes.",
        sources=_issues(_BACKEND, 501) + _issues(_TRTLLM, 2758) + _issues(_SERVER, 8592),
    ),
    LogPattern(
        id="triton_backend_unfilled",
        pattern=_regex(r"unable to find backend library for backend '\$\{triton_backend\}'"),
        cause="The placeholder triton_backend of model tensorrt_llm was not filled.",
        remedy="Set triton_backend to tensorrtllm.",
        sources=_issues(_TRTLLM, 1995),
        affects=">=v0.10.0",
    ),
    LogPattern(
        id="backend_library_missing",
        pattern=_regex(
            r"unable to find 'tensorrtllm/model\.py'", r"unable to find backend library for backend 'tensorrtllm'"
        ),
        cause="The image has no tensorrtllm backend: it is a plain Triton image.",
        remedy="Use the trtllm-python-py3 image of that month, or build the backend image.",
        sources=_issues(_BACKEND, 66),
    ),
    LogPattern(
        id="bls_model_name",
        pattern=_regex(r"Model '\$\{tensorrt_llm_model_name\}' is not ready"),
        cause="The placeholder tensorrt_llm_model_name of model tensorrt_llm_bls was not filled.",
        remedy="Set tensorrt_llm_model_name to tensorrt_llm.",
        sources=_issues(_BACKEND, 469, 621),
        affects="v0.9.0-v0.12.0",
    ),
    LogPattern(
        id="decoupled_generate",
        pattern=_regex(
            r"generate expects model to produce exactly 1 response",
            r"doesn't support models with decoupled transaction policy",
        ),
        cause="The model is decoupled (it may answer a request more than once), and the client asked for one answer.",
        remedy="Ask with generate_stream, or set decoupled_mode to false.",
        sources=_issues(_BACKEND, 233, 177) + _issues(_TRTLLM, 677),
    ),
    LogPattern(
        id="launch_script_returns",
        pattern=None,
        cause="Upstream's launch script starts the server in the background and returns; as the first process of a "
        "container it ends the container at once, with exit code 0 and no error.",
        remedy="Let the container run the mpirun command itself, in the foreground.",
        sources=_issues(_BACKEND, 580, 452, 470),
    ),
    LogPattern(
        id="already_running",
        pattern=_regex(r"tritonserver process\(es\) already found with PID\(s\)"),
        cause="Upstream's launch script saw another tritonserver. It sees only processes that are on a CPU just "
        "then, so it may as well miss one that sleeps.",
        remedy="Stop the old server first.",
        sources=(_BACKEND + "/blob/v0.8.0/scripts/launch_triton_server.py",),
    ),
    LogPattern(
        id="shm_size",
        pattern=_regex(
            r"Unable to initialize shared memory key 'triton_python_backend_shm_region_\d+' to requested size",
            r"use '--shm-size' flag",
        ),
        cause="/dev/shm of the container is too small: Docker gives 64 MB, and each Python model instance wants that.",
        remedy="Start the container with --shm-size=2g or more.",
        sources=_issues(_SERVER, 6195) + _issues(_BACKEND, 562),
    ),
    LogPattern(
        id="lfs_pointer",
        pattern=_regex(
            r"libtensorrt_llm_batch_manager_static(\.pre_cxx11)?\.a: "
            r"file format not recognized; treating as linker script",
            r"The batch manager library is truncated or incomplete",
        ),
        cause="The git-lfs objects were not fetched: the static libraries are only pointer files.",
        remedy="Run git lfs install before the submodule update, then git lfs pull in the tensorrt_llm submodule; "
        "the libraries are larger than 1 MB.",
        sources=_issues(_TRTLLM, 72) + _issues(_BACKEND, 44, 302) + _issues(_SERVER, 7382, 6839),
        affects="source builds up to v0.18.x",
    ),
    LogPattern(
        id="submodule_clone",
        pattern=_regex(
            r"Failed to clone '\S+' a second time, aborting", r"Failed to recurse into submodule path 'tensorrt_llm'"
        ),
        cause="A third-party submodule inside the TensorRT-LLM submodule could not be cloned.",
        remedy="Try again, take another release, or use the NGC image, which needs no submodules.",
        sources=_issues(_BACKEND, 717),
        affects="source builds of early 2025",
    ),
    LogPattern(
        id="build_oom",
        pattern=_regex(
            r"nvcc error\s+: 'cicc' died due to signal 9",
            r"Killed signal terminated program cc1plus",
            r"virtual memory exhausted: Cannot allocate memory",
        ),
        cause="The machine ran out of memory while compiling for all CUDA architectures with many jobs.",
        remedy="Build for one architecture (80-real for A100) with fewer jobs (trtllm_image.build: cuda_architectures, "
        "jobs), or use the NGC image.",
        sources=_issues(_TRTLLM, 824) + _issues(_BACKEND, 44, 385),
        affects="source builds",
    ),
    LogPattern(
        id="no_space",
        pattern=_regex(r"[Nn]o space left on device"),
        cause="A file system is full. Building an image from source takes more than 100 GB in Docker's data folder.",
        remedy="Free space there (docker builder prune removes what earlier builds have left), or move Docker's "
        "data-root to a larger file system.",
        sources=_issues(_TRTLLM, 1705),
    ),
    LogPattern(
        id="numpy2",
        pattern=_regex(r"A module that was compiled using NumPy 1\.x cannot be run in NumPy 2"),
        cause="These releases do not pin numpy, so that version 2 got into the image.",
        remedy="Build with the constraint numpy<2; upstream has it from v0.10.0.",
        sources=_issues(_TRTLLM, 3734, 601),
        affects="source builds of v0.8.0 and v0.9.0",
    ),
    LogPattern(
        id="mixtral_convert_gpu_oom",
        pattern=_regex(
            r"torch\.cuda\.OutOfMemoryError: CUDA out of memory.*",
            r"torch\.stack\(.*block_sparse_moe\.experts",
            r"torch\.concat\(\[w3, w1\]",
        ),
        cause="The conversion loads the whole model on the GPUs and stacks the experts there; seen with eight 40 GB "
        "GPUs and eight workers.",
        remedy="Convert with one worker. v0.8.0 obeys --load_model_on_cpu, v0.9.0 ignores it; from v0.10.0 "
        "safetensors weights are read on the CPU.",
        sources=_issues(_TRTLLM, 1304, 1156, 1629),
        affects="v0.8.0, v0.9.0; later ones without safetensors or with weight-only quantization",
    ),
    LogPattern(
        id="mixtral_load_by_shard",
        pattern=_regex(r"MoE does not support sharded load"),
        cause="--load_by_shard was given for a mixture-of-experts model.",
        remedy="Convert without --load_by_shard.",
        sources=(_TRTLLM + "/blob/v0.9.0/tensorrt_llm/models/llama/weight.py",),
        affects=">=v0.8.0",
    ),
    LogPattern(
        id="convert_killed",
        pattern=_regex(r"^Killed$", r"exit code 137"),
        cause="The kernel killed the process because the host's memory was used up (Mixtral in fp16 is about 93 GB).",
        remedy="Have more than twice the model's size of host memory for each worker, or convert with one worker.",
        sources=_issues(_TRTLLM, 2539, 2093),
    ),
    LogPattern(
        id="mixtral_tp8_8k",
        pattern=_regex(r"Assertion failed: elts_per_rank % elts_per_thread == 0"),
        cause="v0.8.0 splits the experts' router over the ranks, which fails at tensor parallel 8 and 8k of input.",
        remedy="Use v0.9.0 or later.",
        sources=_issues(_TRTLLM, 1339),
        affects="v0.8.0",
    ),
    LogPattern(
        id="mixtral_tp_hang",
        pattern=None,
        cause="The custom all-reduce waits for ever when another process uses one of the GPUs: all GPUs are at "
        "100 % and the server never gets ready.",
        remedy="Build with --use_custom_all_reduce disable (up to v0.11.0; automatic from v0.12.0).",
        sources=_issues(_TRTLLM, 1601),
        affects="v0.8.0-v0.11.0",
    ),
    LogPattern(
        id="peer_access",
        pattern=_regex(r"peer access is not supported between these two devices", r"Can't enable access between nodes"),
        cause="The custom all-reduce needs GPUs that reach each other's memory (NVLink or peer to peer).",
        remedy="Build with --use_custom_all_reduce disable.",
        sources=_issues(_TRTLLM, 1499, 1374, 1588),
        affects="v0.8.0-v0.11.0",
    ),
    LogPattern(
        id="runtime_oom",
        pattern=_regex(
            r"CUDA runtime error in ::cudaMallocAsync.*out of memory",
            r"Cuda Runtime \(out of memory\)",
            r"Executor creation failed due to insufficient GPU memory",
        ),
        cause="GPU memory is used up: the KV cache takes 0.9 of what is free, and activations or other ranks need more "
        "than the rest.",
        remedy="Set kv_cache_free_gpu_mem_fraction to 0.5-0.85, or lower max_batch_size or max_num_tokens.",
        sources=_issues(_BACKEND, 438) + _issues(_TRTLLM, 486, 401),
    ),
    LogPattern(
        id="kv_too_small",
        pattern=_regex(
            r"maxTokensInPagedKvCache \(\d+\) must be large enough to process at least 1 sequence to completion"
        ),
        cause="The KV cache does not hold even one sequence of full length.",
        remedy="Raise kv_cache_free_gpu_mem_fraction, or build with shorter input and output lengths.",
        sources=_issues(_BACKEND, 168),
        affects="<=v0.9",
    ),
    LogPattern(
        id="prompt_too_long",
        pattern=_regex(r"Prompt length \(\d+\) exceeds maximum (?:input|sequence) length \(\d+\)"),
        cause="The prompt is longer than the engine was built for (max_input_len is 1024 unless set).",
        remedy="Build the engine with a larger max_input_len, max_seq_len or max_num_tokens, or send a shorter prompt.",
        sources=_issues(_BACKEND, 141, 565),
    ),
    LogPattern(
        id="mpi_slots",
        pattern=_regex(r"There are not enough slots available in the system to satisfy the \d+ slots"),
        cause="Open MPI starts no more ranks than the machine has cores unless told so.",
        remedy="Start mpirun with --oversubscribe, or set OMPI_MCA_rmaps_base_oversubscribe=1.",
        sources=_issues(_TRTLLM, 5854),
    ),
    LogPattern(
        id="mpi_abort",
        pattern=_regex(r"MPI_ABORT was invoked on rank \d+ in communicator MPI_COMM_WORLD"),
        cause="One rank failed and took the others with it.",
        remedy="Look for the first error of that rank, further up in the log.",
        sources=_issues(_TRTLLM, 2813),
        follow_up=True,
    ),
    LogPattern(
        id="tokenizer",
        pattern=_regex(r"Couldn't instantiate the backend tokenizer", r"You need to have sentencepiece installed"),
        cause="The model's tokenizer needs the Python package sentencepiece, which the image does not have.",
        remedy="Install sentencepiece into the image, or use weights that carry a tokenizer.json.",
        sources=(_BACKEND + "/blob/v0.9.0/docs/llama.md",),
        affects=">=v0.8.0",
    ),
    LogPattern(
        id="no_bos",
        pattern=None,
        cause="Poor or garbled completions without any error: add_special_tokens is False (or unfilled, which means "
        "False), so that the prompt lacks its first token.",
        remedy="Set add_special_tokens to true; in v0.8.0 it is a literal in the preprocessing model.",
        sources=(_BACKEND + "/blob/v0.9.0/all_models/inflight_batcher_llm/preprocessing/1/model.py",),
        affects="v0.8.0-v0.10.0",
    ),
    LogPattern(
        id="never_stops",
        pattern=None,
        cause="The text always goes on to max_tokens: it is a base model, or nobody told the server the end token.",
        remedy="Send end_id and pad_id (2 for Mixtral) or stop_words with the request.",
        sources=_issues(_BACKEND, 287, 486),
    ),
    LogPattern(
        id="bindings_shadowed",
        pattern=_regex(r"ModuleNotFoundError: No module named 'tensorrt_llm\.bindings'"),
        cause="The working directory is a TensorRT-LLM checkout, which hides the installed package.",
        remedy="Start the program from another directory.",
        sources=(_BACKEND + "/blob/main/README.md",),
        affects="llmapi releases",
    ),
    LogPattern(
        id="llmapi_openai_pkg",
        pattern=_regex(r"ImportError: cannot import name 'PartReasoningText'"),
        cause="The Python package openai of the image is too old.",
        remedy="Upgrade openai in the image.",
        sources=(_SERVER + "/blob/main/docs/getting_started/llm.md",),
        affects="26.07",
    ),
)

BY_ID: dict[str, LogPattern] = {known.id: known for known in PATTERNS}


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip()


def explain(log: str) -> list[dict[str, str]]:
    """Every known failure in a log, earliest first; follow-ups only where nothing says more."""
    found = []
    for known in PATTERNS:
        match = known.pattern.search(log) if known.pattern else None
        if match:
            found.append((match.start(), known))
    found.sort(key=lambda hit: hit[0])
    causes = [hit for hit in found if not hit[1].follow_up]
    return [
        {"id": known.id, "cause": known.cause, "remedy": known.remedy, "line": _line_at(log, position)}
        for position, known in causes or found
    ]


def log_tail(path: str, begin: int = 0) -> str:
    """The last part of a log, from `begin` on at the earliest."""
    with open_regular(path) as stream:
        stream.seek(max(begin, os.path.getsize(path) - LOG_READ))
        return stream.read().decode("utf-8", "replace")


def failure_text(what: str, log: str, path: str) -> str:
    """A failed tool in one message: the known cause if there is one, and the last words of its log."""
    known = [f"Cause: {hit['cause']} Remedy: {hit['remedy']}" for hit in explain(log)[:1]]
    last = "\n".join(log.rstrip().splitlines()[-LAST_LINES:]) or "(nothing)"
    return "\n".join([what, *known, f"Its last words (all of them are in {path}):", last])


# The server's own words, the most telling form first. Since 24.04 Triton puts messages in quotes, newlines escaped.
_END = r"\s*(?:\\n|\"?$)"
_E_LINE = r"^E\d{4} [\d:.]+\s+\d+ \S+\] "
# Errors that every server without a GPU logs and lives with.
_HARMLESS = r"(?!\"?(?:CudaDriverHelper has not been initialized|unable to create stream for ))"
_REASONS: tuple[t.Pattern[str], ...] = tuple(
    re.compile(expression, re.MULTILINE)
    for expression in (
        r"(failed to load '[^']+' version \d+: .+?)" + _END,
        r"^\|\s*([^|\s]+)\s*\|\s*\d+\s*\|\s*UNAVAILABLE: (.+?)\s*\|\s*$",
        r"(Poll failed for model directory '.+?)" + _END,
        r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)$",
        _E_LINE + _HARMLESS + r"\"?(.+?)" + _END,
        r"^error: (.+)$",
    )
)


def server_reason(log: str) -> str:
    """The words in which the server itself says why it failed; empty if it does not."""
    for pattern in _REASONS:
        match = pattern.search(log)
        if match:
            return ": ".join(match.groups())
    return ""
