#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openai_health
short_description: Wait until a server with the OpenAI API generates
version_added: "0.1.0"
description:
  - Waits until C(trtllm-serve) is live and generates a token, each within O(probe_timeout). A server whose workers are
    dead or stuck is live, but does not generate.
  - Fails immediately if waiting is useless, because the server refuses to generate, serves another model, or has a KV
    cache that is smaller than O(max_seq_len), the systemd unit failed, stopped or was restarted, or the container
    exited, was restarted or does not exist.
  - The error message contains the reason that the server gives, and for known failures the cause and the remedy.
  - It changes nothing, so it does the same in check mode.
requirements:
  - requests
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.log_patterns
  - tritonops.trtllm.waiting
options:
  url:
    description:
      - The address of the server, without C(/v1).
      - Proxies from the environment are not used for loopback addresses.
    type: str
    default: http://127.0.0.1:8000
  model:
    description:
      - The name that the server must give its model. By default, any name is accepted.
    type: str
  max_seq_len:
    description:
      - The planned length of a sequence in tokens, which the KV cache must hold. With V(0), its size is not checked.
      - The size is in the metrics of TensorRT-LLM 1.3, or in the journal of O(unit). If it is in neither, it is not
        checked.
    type: int
    default: 0
  probe_timeout:
    description:
      - Maximum time for one token, in seconds. It waits behind other requests, so allow more on a busy server.
    type: float
    default: 8
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.openai_generate
"""

EXAMPLES = r"""
- name: Wait for the server of a systemd unit
  tritonops.trtllm.openai_health:
    url: http://127.0.0.1:8000
    model: llama
    max_seq_len: 4096
    unit: trtllm@default.service
    deadline: 1800

- name: Check a server once
  tritonops.trtllm.openai_health:
    deadline: 0
"""

RETURN = r"""
live:
  description: Whether the server is live.
  returned: always
  type: bool
  sample: true
generates:
  description: Whether the server generated a token.
  returned: always
  type: bool
  sample: true
models:
  description: The names under which the server serves models.
  returned: always
  type: list
  elements: str
  sample: [llama]
kv_cache_tokens:
  description: The number of tokens that the KV cache holds; V(null) if it is not known or was not checked.
  returned: always
  type: int
  sample: 131072
waited:
  description: The time that it took, in seconds.
  returned: always
  type: float
  sample: 12.3
reason:
  description: The reason that the server gives.
  returned: failure
  type: str
  sample: "Executor creation failed due to insufficient GPU memory"
explanations:
  description: The known failures that were found in the log, earliest first.
  returned: failure
  type: list
  elements: dict
  sample:
    - id: serve_memory
      cause: The KV cache takes its fraction of the memory, and then graphs and buffers do not fit.
      remedy: Lower kv_cache_config.free_gpu_memory_fraction.
      line: Executor creation failed due to insufficient GPU memory
log:
  description: The last lines of the log, with O(unit) or O(container).
  returned: failure
  type: list
  elements: str
  sample: [Executor worker returned error]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    log_patterns_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import OpenAiClient
from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._health import Expected, Report, check_server
from ansible_collections.tritonops.trtllm.plugins.module_utils.release import _health as health
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import (
    REQUESTS_IMPORT_ERROR,
    Deadline,
)


def facts(report: Report) -> dict[str, t.Any]:
    names = ("live", "generates", "models", "kv_cache_tokens", "waited")
    return {name: getattr(report, name) for name in names}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params, log_patterns = module.params, log_patterns_of(module)
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    # The only check also gets its time.
    client = OpenAiClient(params["url"], Deadline(max(params["deadline"], params["probe_timeout"])))
    wait = Deadline(params["deadline"])
    expected = Expected(params["model"] or "", params["max_seq_len"], params["probe_timeout"])
    try:
        with health.monitors_of(module) as monitors:
            report = health.wait_until_ready(
                lambda: check_server(client, expected, monitors),
                Report(),
                wait,
                params["interval"],
                monitors,
            )
    except health.HealthError as exc:
        explanations = exc.explanations(log_patterns)
        raise ModuleFailure(
            f"the server at {params['url']}: {exc.message(explanations)}",
            reason=exc.reason,
            explanations=explanations,
            log=exc.log,
            **facts(exc.report),
        ) from exc
    return {"changed": False, **facts(report)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOG_PATTERNS_ARGUMENT,
            **health.WAIT_ARGUMENTS,
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "model": {"type": "str"},
            "max_seq_len": {"type": "int", "default": 0},
            "probe_timeout": {"type": "float", "default": 8},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot check the server at {module.params['url']}")


if __name__ == "__main__":
    main()
