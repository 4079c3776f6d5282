# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of the server, in upstream's order: options, address, model, then HTTP."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ConversionError
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from trtllm_cpu import log
from trtllm_cpu.tokenizer import TokenizerError

from tensorrt_llm import LLM
from tensorrt_llm.executor import InProcess, MpiWorkers, WorkersError

from .app import make_app
from .arguments import ConfigError, llm_arguments
from .command_line import Given, make_command
from .kv_cache import KvCache
from .metrics import Metrics
from .parsers import Parser
from .service import Service
from .versions import Version, load_version

# Folders that the libraries of the real server write to, with the variables that move them.
CACHES = {
    "TRITON_CACHE_DIR": "~/.triton",
    "XDG_CACHE_HOME": "~/.cache",
    "FLASHINFER_WORKSPACE_BASE": "~/.cache",
}
NO_USAGE = ("TRTLLM_NO_USAGE_STATS", "TELEMETRY_DISABLED", "DO_NOT_TRACK")
SHARED_MEMORY = 128 * 1024**2
START_ERRORS = (ConfigError, ConversionError, WorkersError, TokenizerError, ValueError, OSError, yaml.YAMLError)


def main() -> None:
    version = load_version()
    make_command(version, partial(run, version))()


def run(version: Version, given: Given) -> None:
    address = _bind(given.options["--host"], given.options["--port"])
    if given.options.get("--report_addr"):
        host, port = address.getsockname()[:2]
        Path(given.options["--report_addr"]).write_text(f"{host}:{port}", encoding="utf-8")
    try:
        arguments = llm_arguments(version, given)
        check_machine(version, arguments)
        if reports_usage(given, arguments):
            log.info("Usage statistics are sent to NVIDIA (not here)")
        service = make_service(version, given, arguments)
    except START_ERRORS as error:
        log.error(f"{type(error).__name__}: {error}")
        # the workers may never end, and Open MPI kills them when this process has ended
        sys.stdout.flush()
        os._exit(1)
    config = uvicorn.Config(make_app(service), log_level="info", timeout_keep_alive=5)
    uvicorn.Server(config).run(sockets=[address])


def _bind(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    address = socket.socket(found[0], socket.SOCK_STREAM)
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address.bind(found[4])
        # connections wait until the model is loaded
        address.listen()
    except OSError as error:
        log.error(f"RuntimeError: Failed to bind socket to {host}:{port}: {error}")
        raise SystemExit(1) from error
    return address


def check_machine(version: Version, arguments: Mapping[str, Any]) -> None:
    """What the libraries of the real server need of the container."""
    try:
        getpass.getuser()
    except (KeyError, OSError) as error:
        raise OSError(f"{error}: getpass finds no name for uid {os.getuid()}; LOGNAME and USER are not set") from error
    for variable, default in CACHES.items():
        folder = Path(os.environ.get(variable) or os.path.expanduser(default))
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"[Errno 30] Read-only file system: '{folder}'")
    ranks = cut_of(arguments).world_size
    if not version["root_starts_workers"] and os.geteuid() == 0 and not single_process(ranks):
        raise WorkersError("client_spawn: MPI_ERR_UNKNOWN: unknown error (Open MPI 5 spawns no processes as root)")
    memory = os.statvfs("/dev/shm")
    if ranks > 1 and memory.f_blocks * memory.f_frsize < SHARED_MEMORY:
        raise OSError("Error while creating shared memory segment /dev/shm/nccl-rehearsal (size 33030528)")


def reports_usage(given: Given, arguments: Mapping[str, Any]) -> bool:
    """Whether upstream's server would report its usage."""
    disabled = bool((arguments.get("telemetry_config") or {}).get("disabled"))
    return bool(given.options.get("--telemetry")) and not disabled and not any(map(os.environ.get, NO_USAGE))


def single_process(ranks: int) -> bool:
    return ranks == 1 and os.environ.get("TLLM_WORKER_USE_SINGLE_PROCESS") == "1"


def cut_of(arguments: Mapping[str, Any]) -> Cut:
    if (arguments.get("context_parallel_size") or 1) != 1:
        raise ConfigError("context_parallel_size can only be 1 here")
    return Cut.of(
        arguments["tensor_parallel_size"],
        arguments["pipeline_parallel_size"],
        arguments["moe_tensor_parallel_size"],
        arguments["moe_expert_parallel_size"],
    )


def make_service(version: Version, given: Given, arguments: dict[str, Any]) -> Service:
    folder = Path(given.model)
    model = _read_config(folder, version)
    cache = KvCache.of(arguments["kv_cache_config"], model)
    parser = Parser(arguments["reasoning_parser"], given.options.get("--tool_parser"))
    name = given.options.get("--served_model_name") or (folder.resolve().name if folder.is_dir() else given.model)
    metrics = Metrics(version, arguments, name, cache)
    length = cache.limit(version, max_seq_len(arguments["max_seq_len"], model["max_position_embeddings"]))
    llm = _load(arguments, length, metrics.step)
    return Service(
        llm,
        version,
        arguments,
        name,
        parser,
        cache,
        metrics,
        given.options.get("--chat_template"),
        bool(given.options.get("--allow_request_chat_template", True)),
    )


def max_seq_len(wanted: int | None, of_model: int) -> int:
    """What the model was made for, unless a shorter length is wanted, or a longer one explicitly allowed."""
    if wanted is None or wanted <= of_model or os.environ.get("TLLM_ALLOW_LONG_MAX_MODEL_LEN"):
        return wanted or of_model
    log.warning(f"max_seq_len={wanted} is larger than the {of_model} positions of the model, and is cut to them")
    return of_model


def _read_config(folder: Path, version: Version) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise ConfigError(f"{folder} is no folder with a config.json (nothing is downloaded)")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    [architecture] = config["architectures"]
    if architecture not in version["architectures"]:
        raise ConfigError(f"Unknown architecture for AutoModelForCausalLM: {architecture}")
    return config


def _load(arguments: Mapping[str, Any], max_seq_len: int, on_step: Any) -> LLM:
    cut = cut_of(arguments)
    start: Any = InProcess.of if single_process(cut.world_size) else MpiWorkers
    log.info("Prefetching checkpoint files")
    # with chunked prefill, a prompt may be longer than a step
    tokens = arguments["max_num_tokens"] or 8192
    return LLM(
        arguments["model"],
        arguments["tokenizer"],
        start=partial(_started, start, on_step),
        cut=cut,
        dtype=arguments["dtype"],
        max_seq_len=max_seq_len,
        max_batch_size=arguments["max_batch_size"],
        max_num_tokens=max(tokens, max_seq_len) if arguments["enable_chunked_prefill"] else tokens,
    )


def _started(start: Any, on_step: Any, job: Any) -> Any:
    executor = start(job, on_step)
    log.info("Running autotuner warmup...")
    return executor
