# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Options of upstream's commands that the user adds, and those that a parameter of the model repository requires."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import hint, shown
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Spec

Refuse = Callable[[str, Any, str], None]
PAGED_CONTEXT_FMHA = "--use_paged_context_fmha"
# A word that a command could take for another option, or for several words.
_WORD = re.compile(r"(?!-[^0-9.])\S+")
_BY_PLAN = "is set by the plan: remove it here"
_NO_FILE = "names a file, and the container has none of the host's: remove it"
_IN_FLIGHT = "in-flight batching needs {}: remove it"
_NO_ENGINE = "writes no complete engine or checkpoint: remove it"


def _set_by(variable: str) -> str:
    return f"is set by the plan: use trtllm_{variable} instead"


@dataclass(frozen=True)
class Command:
    """A command of upstream's. `refused`: why an option cannot be added; `unservable`: why a value of one cannot."""

    name: str
    variable: str
    flags: Callable[[Release], Mapping[str, Any]]
    refused: Mapping[str, str]
    unservable: Mapping[tuple[str, str], str]


BUILD = Command(
    "trtllm-build",
    "build_options",
    lambda release: release["build"]["flags"],
    {
        **dict.fromkeys(("--checkpoint_dir", "--output_dir", "--workers"), _BY_PLAN),
        **dict.fromkeys(("--gemm_plugin", "--weight_only_precision"), _set_by("precision")),
        **{
            f"--{name}": _set_by(f"limits.{name}")
            for name in ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens", "max_beam_width")
        },
        "--max_output_len": _set_by("limits.max_seq_len"),
        **dict.fromkeys(("--tp_size", "--pp_size", "--auto_parallel", "--gpus_per_node"), _set_by("parallelism")),
        **dict.fromkeys(
            ("--build_config", "--model_config", "--model_cls_file", "--input_timing_cache", "--lora_dir"), _NO_FILE
        ),
        **dict.fromkeys(("--dry_run", "--strip_plan"), _NO_ENGINE),
    },
    {
        ("--remove_input_padding", "disable"): _IN_FLIGHT.format("packed inputs"),
        ("--paged_kv_cache", "disable"): _IN_FLIGHT.format("a paged KV cache"),
        ("--kv_cache_type", "continuous"): _IN_FLIGHT.format("a paged KV cache"),
        ("--kv_cache_type", "disabled"): _IN_FLIGHT.format("a paged KV cache"),
        ("--gpt_attention_plugin", "disable"): _IN_FLIGHT.format("the attention plugin"),
    },
)
CONVERT = Command(
    "convert_checkpoint.py",
    "convert_options",
    lambda release: release["convert"]["flags"],
    {
        **dict.fromkeys(("--model_dir", "--output_dir", "--workers"), _BY_PLAN),
        **dict.fromkeys(("--dtype", "--use_weight_only", "--weight_only_precision"), _set_by("precision")),
        **dict.fromkeys(("--tp_size", "--pp_size", "--cp_size"), _set_by("parallelism")),
        "--moe_tp_size": _set_by("parallelism.moe_tensor"),
        **dict.fromkeys(("--moe_ep_size", "--moe_tp_mode"), _set_by("parallelism.moe_expert")),
        **dict.fromkeys(
            (
                *("--meta_ckpt_dir", "--ammo_quant_ckpt_path", "--modelopt_quant_ckpt_path", "--quant_ckpt_path"),
                "--dataset-cache-dir",
            ),
            _NO_FILE,
        ),
        "--save_config_only": _NO_ENGINE,
    },
    {},
)


def check_options(spec: Spec, refuse: Refuse) -> None:
    """Refuse options that the version does not have, and those that contradict the plan."""
    for command, given in ((BUILD, spec.build_options), (CONVERT, spec.convert_options)):
        if given and (spec.profile != "engine" or spec.engine_dir):
            profile = f"profile {spec.profile}" if spec.profile != "engine" else "trtllm_engine_dir"
            refuse(command.variable, None, f"{profile} converts and builds nothing: remove it")
            continue
        for flag, value in given.items():
            variable = f"{command.variable}.{flag[2:]}"
            for message in _problems(command, spec.release, flag, value):
                refuse(variable, value, message)
    _check_lora_options(spec, refuse)


def _problems(command: Command, release: Release, flag: str, value: Any) -> Iterator[str]:
    flags = command.flags(release)
    if flag in command.refused:
        yield command.refused[flag]
    elif flag not in flags:
        version = release["release"]
        yield f"{command.name} of TensorRT-LLM {version} has no option {flag}{hint(flag, flags, '--')}: correct it"
    elif flags[flag].get("switch"):
        if not isinstance(value, bool):
            yield "is an option without a value: use true, or remove it"
    else:
        yield from _wrong_words(command, flag, flags[flag], value)


def _wrong_words(command: Command, flag: str, known: Mapping[str, Any], value: Any) -> Iterator[str]:
    words, choices = _words(known, value), [str(choice) for choice in known.get("choices", ())]
    if not words or not all(_WORD.fullmatch(word) for word in words):
        yield "must be a word, or a list of words, without spaces"
        return
    for word in words:
        if choices and word not in choices:
            yield f"{shown(word)} is not one of: {', '.join(choices)}{hint(word, choices)}"
        elif isinstance(known.get("default"), (int, float)) and not _is_number(word):
            yield "must be a number"
        elif (flag, word.lower()) in command.unservable:
            yield command.unservable[flag, word.lower()]


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?", word))


def _words(known: Mapping[str, Any], value: Any) -> list[str]:
    """The words of an option's value. YAML reads `on` and `yes` as true."""
    if isinstance(value, bool) and "enable" in known.get("choices", ()):
        return ["enable" if value else "disable"]
    return [str(word) for word in (value if isinstance(value, (list, tuple)) else [value])]


def _check_lora_options(spec: Spec, refuse: Refuse) -> None:
    if has_lora(spec):
        return
    for flag in ("--max_lora_rank", "--lora_target_modules", "--lora_ckpt_source"):
        if flag in spec.build_options:
            message = "has no effect without LoRA: set trtllm_build_options.lora_plugin, such as auto or float16"
            refuse(f"build_options.{flag[2:]}", spec.build_options[flag], message)


def option(spec: Spec, flag: str) -> Any:
    """The value of an option of trtllm-build, as text, if the user or the version has one; otherwise None."""
    known = spec.release["build"]["flags"].get(flag, {})
    value = spec.build_options.get(flag, known.get("default"))
    return None if value is None else " ".join(_words(known, value))


def has_lora(spec: Spec) -> bool:
    return option(spec, "--lora_plugin") not in (None, "disable")


def build_words(spec: Spec, required: Mapping[str, str]) -> list[str]:
    """The added options of trtllm-build. `required`: options that parameters of the model repository need."""
    return _argv(BUILD, spec.release, {**required, **spec.build_options})


def convert_words(spec: Spec) -> list[str]:
    return _argv(CONVERT, spec.release, spec.convert_options)


def _argv(command: Command, release: Release, options: Mapping[str, Any]) -> list[str]:
    argv: list[str] = []
    flags = command.flags(release)
    for flag, value in sorted(options.items()):
        if not flags[flag].get("switch"):
            argv += [flag, *_words(flags[flag], value)]
        elif value:
            argv.append(flag)
    return argv
