#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: triton_generate
short_description: Request a completion from a Triton server
version_added: "0.1.0"
description:
  - Sends a prompt to the generate extension of a Triton server, and fails unless it returns an answer and the expected
    text.
  - It is no answer if the text is empty, only repeats the prompt or one token, only has special tokens, or has
    characters that could not be decoded. A text that repeats a phrase is a warning.
  - It changes nothing, so it does the same in check mode.
requirements:
  - requests
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.log_patterns
options:
  url:
    description:
      - The address of Triton's HTTP endpoint.
      - Proxies from the environment are not used for loopback addresses.
    type: str
    default: http://127.0.0.1:8000
  model:
    description:
      - The model to use.
    type: str
    default: ensemble
  prompt:
    description:
      - The text to complete.
    type: str
    required: true
  max_tokens:
    description:
      - Maximum number of tokens to generate.
    type: int
    default: 64
  parameters:
    description:
      - Further fields of the request, such as C(temperature). They override fields that the module sets itself.
    type: dict
    default: {}
  stream:
    description:
      - Whether to request a stream of events (C(generate_stream)), which decoupled models support.
    type: bool
    default: false
  stream_model:
    description:
      - Also request the completion as a stream from this model, deterministically, and fail unless both texts agree.
      - Their spaces must agree throughout, and their words in the first 16 tokens. Other words later are a warning,
        because a server that reuses its KV cache can return them.
      - Use V(tensorrt_llm_bls), with C(accumulate_tokens), for the model V(ensemble), which decodes each token of a
        stream alone and so loses spaces.
    type: str
  pattern:
    description:
      - A regular expression that the text must contain.
    type: str
  min_tokens:
    description:
      - Minimum number of tokens that must be returned.
    type: int
    default: 1
  timeout:
    description:
      - Maximum time for each completion, in seconds.
    type: float
    default: 120
  text_input_field:
    description:
      - The model's input for the prompt.
    type: str
    default: text_input
  text_output_field:
    description:
      - The model's output with the text.
    type: str
    default: text_output
  max_tokens_field:
    description:
      - The model's input for O(max_tokens). Models of the LLM API use V(sampling_param_max_tokens).
    type: str
    default: max_tokens
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.triton_health
"""

EXAMPLES = r"""
- name: Request an answer
  tritonops.trtllm.triton_generate:
    prompt: What is cloud computing?
    max_tokens: 64
    stream_model: tensorrt_llm_bls
    pattern: (?i)cloud
  register: completion

- name: Stream the answer of a model of the LLM API
  tritonops.trtllm.triton_generate:
    model: tensorrt_llm
    prompt: What is cloud computing?
    max_tokens_field: sampling_param_max_tokens
    stream: true
    parameters:
      sampling_param_temperature: 0.7
"""

RETURN = r"""
text:
  description: The text that was generated.
  returned: when the server answered
  type: str
  sample: Cloud computing is a technology that lets people use computers of others.
tokens:
  description: Number of generated tokens.
  returned: when the server answered
  type: int
  sample: 64
counted_by:
  description: >-
    How the tokens were counted. V(log_probs) is exact, V(events) counts the events of a stream that have
    text, V(words) counts words, of which there are at most as many as tokens.
  returned: when the server answered
  type: str
  sample: log_probs
latency_seconds:
  description: Seconds from the request to the end of the answer.
  returned: when the server answered
  type: float
  sample: 3.214
tokens_per_second:
  description: RV(tokens) divided by RV(latency_seconds); V(null) if words were counted.
  returned: when the server answered
  type: float
  sample: 19.91
first_token_seconds:
  description: Seconds from the request to the first event; V(null) without O(stream).
  returned: when the server answered
  type: float
  sample: 0.152
events:
  description: Number of events; 1 without O(stream).
  returned: when the server answered
  type: int
  sample: 64
response:
  description: The last answer of the server.
  returned: when the server answered
  type: dict
  sample:
    model_name: ensemble
    model_version: "1"
    text_output: Cloud computing is a technology that lets people use computers of others.
streamed:
  description: The same results, from RV(text) to RV(response), of the stream.
  returned: when the server answered, with O(stream_model)
  type: dict
  sample:
    text: Cloud computing is a technology that lets people use computers of others.
    first_token_seconds: 0.152
explanations:
  description: The known failures that match the server's error message.
  returned: failure
  type: list
  elements: dict
  sample: []
"""

import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    LogPatterns,
    explaining,
    log_patterns_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import (
    Judgement,
    check_pattern,
    compare_answers,
    judge_answer,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import REQUESTS_IMPORT_ERROR, Deadline
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _completion as completion
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient

WHOLE_STREAM = ". A stream whose tokens are decoded as a whole comes from tensorrt_llm_bls with accumulate_tokens: true"


def facts(answer: completion.Completion) -> dict[str, t.Any]:
    names = ("text", "tokens", "counted_by", "latency_seconds", "tokens_per_second", "first_token_seconds", "events")
    return {name: getattr(answer, name) for name in (*names, "response")}


def judge(params: t.Mapping[str, t.Any], answer: completion.Completion) -> Judgement:
    """Whether it is an answer, and the one that was asked for."""
    judgement = judge_answer(params["prompt"], answer.text, answer.cut, params["pattern"])
    least = params["min_tokens"]
    if not judgement.fault and answer.tokens < least:
        return Judgement(f"{answer.tokens} tokens were returned, not {least} or more")
    return judgement


def ask(params: t.Mapping[str, t.Any], request: completion.Request, log_patterns: LogPatterns) -> completion.Completion:
    with explaining(f"model {request.model} of {params['url']} returned no completion", log_patterns):
        return completion.complete(TritonClient(params["url"], Deadline(params["timeout"])), request)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    params, log_patterns = module.params, log_patterns_of(module)
    check_pattern(params["pattern"])
    fields = ("model", "prompt", "max_tokens", "stream", "parameters")
    names = ("text_input_field", "text_output_field", "max_tokens_field")
    stream_model = params["stream_model"]
    request = completion.Request(**{name: params[name] for name in fields + names}, deterministic=bool(stream_model))
    results: dict[str, t.Any] = {}

    def report(model: str, judgement: Judgement, ending: str) -> None:
        where = f"model {model} of {params['url']}"
        if judgement.fault:
            message = f"{where} returned an unexpected completion: {judgement.fault}{ending}"
            raise ModuleFailure(message, explanations=[], **results)
        if judgement.warning:
            module.warn(f"{where} returned an unusual completion: {judgement.warning}")

    answer = ask(params, request, log_patterns)
    results.update(facts(answer))
    report(request.model, judge(params, answer), f"; the text is: {answer.text!r}")
    if stream_model:
        streamed = ask(params, replace(request, model=stream_model, stream=True), log_patterns)
        results["streamed"] = facts(streamed)
        report(stream_model, compare_answers(request.prompt, answer.text, streamed.parts), WHOLE_STREAM)
        fault = judge_answer(request.prompt, streamed.text, streamed.cut).fault
        report(stream_model, Judgement(fault), f"; the text is: {streamed.text!r}{WHOLE_STREAM}")
    return {"changed": False, **results}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOG_PATTERNS_ARGUMENT,
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "model": {"type": "str", "default": "ensemble"},
            "prompt": {"type": "str", "required": True},
            "max_tokens": {"type": "int", "default": 64, "no_log": False},
            "parameters": {"type": "dict", "default": {}},
            "stream": {"type": "bool", "default": False},
            "stream_model": {"type": "str"},
            "pattern": {"type": "str"},
            "min_tokens": {"type": "int", "default": 1, "no_log": False},
            "timeout": {"type": "float", "default": 120},
            "text_input_field": {"type": "str", "default": "text_input"},
            "text_output_field": {"type": "str", "default": "text_output"},
            "max_tokens_field": {"type": "str", "default": "max_tokens", "no_log": False},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot request a completion from {module.params['url']}")


if __name__ == "__main__":
    main()
