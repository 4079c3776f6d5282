#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: completions_info
short_description: Return the completions of several prompts by a server, and how fast they are
version_added: "0.1.0"
description:
  - Sends each prompt to Triton or to C(trtllm-serve), greedily, first one at a time and then several at once.
  - The prompts are sent as they are. No chat template is applied with either API, so that the answers of both can be
    compared.
  - The texts are returned as they are, and not judged. It fails if the server does not answer or refuses a prompt.
  - It changes nothing, so it does the same in check mode.
requirements:
  - requests
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  api:
    description:
      - The API of the server. V(triton) is the generate extension of Triton, V(openai) is C(/v1/completions).
    type: str
    choices: [triton, openai]
    required: true
  url:
    description:
      - The address of the server, without C(/v1).
      - Proxies from the environment are not used for loopback addresses.
    type: str
    default: http://127.0.0.1:8000
  model:
    description:
      - The model to use. It is required with O(api=triton). With O(api=openai), the default is the first model that the
        server names.
    type: str
  prompts:
    description:
      - The texts to complete.
    type: list
    elements: str
    required: true
  max_tokens:
    description:
      - Maximum number of tokens of each completion.
    type: int
    default: 64
  max_tokens_field:
    description:
      - Triton's input for O(max_tokens). Models of the LLM API use V(sampling_param_max_tokens).
    type: str
    default: max_tokens
  stream:
    description:
      - Whether to request streams, which decoupled models of Triton support. With O(api=openai), the completions are
        always streamed.
      - Without streams, the time of the first token is not known.
    type: bool
    default: true
  at_once:
    description:
      - How many prompts to send at once after they were sent one at a time.
    type: int
    default: 4
  timeout:
    description:
      - Maximum time for each completion, in seconds.
    type: float
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.openai_generate
  - module: tritonops.trtllm.triton_generate
"""

EXAMPLES = r"""
- name: Request completions
  tritonops.trtllm.completions_info:
    api: openai
    prompts:
      - What is cloud computing?
      - The capital of France is
  register: completions
"""

RETURN = r"""
completions:
  description: The completion of each prompt, when only one was sent at a time.
  returned: success
  type: list
  elements: dict
  contains:
    prompt:
      description: The prompt.
      type: str
    parts:
      description: The text of each event of the stream, usually a token each; without a stream, the whole text.
      type: list
      elements: str
    tokens:
      description: Number of generated tokens.
      type: int
    counted_by:
      description: >-
        How the tokens were counted. V(usage) and V(log_probs) are exact, V(events) counts the events of a stream that
        have text, V(words) counts words, of which there are at most as many as tokens.
      type: str
    latency_seconds:
      description: Seconds from the request to the end of the completion.
      type: float
    first_token_seconds:
      description: Seconds from the request to the first event; V(null) without a stream.
      type: float
  sample:
    - prompt: What is cloud computing?
      parts: [Cloud, " computing", " is"]
      tokens: 3
      counted_by: usage
      latency_seconds: 0.214
      first_token_seconds: 0.152
load:
  description: All prompts again, O(at_once) at the same time.
  returned: success
  type: dict
  contains:
    at_once:
      description: The number of requests at once.
      type: int
    tokens:
      description: Number of generated tokens in all completions.
      type: int
    seconds:
      description: Seconds from the first request to the end of the last completion.
      type: float
    tokens_per_second:
      description: RV(load.tokens) divided by RV(load.seconds).
      type: float
  sample:
    at_once: 4
    tokens: 640
    seconds: 6.402
    tokens_per_second: 99.97
"""

import typing as t
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai import _answer as openai
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import OpenAiClient
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import (
    REQUESTS_IMPORT_ERROR,
    Deadline,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._prompts import (
    Completed,
    ask_at_once,
    ask_one_by_one,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton import _completion as triton
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient

Params = t.Mapping[str, t.Any]


def ask_triton(params: Params, prompt: str) -> Completed:
    request = triton.Request(
        model=params["model"],
        prompt=prompt,
        max_tokens=params["max_tokens"],
        stream=params["stream"],
        deterministic=True,
        max_tokens_field=params["max_tokens_field"],
    )
    done = triton.complete(TritonClient(params["url"], Deadline(params["timeout"])), request)
    return Completed(prompt, done.parts, done.tokens, done.counted_by, done.latency_seconds, done.first_token_seconds)


def ask_openai(params: Params, prompt: str) -> Completed:
    request = openai.Request(params["model"], prompt, params["max_tokens"], chat=False)
    done = openai.ask(OpenAiClient(params["url"], Deadline(params["timeout"])), request, stream=True)
    return Completed(prompt, done.parts, done.tokens, "usage", done.latency_seconds, done.first_token_seconds)


def model_of(params: Params) -> str:
    """The model to use."""
    models = [params["model"]] if params["model"] else OpenAiClient(params["url"], Deadline(params["timeout"])).models()
    if not models:
        raise ModuleFailure(f"{params['url']} names no model: set the option model")
    return models[0]


def run(module: AnsibleModule) -> dict[str, t.Any]:
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    if module.params["at_once"] < 1:
        raise ModuleFailure(f"at_once is {module.params['at_once']}, but must be 1 or more")
    params = {**module.params, "model": model_of(module.params)}
    ask_server = ask_triton if params["api"] == "triton" else ask_openai

    def ask(prompt: str) -> Completed:
        try:
            return ask_server(params, prompt)
        except ModuleFailure as exc:
            where = f"model {params['model']} of {params['url']}"
            raise ModuleFailure(f"{where} returned no completion of {prompt!r}: {exc}") from exc

    completions = ask_one_by_one(ask, params["prompts"])
    load = ask_at_once(ask, params["prompts"], params["at_once"])
    return {
        "changed": False,
        "completions": [asdict(completed) for completed in completions],
        "load": {**asdict(load), "tokens_per_second": load.tokens_per_second},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": {"type": "str", "choices": ["triton", "openai"], "required": True},
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "model": {"type": "str"},
            "prompts": {"type": "list", "elements": "str", "required": True},
            "max_tokens": {"type": "int", "default": 64, "no_log": False},
            "max_tokens_field": {"type": "str", "default": "max_tokens", "no_log": False},
            "stream": {"type": "bool", "default": True},
            "at_once": {"type": "int", "default": 4},
            "timeout": {"type": "float", "default": 120},
        },
        required_if=[("api", "triton", ["model"])],
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot request completions from {module.params['url']}")


if __name__ == "__main__":
    main()
