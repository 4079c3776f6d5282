# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the LLM: options of the command line and keys of the configuration file together."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from trtllm_cpu import log

from .command_line import Given
from .versions import Version

# Keys that would change the tokens, or how many there can be, and need something that is missing here.
UNSUPPORTED = {
    "checkpoint_format": "only Hugging Face folders are read",
    "checkpoint_loader": "only Hugging Face folders are read",
    "enable_lora": "LoRA is not there",
    "load_format": "the weights are read from *.safetensors",
    "lora_config": "LoRA is not there",
    "mm_encoder_only": "a text model has no such encoder",
    "orchestrator_type": "workers are started over MPI",
    "skip_tokenizer_init": "answers are text",
    "sparse_attention_config": "sparse attention is not there",
    "speculative_config": "speculative decoding is not there",
}


class ConfigError(ValueError):
    """The arguments are refused, in upstream's words."""


def llm_arguments(version: Version, given: Given) -> dict[str, Any]:
    """Every key of the version with its value: default, option or file, in the version's order of precedence."""
    config = version["config"]
    path = given.options.get("--extra_llm_api_options")
    file = _read(Path(path)) if path else {}
    _check(config, file)
    arguments = copy.deepcopy(dict(config["keys"]))
    arguments["kv_cache_config"] = dict(config["nested"]["kv_cache_config"])
    arguments["model"] = given.model
    options = {option["key"]: name for name, option in version["options"].items() if "key" in option}
    for key, name in options.items():
        _set(arguments, key, given.options[name])
    _merge(arguments, config, file)
    if not config["file_wins"]:
        for key, name in options.items():
            if name in given.explicit:
                _set(arguments, key, given.options[name])
    elif file and given.explicit:
        log.warning(f"{path} takes precedence over the options of the command line")
    _refuse_unsupported(arguments)
    return arguments


def _read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is no mapping of keys")
    return found


def _set(arguments: dict[str, Any], key: str, value: Any) -> None:
    section, _dot, name = key.rpartition(".")
    (arguments[section] if section else arguments)[name] = value


def _merge(arguments: dict[str, Any], config: Mapping[str, Any], file: Mapping[str, Any]) -> None:
    for key, value in file.items():
        if key == "kv_cache_config" and value is not None:
            # a version that does not merge takes its own defaults for missing keys, and not those of the command line
            base = arguments[key] if key in config["merged"] else config["nested"][key]
            value = {**base, **value}
        arguments[key] = value


def _check(config: Mapping[str, Any], file: Mapping[str, Any]) -> None:
    for key in file:
        if key == "quant_config":
            log.warning("quant_config is ignored: the checkpoint decides")
        elif key in config["tensorrt_backend_only"]:
            raise ConfigError(f"{key} is specific to TensorRT backend")
        elif key not in config["keys"]:
            raise ConfigError(f"TorchLlmArgs got invalid argument: {key}")
    problems = [problem for key, value in file.items() for problem in _problems(config, key, value)]
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for TorchLlmArgs"
        raise ConfigError("\n".join([count, *problems]))


def _problems(config: Mapping[str, Any], key: str, value: Any) -> Iterator[str]:
    nested = config["nested"].get(key)
    if nested is None:
        yield from _wrong_type(key, value, config["keys"].get(key))
        return
    if value is not None and not isinstance(value, Mapping):
        yield f"{key}\n  Input should be a valid dictionary [type=model_type, {_seen(value)}]"
        return
    for name, inner in (value or {}).items():
        if name not in nested:
            yield f"{key}.{name}\n  Extra inputs are not permitted [type=extra_forbidden, {_seen(inner)}]"
        else:
            yield from _wrong_type(f"{key}.{name}", inner, nested[name])


def _wrong_type(key: str, value: Any, default: Any) -> Iterator[str]:
    """A value of another type than the default has."""
    if value is None or default is None:
        return
    if isinstance(default, bool) and not isinstance(value, bool):
        yield f"{key}\n  Input should be a valid boolean [type=bool_type, {_seen(value)}]"
    elif not isinstance(default, bool) and isinstance(default, (int, float)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{key}\n  Input should be a valid number [type={type(default).__name__}_type, {_seen(value)}]"
    elif isinstance(default, str) and not isinstance(value, str):
        yield f"{key}\n  Input should be a valid string [type=string_type, {_seen(value)}]"


def _seen(value: Any) -> str:
    return f"input_value={value!r}, input_type={type(value).__name__}"


def _refuse_unsupported(arguments: Mapping[str, Any]) -> None:
    for name, reason in UNSUPPORTED.items():
        if arguments.get(name) not in (None, False, "auto"):
            raise ConfigError(f"{name} is a key of this version but cannot be honoured here: {reason}")
