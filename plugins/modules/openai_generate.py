#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openai_generate
short_description: Request an answer from a server with the OpenAI API
version_added: "0.1.0"
description:
  - Sends a prompt to C(trtllm-serve), plain and as a stream, and fails unless both are the same answer with the
    expected text and a correct usage.
  - It is no answer if the text is empty, only repeats the prompt or one token, only has special tokens, has characters
    that could not be decoded, or if there is reasoning without content. A text that repeats a phrase is a warning.
  - Fails also if the server does not refuse an unknown field, malformed JSON and, with O(max_seq_len), a prompt that is
    too long with status 400, as upstream's does.
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
      - The address of the server, without C(/v1).
      - Proxies from the environment are not used for loopback addresses.
    type: str
    default: http://127.0.0.1:8000
  model:
    description:
      - The name of the model in the API.
    type: str
    required: true
  prompt:
    description:
      - The text to answer, or to complete if O(chat=false).
    type: str
    required: true
  chat:
    description:
      - Whether to request a chat completion, which needs a model with a chat template, or else a completion.
    type: bool
    default: true
  reasoning:
    description:
      - Whether the server is expected to separate reasoning from the content. Then the content must have none.
    type: bool
    default: false
  max_tokens:
    description:
      - Maximum number of tokens to generate, with those of the reasoning.
    type: int
    default: 64
  max_seq_len:
    description:
      - The length of a sequence in tokens that the server must refuse. With V(0), no long prompt is sent.
    type: int
    default: 0
  parameters:
    description:
      - Further fields of the request, such as C(chat_template_kwargs). They override fields that the module sets
        itself.
    type: dict
    default: {}
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
      - Maximum time for each answer, in seconds.
    type: float
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.openai_health
"""

EXAMPLES = r"""
- name: Request an answer
  tritonops.trtllm.openai_generate:
    model: llama
    prompt: What is cloud computing?
    pattern: (?i)cloud

- name: Request a completion from a model without a chat template
  tritonops.trtllm.openai_generate:
    model: base
    prompt: Cloud computing is
    chat: false
"""

RETURN = r"""
text:
  description: The text that was generated, without reasoning.
  returned: when the server answered
  type: str
  sample: Cloud computing is a technology that lets people use computers of others.
reasoning:
  description: The reasoning that the server separated from the text.
  returned: when the server answered
  type: str
  sample: ""
finish_reason:
  description: Why the answer ended.
  returned: when the server answered
  type: str
  sample: stop
tokens:
  description: Number of generated tokens, by the server's usage.
  returned: when the server answered
  type: int
  sample: 64
usage:
  description: The usage that the server returned.
  returned: when the server answered
  type: dict
  sample:
    prompt_tokens: 12
    completion_tokens: 64
    total_tokens: 76
latency_seconds:
  description: Seconds from the request to the end of the answer.
  returned: when the server answered
  type: float
  sample: 3.214
tokens_per_second:
  description: RV(tokens) divided by RV(latency_seconds).
  returned: when the server answered
  type: float
  sample: 19.91
first_token_seconds:
  description: Seconds from the request to the first text; V(null) if it was not streamed.
  returned: when the server answered
  type: float
  sample: 0.152
streamed:
  description: The same results, from RV(text) to RV(first_token_seconds), of the stream.
  returned: when the server answered
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

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    LogPatterns,
    explaining,
    log_patterns_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai import _answer as openai
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import OpenAiClient
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._answer import (
    Judgement,
    check_pattern,
    compare_answers,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import (
    REQUESTS_IMPORT_ERROR,
    Deadline,
)

Called = t.TypeVar("Called")


def facts(answer: openai.Answer) -> dict[str, t.Any]:
    names = ("text", "reasoning", "finish_reason", "tokens", "usage", "latency_seconds", "tokens_per_second")
    return {name: getattr(answer, name) for name in (*names, "first_token_seconds")}


def asking(
    params: t.Mapping[str, t.Any], log_patterns: LogPatterns, call: t.Callable[[OpenAiClient], Called]
) -> Called:
    with explaining(f"model {params['model']} of {params['url']} returned no answer", log_patterns):
        return call(OpenAiClient(params["url"], Deadline(params["timeout"])))


def run(module: AnsibleModule) -> dict[str, t.Any]:
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    params, log_patterns = module.params, log_patterns_of(module)
    check_pattern(params["pattern"])
    fields = ("model", "prompt", "max_tokens", "chat", "reasoning", "parameters")
    request = openai.Request(**{name: params[name] for name in fields})
    where = f"model {params['model']} of {params['url']}"
    results: dict[str, t.Any] = {}

    def report(kind: str, judgement: Judgement, ending: str = "") -> None:
        if judgement.fault:
            message = f"{where} returned an unexpected {kind}: {judgement.fault}{ending}"
            raise ModuleFailure(message, explanations=[], **results)
        if judgement.warning:
            module.warn(f"{where} returned an unusual {kind}: {judgement.warning}")

    def judged(kind: str, stream: bool) -> openai.Answer:
        answer = asking(params, log_patterns, lambda client: openai.ask(client, request, stream))
        results.update({"streamed": facts(answer)} if stream else facts(answer))
        judgement = openai.judge(request, answer, params["pattern"], params["min_tokens"])
        report(kind, judgement, f"; the text is: {answer.text!r}")
        return answer

    plain, streamed = judged("answer", stream=False), judged("stream", stream=True)
    report("stream", compare_answers(request.prompt, plain.text, streamed.parts))
    report("stream", openai.compare_usage(plain, streamed))
    fault = asking(params, log_patterns, lambda client: openai.accepted_mistake(client, request, params["max_seq_len"]))
    if fault:
        raise ModuleFailure(
            f"{where} does not refuse requests as trtllm-serve does: {fault}", explanations=[], **results
        )
    return {"changed": False, **results}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOG_PATTERNS_ARGUMENT,
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "model": {"type": "str", "required": True},
            "prompt": {"type": "str", "required": True},
            "chat": {"type": "bool", "default": True},
            "reasoning": {"type": "bool", "default": False},
            "max_tokens": {"type": "int", "default": 64, "no_log": False},
            "max_seq_len": {"type": "int", "default": 0},
            "parameters": {"type": "dict", "default": {}},
            "pattern": {"type": "str"},
            "min_tokens": {"type": "int", "default": 1, "no_log": False},
            "timeout": {"type": "float", "default": 120},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot request an answer from {module.params['url']}")


if __name__ == "__main__":
    main()
