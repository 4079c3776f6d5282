#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark
short_description: Measure the speed of a model server with a load generator
version_added: "0.1.0"
description:
  - Runs NVIDIA's load generator C(aiperf) once for each number of requests at once, and returns its figures in seconds.
  - Requests to the OpenAI API are completions, requests to Triton go to C(generate) or C(generate_stream).
  - While it runs, it displays the progress. Its time is limited; see O(seconds).
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is measured in check mode.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run measures.
options:
  generator:
    description:
      - Path of C(aiperf), version 0.13.
    type: path
    required: true
  dest:
    description:
      - Folder for the results and logs of the load generator. What is there is replaced.
    type: path
    required: true
  url:
    description:
      - The address of the server or gateway, without C(/v1) or C(/v2).
    type: str
    required: true
  api:
    description:
      - The API of the server.
    type: str
    choices: [openai, triton]
    required: true
  model:
    description:
      - The name of the model in the API.
    type: str
    required: true
  stream:
    description:
      - Whether the answers are streamed. Otherwise there are no times of the first token and between tokens.
    type: bool
    default: true
  exact:
    description:
      - Whether every answer is made to have exactly O(answer_tokens), which Triton's LLM API cannot do. Otherwise an
        answer can end earlier, and its tokens are counted with the tokenizer.
    type: bool
    default: true
  max_tokens_field:
    description:
      - The input of Triton's model for the number of tokens.
    type: str
    default: max_tokens
  key:
    description:
      - The API key. It is in a file with mode 0600 while the load generator runs, never on a command line or in an
        environment.
    type: str
  ca_file:
    description:
      - PEM file with the CA certificates to trust, instead of the system's.
    type: path
  tokenizer:
    description:
      - Folder with the model's tokenizer.
    type: path
    required: true
  at_once:
    description:
      - The numbers of requests at once to measure with.
    type: list
    elements: int
    required: true
  prompt_tokens:
    description:
      - Length of the prompts, whose text is random.
    type: int
    default: 512
  answer_tokens:
    description:
      - Length of the answers.
    type: int
    default: 256
  dataset:
    description:
      - File with prompts to send instead, a JSON object with C(text) on each line.
    type: path
  each:
    description:
      - How many requests are sent for each one that is under way at once.
    type: int
    default: 8
  seconds:
    description:
      - For each number of requests at once, the time after which no more requests are sent. Requests to warm up, as
        many as at once, have as much time before that. A load generator that is then still running is stopped after
        another 2.5 minutes.
    type: int
    default: 120
  objective:
    description:
      - The longest times in seconds with which an answer counts as good.
    type: dict
    suboptions:
      first_token:
        description: Until the first token.
        type: float
      between_tokens:
        description: Between two tokens, on average.
        type: float
      end_to_end:
        description: Until the end of the answer.
        type: float
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Measure a server with the OpenAI API
  tritonops.trtllm.benchmark:
    generator: /opt/trtllm-benchmark/venv/bin/aiperf
    dest: /opt/trtllm-benchmark/results
    url: https://api.example.com
    key: "{{ lookup('ansible.builtin.file', 'key.txt') }}"
    api: openai
    model: llama
    tokenizer: /opt/trtllm-benchmark/tokenizer
    at_once: [1, 8, 64]
    objective: {first_token: 0.5, between_tokens: 0.05}
"""

RETURN = r"""
levels:
  description: The figures for each number of requests at once. Times are in seconds, as a client sees them.
  returned: success
  type: list
  elements: dict
  contains:
    at_once:
      description: The number of requests at once.
      type: int
      sample: 8
    generator:
      description: The load generator with its version.
      type: str
      sample: aiperf 0.13.0
    answered:
      description: Number of requests that were answered.
      type: int
      sample: 64
    failed:
      description: Number of requests that failed.
      type: int
      sample: 0
    errors:
      description: How they failed.
      type: list
      elements: str
      sample: []
    seconds:
      description: Time of the measurement.
      type: float
      sample: 20.5
    prompt_tokens:
      description: Mean length of the prompts; V(null) if it is not known.
      type: float
      sample: 512.0
    answer_tokens:
      description: Mean length of the answers.
      type: float
      sample: 256.0
    requests_per_second:
      description: Answers per second.
      type: float
      sample: 3.12
    tokens_per_second:
      description: Tokens of answers per second.
      type: float
      sample: 799.2
    first_token:
      description: Times until the first token, as C(mean), C(p50), C(p90) and C(p99); V(null) without O(stream).
      type: dict
      sample: {mean: 0.06, p50: 0.06, p90: 0.07, p99: 0.09}
    between_tokens:
      description: Times between tokens, likewise.
      type: dict
      sample: {mean: 0.01, p50: 0.01, p90: 0.011, p99: 0.012}
    end_to_end:
      description: Times until the end of the answer, likewise.
      type: dict
      sample: {mean: 2.6, p50: 2.6, p90: 2.7, p99: 2.8}
    good_per_second:
      description: Answers per second that meet the O(objective); V(null) without one.
      type: float
      sample: 3.12
    good_fraction:
      description: The part of all requests that they are.
      type: float
      sample: 1.0
    started:
      description: When the first request that counts was sent, in seconds since 1970; V(null) if it is not known.
      type: float
      sample: 1795888650.5
    ended:
      description: When the last answer ended, likewise.
      type: float
      sample: 1795888680.5
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import is_readable_on_the_way, refuse_login
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._generator import (
    OPENAI,
    TRITON,
    Load,
    Target,
    check_literal,
    objective_fault,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._run import measure

POSITIVE = ("prompt_tokens", "answer_tokens", "each", "seconds")


def check(module: AnsibleModule) -> None:
    params = module.params
    refuse_login(module, "url")
    if params["key"] and is_readable_on_the_way(params["url"]):
        raise ModuleFailure("url: the key would be sent without encryption: use https")
    check_literal(**{name: params[name] or "" for name in ("url", "model", "key", "dest", "tokenizer", "dataset")})
    wrong = [name for name in POSITIVE if params[name] < 1]
    if wrong or not params["at_once"] or min(params["at_once"]) < 1:
        raise ModuleFailure(f"{', '.join(wrong) or 'at_once'}: must be at least 1")


def run(module: AnsibleModule) -> dict[str, t.Any]:
    check(module)
    params = module.params
    if module.check_mode:
        return {"changed": True, "levels": []}
    of_target = ("url", "api", "model", "stream", "exact", "max_tokens_field")
    target = Target(**{name: params[name] for name in of_target}, key=params["key"] or "")
    of_load = ("prompt_tokens", "answer_tokens", "tokenizer", "each", "seconds")
    objective = {name: most for name, most in (params["objective"] or {}).items() if most is not None}
    fault = objective_fault(objective, target.stream, params["answer_tokens"])
    if fault:
        raise ModuleFailure(fault)
    load = Load(**{name: params[name] for name in of_load}, dataset=params["dataset"] or "", objective=objective)
    levels = measure(params["generator"], target, load, params["at_once"], params["dest"], params["ca_file"] or "")
    return {"changed": True, "levels": levels}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "generator": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "url": {"type": "str", "required": True},
            "api": {"type": "str", "choices": [OPENAI, TRITON], "required": True},
            "model": {"type": "str", "required": True},
            "stream": {"type": "bool", "default": True},
            "exact": {"type": "bool", "default": True},
            "max_tokens_field": {"type": "str", "default": "max_tokens", "no_log": False},
            "key": {"type": "str", "no_log": True},
            "ca_file": {"type": "path"},
            "tokenizer": {"type": "path", "required": True, "no_log": False},
            "at_once": {"type": "list", "elements": "int", "required": True},
            "prompt_tokens": {"type": "int", "default": 512, "no_log": False},
            "answer_tokens": {"type": "int", "default": 256, "no_log": False},
            "dataset": {"type": "path"},
            "each": {"type": "int", "default": 8},
            "seconds": {"type": "int", "default": 120},
            "objective": {
                "type": "dict",
                "options": {
                    "first_token": {"type": "float", "no_log": False},
                    "between_tokens": {"type": "float", "no_log": False},
                    "end_to_end": {"type": "float"},
                },
            },
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot measure {module.params['url']}", renews_lease=False)


if __name__ == "__main__":
    main()
