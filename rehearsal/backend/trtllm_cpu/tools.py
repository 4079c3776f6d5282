# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two command-line tools of the image: convert_checkpoint.py and trtllm-build."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ConversionError
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._native_converter import (
    Request,
    convert,
    prepare,
)

from . import VERSION, engine, log
from .checkpoint import moe_sizes
from .cli import parse
from .release import Table, fill, load_tables

SIZES = (
    "max_batch_size",
    "max_beam_width",
    "max_input_len",
    "max_num_tokens",
    "max_output_len",
    "max_seq_len",
    "opt_num_tokens",
)


def convert_checkpoint(argv: list[str] | None = None) -> int:
    args = parse("convert_checkpoint.py", [load_tables()["convert_checkpoint"]], argv)
    print(f"[TensorRT-LLM] TensorRT-LLM version: {VERSION}\n{VERSION}", flush=True)
    started = time.monotonic()
    try:
        _convert(args)
    except (OSError, ValueError, ConversionError) as error:
        print(f"convert_checkpoint.py: error: {error}", file=sys.stderr)
        return 1
    print(f"Total time of converting checkpoints: {log.clock(time.monotonic() - started)}", flush=True)
    return 0


def _convert(args: argparse.Namespace) -> None:
    if args.model_dir is None:
        raise ValueError("--model_dir is required")
    output = Path(args.output_dir)
    conversion = prepare(Request(args.model_dir, VERSION, args.dtype, _cut(args)))
    output.mkdir(parents=True, exist_ok=True)
    convert(conversion, str(output), _Percent(conversion.total_bytes).add, args.workers)


def _cut(args: argparse.Namespace) -> Cut:
    if hasattr(args, "moe_tp_mode"):
        sizes = (1, args.tp_size) if args.moe_tp_mode == 1 else (args.tp_size, 1)
    else:
        sizes = moe_sizes(args.tp_size, args.moe_tp_size, args.moe_ep_size)
    return Cut(args.tp_size, args.pp_size, *sizes, args.use_parallel_embedding, args.embedding_sharding_dim)


class _Percent:
    """Prints a line after every tenth of the work. Called from the converter's threads."""

    def __init__(self, total: int):
        self._total = total
        self._done = 0
        self._mutex = threading.Lock()

    def add(self, count: int) -> None:
        with self._mutex:
            before, self._done = self._done, self._done + count
            tenth = 10 * self._done // self._total
            if tenth > 10 * before // self._total:
                log.info(f"{tenth}0% of {self._total} bytes converted")


def trtllm_build(argv: list[str] | None = None) -> int:
    tables = load_tables()
    args = parse("trtllm-build", [tables["trtllm_build"], tables["plugin_config"]], argv)
    print(f"[TensorRT-LLM] TensorRT-LLM version: {VERSION}", flush=True)
    started = time.monotonic()
    try:
        _build(args, tables)
    except (OSError, KeyError, ValueError, ConversionError, engine.EngineError) as error:
        print(f"trtllm-build: error: {error}", file=sys.stderr)
        return 1
    log.info(f"Total time of building all engines: {log.clock(time.monotonic() - started)}")
    return 0


def _build(args: argparse.Namespace, tables: dict[str, Table]) -> None:
    if args.checkpoint_dir is None:
        raise ValueError("--checkpoint_dir is required")
    source, output = Path(args.checkpoint_dir), Path(args.output_dir)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    values = {**vars(args), **_sizes(args, config), "kv_cache_type": _kv_cache_type(args)}
    values["plugin_config"] = _plugin_config(args, tables["plugin_config"], config["dtype"])
    for kind in ("context", "generation"):
        values[f"gather_{kind}_logits"] |= args.gather_all_token_logits
    build_config = fill(tables["build_config"], values)
    if args.logits_dtype is not None:
        config["logits_dtype"] = args.logits_dtype
    dry_run = getattr(args, "dry_run", False)
    for rank in range(config["mapping"]["world_size"]):
        if dry_run:
            log.info(f"rank {rank}: dry run, no engine is written")
            continue
        output.mkdir(parents=True, exist_ok=True)
        _build_rank(config, source, output, rank)
    if not dry_run:
        whole = {"version": VERSION, "pretrained_config": config, "build_config": build_config}
        (output / "config.json").write_text(json.dumps(whole, indent=4), encoding="utf-8")


def _build_rank(config: dict[str, Any], source: Path, output: Path, rank: int) -> None:
    started = time.monotonic()
    engine.build_rank(config, source, output, rank)
    log.info(f"Build engine rank{rank}.engine done, elapsed {log.clock(time.monotonic() - started)}")


def _plugin_config(args: argparse.Namespace, flags: Table, dtype: str) -> dict[str, Any]:
    """The plugins' settings as in the engine's config.json: booleans, dtypes, null for disabled ones."""
    values = {"enable": True, "disable": False}
    config: dict[str, Any] = {"dtype": dtype}
    for name in (flag.lstrip("-") for flag in flags):
        value = getattr(args, name)
        if name.endswith("_plugin"):
            value = {"auto": dtype, "disable": None}.get(value, value)
        config[name] = values.get(value, value) if isinstance(value, str) else value
        log.info(f"Set {name} to {config[name]}.")
    config["paged_kv_cache"] = _kv_cache_type(args) == "PAGED"
    return config


def _kv_cache_type(args: argparse.Namespace) -> str:
    wanted = getattr(args, "kv_cache_type", None)
    if wanted is not None:
        return str(wanted).upper()
    return "CONTINUOUS" if args.paged_kv_cache == "disable" else "PAGED"


def _sizes(args: argparse.Namespace, config: Mapping[str, Any]) -> dict[str, int]:
    """The engine's limits, including derived ones. A TensorRT-LLM version has max_output_len or max_seq_len."""
    sizes = {name: value for name, value in vars(args).items() if name in SIZES}
    positions = config["max_position_embeddings"]
    if "max_seq_len" in sizes and sizes["max_seq_len"] is None:
        sizes["max_seq_len"] = positions
        log.info(f"max_seq_len is not specified, using deduced value {positions}")
    if sizes["max_num_tokens"] is None:
        sizes["max_num_tokens"] = sizes["max_batch_size"] * sizes["max_input_len"]
    if sizes["opt_num_tokens"] is None:
        sizes["opt_num_tokens"] = sizes["max_batch_size"] * sizes["max_beam_width"]
    wrong = [f"{name} must be greater than 0, got {value}" for name, value in sizes.items() if value < 1]
    if wrong:
        raise ValueError("; ".join(wrong))
    length = sizes.get("max_seq_len") or sizes["max_input_len"] + sizes["max_output_len"]
    if length > positions:
        log.warning(f"max_seq_len {length} is larger than max_position_embeddings {positions}")
    return sizes
