# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of LLM(): those of the TensorRT-LLM version, those supported here, and those that are rejected."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Arguments of this version in addition to those of LlmArgs. Those that change speed, memory or statistics have no
# effect on a CPU. Those that change the tokens and need something that is missing here are rejected.
ARGUMENTS = json.loads(Path(__file__).with_name("arguments.json").read_text(encoding="utf-8"))
PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "context_parallel_size")
DTYPES = ("auto", "float16", "bfloat16", "float32")


@dataclass(frozen=True)
class LlmArgs:
    """The arguments that are supported here."""

    model: str
    tokenizer: str | None = None
    backend: str = "pytorch"
    dtype: str = "auto"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    context_parallel_size: int = 1
    max_batch_size: int = 2048
    max_num_tokens: int = 8192
    max_seq_len: int | None = None
    max_beam_width: int = 1
    kv_cache_config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> LlmArgs:
        """Reports all problems at once, those of names with the messages of upstream's own validation."""
        problems = [*_invalid(given)]
        if problems:
            count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} for TorchLlmArgs"
            raise ValueError("\n".join([count, *problems]))
        known = {item.name for item in dataclasses.fields(cls)}
        # null in YAML means the default
        args = cls(**{name: value for name, value in given.items() if name in known and value is not None})
        reasons = [*_not_served(args, given)]
        if reasons:
            raise ValueError("; ".join(reasons))
        return args


def _invalid(given: Mapping[str, Any]) -> Iterator[str]:
    fields = {item.name: item for item in dataclasses.fields(LlmArgs)}
    if given.get("model") is None:
        yield "model\n  Field required [type=missing]"
    for name, value in given.items():
        if name in fields and value is not None:
            yield from _wrong_type(name, value, str(fields[name].type))
        elif name not in fields and name not in ARGUMENTS["without_effect"] and name not in ARGUMENTS["refused"]:
            yield _extra(name, value)
    cache = given.get("kv_cache_config")
    if isinstance(cache, Mapping):
        yield from (
            _extra(f"kv_cache_config.{name}", cache[name]) for name in cache if name not in ARGUMENTS["kv_cache_config"]
        )


def _extra(name: str, value: Any) -> str:
    return f"{name}\n  Extra inputs are not permitted [type=extra_forbidden, {_seen(value)}]"


def _wrong_type(name: str, value: Any, annotation: str) -> Iterator[str]:
    if annotation.startswith("int") and (isinstance(value, bool) or not isinstance(value, int)):
        yield f"{name}\n  Input should be a valid integer [type=int_type, {_seen(value)}]"
    if annotation.startswith("str") and not isinstance(value, (str, Path)):
        yield f"{name}\n  Input should be a valid string [type=string_type, {_seen(value)}]"
    if annotation.startswith("Mapping") and not isinstance(value, Mapping):
        yield f"{name}\n  Input should be a valid dictionary [type=model_type, {_seen(value)}]"


def _seen(value: Any) -> str:
    return f"input_value={value!r}, input_type={type(value).__name__}"


def _not_served(args: LlmArgs, given: Mapping[str, Any]) -> Iterator[str]:
    if args.backend != "pytorch":
        yield f"backend is {args.backend!r}: this release's LLM API serves with backend 'pytorch' only"
    ranks = {name: getattr(args, name) for name in PARALLEL}
    if set(ranks.values()) != {1}:
        wanted = " x ".join(f"{name} {size}" for name, size in ranks.items())
        yield f"this build of the LLM API only runs one rank, not {wanted}"
    if args.dtype not in DTYPES:
        yield f"dtype is {args.dtype!r}, not one of {', '.join(DTYPES)}"
    if args.max_beam_width != 1:
        yield f"max_beam_width is {args.max_beam_width}: one beam only, beam search is not there"
    for name in ("max_batch_size", "max_num_tokens", "max_seq_len"):
        value = getattr(args, name)
        if value is not None and value < 1:
            yield f"{name} must be greater than 0, got {value}"
    for name, reason in ARGUMENTS["refused"].items():
        if given.get(name) not in (None, False, "auto"):
            yield f"{name} is an argument of this release but cannot be honoured without a GPU: {reason}"
    if not (Path(args.model) / "config.json").is_file():
        yield f"Failed to load the model's config: {args.model} is no folder with a config.json (nothing is downloaded)"
