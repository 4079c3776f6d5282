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
  - Sends a prompt to the generate extension of a Triton server, and fails unless it returns tokens and the expected
    text.
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
      - Maximum time for the completion, in seconds.
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
explanations:
  description: The known failures that match the server's error message.
  returned: failure
  type: list
  elements: dict
  sample: []
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    explain,
    log_patterns_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _completion as completion
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import (
    REQUESTS_IMPORT_ERROR,
    Deadline,
    TritonClient,
)


def facts(answer: completion.Completion) -> dict[str, t.Any]:
    return {**vars(answer), "tokens_per_second": answer.tokens_per_second}


def complaint(params: t.Mapping[str, t.Any], answer: completion.Completion) -> str | None:
    """Why the answer is not as requested; None if it is."""
    if answer.tokens < params["min_tokens"]:
        return f"{answer.tokens} tokens were returned, not {params['min_tokens']} or more; the text is: {answer.text!r}"
    if params["pattern"] and not re.search(params["pattern"], answer.text):
        return f"the text does not match {params['pattern']!r}; it is: {answer.text!r}"
    return None


def check_pattern(pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as exc:
        raise ModuleFailure(f"pattern {pattern!r} is not a regular expression: {exc}") from exc


def run(module: AnsibleModule) -> dict[str, t.Any]:
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    params, log_patterns = module.params, log_patterns_of(module)
    check_pattern(params["pattern"])
    fields = ("model", "prompt", "max_tokens", "stream", "parameters")
    names = ("text_input_field", "text_output_field", "max_tokens_field")
    request = completion.Request(**{name: params[name] for name in fields + names})
    where = f"model {params['model']} of {params['url']}"
    try:
        answer = completion.complete(TritonClient(params["url"], Deadline(params["timeout"])), request)
    except ModuleFailure as exc:
        known = explain(str(exc), log_patterns)
        remedy = f" Known cause: {known[0]['cause']} Remedy: {known[0]['remedy']}" if known else ""
        raise ModuleFailure(f"{where} returned no completion: {exc}.{remedy}", explanations=known) from exc
    wrong = complaint(params, answer)
    if wrong:
        raise ModuleFailure(f"{where} returned an unexpected completion: {wrong}", explanations=[], **facts(answer))
    return {"changed": False, **facts(answer)}


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
