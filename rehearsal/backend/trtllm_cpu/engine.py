# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine folder: config.json and rank<N>.engine; written by the build tool, opened by the backend.

An engine file holds the rank's weights (in the safetensors format) and the release that built it. There is nothing to
compile on a CPU, so building checks every tensor against the configuration and writes the rank down under its new name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from . import VERSION
from .checkpoint import rank_targets
from .tensors import TensorFileWriter


class EngineError(Exception):
    """The engine folder cannot be built or served; the text is what upstream prints in that case."""


def build_rank(
    config: dict[str, Any], checkpoint: Path, output: Path, rank: int, progress: Callable[[int, int], None]
) -> None:
    source = checkpoint / f"rank{rank}.safetensors"
    if not source.is_file():
        raise EngineError(
            f"no {source}: the checkpoint's config.json says world_size {config['mapping']['world_size']}"
        )
    shapes = {target.name: target.shape for target in rank_targets(config, rank, tied=False)}
    with safe_open(str(source), framework="np") as file:
        _check_tensors(source, shapes, {name: tuple(file.get_slice(name).get_shape()) for name in file.offset_keys()})
        metadata = {"trtllm_version": VERSION, "rank": str(rank)}
        with TensorFileWriter(output / f"rank{rank}.engine", config["dtype"], shapes, metadata) as writer:
            for done, name in enumerate(shapes, 1):
                writer.write(name, file.get_tensor(name))
                progress(done, len(shapes))


def _check_tensors(source: Path, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [
        f"{name} has shape {found[name]}, config.json asks for {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        raise EngineError(f"{source} does not fit its config.json: " + "; ".join(problems))


def read_config(folder: Path) -> dict[str, Any]:
    """The engine's config.json, or upstream's words for what is wrong with the folder."""
    if not folder.is_dir():
        raise EngineError(f"Decoder (GPT) model path at {folder} does not exist.")
    path = folder / "config.json"
    if not path.is_file():
        raise EngineError(f"Cannot find engine config file {path}")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EngineError(f"[json.exception.parse_error.101] parse error in {path}: {error}") from error
    for key in ("version", "pretrained_config", "build_config"):
        if key not in config:
            raise EngineError(f"[json.exception.out_of_range.403] key '{key}' not found")
    return config


def check_version(config: dict[str, Any]) -> None:
    if config["version"] != VERSION:
        raise EngineError(
            "The engine plan file is not compatible with this version of TensorRT, "
            f"expecting library version {VERSION} got {config['version']}, please rebuild."
        )


def check_world(config: dict[str, Any], world_size: int) -> None:
    mapping = config["pretrained_config"]["mapping"]
    tp_size, pp_size = mapping["tp_size"], mapping["pp_size"]
    if world_size != tp_size * pp_size:
        raise EngineError(
            "Assertion failed: With communicationMode kLEADER, MPI worldSize is expected to be equal to tp*pp when "
            f"participantIds are not specified (MPI size {world_size} != TP size {tp_size} * PP size {pp_size})"
        )


def read_weights(folder: Path, rank: int) -> dict[str, np.ndarray]:
    path = folder / f"rank{rank}.engine"
    if not path.is_file():
        raise EngineError(f"Error opening engine file: {path}")
    with safe_open(str(path), framework="np") as file:
        return {name: file.get_tensor(name) for name in file.offset_keys()}
