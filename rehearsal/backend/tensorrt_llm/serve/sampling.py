# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request's fields to the LLM's parameters, with upstream's checks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from trtllm_cpu import log
from trtllm_cpu.guiding import Grammar

from tensorrt_llm import LLM, SamplingParams

from .protocol import ChatRequest, CompletionRequest, ResponseFormat, Sampled
from .versions import Version


def sampling_params(
    request: ChatRequest | CompletionRequest, llm: LLM, version: Version, arguments: Mapping[str, Any], prompt: int
) -> SamplingParams:
    """For a prompt of `prompt` tokens."""
    defaults = version["request_defaults"]
    params = SamplingParams(
        max_tokens=_max_tokens(request.max_tokens, llm, version, arguments, prompt),
        min_tokens=request.min_tokens,
        temperature=defaults.get("temperature") if request.temperature is None else request.temperature,
        top_p=defaults.get("top_p") if request.top_p is None else request.top_p,
        top_k=max(request.top_k, 0) or None,
        min_p=request.min_p,
        seed=request.seed,
        repetition_penalty=request.repetition_penalty,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stop=request.stop,
        stop_token_ids=request.stop_token_ids,
        ignore_eos=request.ignore_eos,
        include_stop_str_in_output=request.include_stop_str_in_output,
        skip_special_tokens=request.skip_special_tokens,
        add_special_tokens=request.add_special_tokens,
        embedding_bias=_bias(request.logit_bias, llm.vocab_size),
        logprobs=request.most_likely,
        guided_decoding=_grammar(request.response_format, version, arguments),
    )
    _check_choices(request, params, version)
    return params


def _max_tokens(wanted: int | None, llm: LLM, version: Version, arguments: Mapping[str, Any], prompt: int) -> int:
    limit = arguments["max_num_tokens"]
    if not arguments["enable_chunked_prefill"] and prompt > limit:
        if version["config"]["file_wins"]:
            raise ValueError(
                f"The sum of prompt length ({prompt}), query length (0) should not exceed max_num_tokens ({limit})"
            )
        raise ValueError(f"The prompt length ({prompt}) should not exceed max_num_tokens ({limit})")
    room = llm.max_seq_len - prompt
    if room <= 0:
        raise ValueError(f"default_max_tokens ({room}) must be greater than 0")
    if wanted is not None and wanted > room:
        log.warning(f"max_tokens ({wanted}) is cut to {room}, which is what max_seq_len leaves")
    return room if wanted is None else min(wanted, room)


def _check_choices(request: Sampled, params: SamplingParams, version: Version) -> None:
    if request.use_beam_search:
        raise ValueError("beam search is not there")
    if request.best_of not in (None, request.n):
        raise ValueError(f"best_of is {request.best_of}, but this build samples as many sequences as it returns")
    if request.n > 1 and not version["several_choices"]:
        raise ValueError(f"n is {request.n}, but the PyTorch backend of this version returns one sequence")
    if request.n > 1 and params.is_greedy and not os.environ.get("TLLM_ALLOW_N_GREEDY_DECODING"):
        raise ValueError(
            f"Greedy decoding in the LLM API does not allow multiple returns, but best_of is {request.n}: set it to "
            "1, or set TLLM_ALLOW_N_GREEDY_DECODING=1"
        )


def _bias(wanted: Mapping[str, float] | None, vocab: int) -> np.ndarray | None:
    if not wanted:
        return None
    bias = np.zeros(vocab, np.float32)
    for text, value in wanted.items():
        if not text.isdigit():
            raise ValueError(f"Invalid logit_bias key '{text}': must be a valid integer token ID")
        if int(text) >= vocab:
            raise ValueError(f"Token ID {text} out of vocabulary range [0, {vocab})")
        bias[int(text)] = value
    return bias


def _grammar(wanted: ResponseFormat | None, version: Version, arguments: Mapping[str, Any]) -> Grammar | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type not in version["response_formats"]:
        raise ValueError(f"Unsupported response format: {wanted.type}")
    if arguments["guided_decoding_backend"] is None:
        raise ValueError("Guided decoding is not enabled: set guided_decoding_backend in the LLM's arguments")
    if wanted.type == "json_object":
        return Grammar("json_object")
    content: Any = {
        "json": wanted.schema_,
        "json_schema": wanted.json_schema,
        "regex": wanted.regex,
        "ebnf": wanted.ebnf,
        "structural_tag": wanted.structures and {"structures": wanted.structures, "triggers": wanted.triggers or []},
    }[wanted.type]
    if content is None:
        field = "schema" if wanted.type == "json" else wanted.type
        raise ValueError(f"The '{field}' field is required when response_format.type is '{wanted.type}'.")
    kind = "json_schema" if wanted.type == "json" else wanted.type
    return Grammar(kind, content if isinstance(content, str) else json.dumps(content))
