# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine folder: config.json and rank<N>.engine, written by the build tool and opened by the backend.

There is nothing to compile for a CPU: an engine file is the rank's safetensors file, after every tensor has been
checked against the configuration.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    CODES,
    StoredTensor,
    read_head,
)
from safetensors import safe_open

from . import VERSION
from .checkpoint import Target, targets


class EngineError(Exception):
    """The engine folder cannot be built or served; the message is upstream's."""


def build_rank(config: dict[str, Any], checkpoint: Path, output: Path, rank: int) -> None:
    source = checkpoint / f"rank{rank}.safetensors"
    if not source.is_file():
        raise EngineError(
            f"no {source}: the checkpoint's config.json says world_size {config['mapping']['world_size']}"
        )
    found = read_head(str(source))
    problems = list(filter(None, (_problem(target, found.get(target.name)) for target in targets(config, rank))))
    if problems:
        raise EngineError(f"{source} does not fit its config.json: " + "; ".join(problems))
    shutil.copyfile(source, output / f"rank{rank}.engine")


def _problem(target: Target, found: StoredTensor | None) -> str:
    if found is None:
        return f"{target.name} is missing"
    if found.shape != target.shape:
        return f"{target.name} has shape {found.shape}, config.json asks for {target.shape}"
    if found.code != CODES[target.dtype]:
        return f"{target.name} is {found.code}, config.json asks for {CODES[target.dtype]}"
    return ""


def read_config(folder: Path) -> dict[str, Any]:
    """The engine's config.json, or upstream's error message for the folder."""
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
