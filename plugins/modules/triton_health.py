#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: triton_health
short_description: Wait until a Triton server and its models are ready
version_added: "0.1.0"
description:
  - Waits until the server is live, then ready, then every model is READY and accepts requests.
  - Fails immediately if waiting is useless, because a model is UNAVAILABLE with a reason, the systemd unit failed,
    stopped or was restarted, or the container exited, was restarted or does not exist.
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
      - The address of Triton's HTTP endpoint.
      - Proxies from the environment are not used for loopback addresses.
    type: str
    default: http://127.0.0.1:8000
  models:
    description:
      - The models that must be ready; by default all that the server loaded or tried to load.
    type: list
    elements: str
    default: []
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.triton_generate
"""

EXAMPLES = r"""
- name: Wait for the server of a systemd unit
  tritonops.trtllm.triton_health:
    models: [ensemble, preprocessing, tensorrt_llm, postprocessing]
    unit: trtllm.service
    deadline: 1200

- name: Wait for all models of a server in a container
  tritonops.trtllm.triton_health:
    url: http://127.0.0.1:8000
    container: triton
"""

RETURN = r"""
live:
  description: Whether the server is live.
  returned: always
  type: bool
  sample: true
ready:
  description: Whether the server is ready.
  returned: always
  type: bool
  sample: true
models:
  description: >-
    The models that were checked. C(state) is as in the server's index, V(NOT READY) if the model says so, or empty.
  returned: always
  type: list
  elements: dict
  sample:
    - name: ensemble
      version: "1"
      state: READY
      reason: ""
waited:
  description: The time that it took, in seconds.
  returned: always
  type: float
  sample: 12.3
server:
  description: Name, version and extensions of the server; empty if it does not answer.
  returned: always
  type: dict
  sample:
    name: triton
    version: 2.51.0
    extensions: [model_repository, statistics]
reason:
  description: The reason that the server gives.
  returned: failure
  type: str
  sample: "failed to load 'tensorrt_llm' version 1: Internal: MPI size 1 != TP size 8 * PP size 1"
explanations:
  description: The known failures that were found in the log, earliest first.
  returned: failure
  type: list
  elements: dict
  sample:
    - id: mpi_world_size
      cause: tritonserver was started with a different number of ranks than the engine was built for.
      remedy: Start as many ranks as the engine has.
      line: "MPI size 1 != TP size 8 * PP size 1"
log:
  description: The last lines of the log, with O(unit) or O(container).
  returned: failure
  type: list
  elements: str
  sample: ["error: creating server: Internal - failed to load all models"]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    log_patterns_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release import _health as health
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import (
    REQUESTS_IMPORT_ERROR,
    Deadline,
    Refused,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._health import Report, check_server
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient


def facts(report: Report) -> dict[str, t.Any]:
    return {
        "live": report.live,
        "ready": report.ready,
        "models": report.models,
        "waited": report.waited,
        "server": report.server,
    }


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params, log_patterns = module.params, log_patterns_of(module)
    if REQUESTS_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("requests"), exception=REQUESTS_IMPORT_ERROR)
    client = TritonClient(params["url"], Deadline(params["deadline"]))
    try:
        with health.monitors_of(module) as monitors:
            report = health.wait_until_ready(
                lambda: check_server(client, params["models"]),
                Report(),
                client.deadline,
                params["interval"],
                monitors,
            )
    except health.HealthError as exc:
        explanations = exc.explanations(log_patterns)
        raise ModuleFailure(
            f"Triton at {params['url']}: {exc.message(explanations)}",
            reason=exc.reason,
            explanations=explanations,
            log=exc.log,
            **facts(exc.report),
        ) from exc
    except Refused as exc:
        hint = "if its model-repository API is restricted, set the models that it must have"
        raise ModuleFailure(f"Triton at {params['url']} does not report its state: {exc}; {hint}") from exc
    return {"changed": False, **facts(report)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOG_PATTERNS_ARGUMENT,
            "url": {"type": "str", "default": "http://127.0.0.1:8000"},
            "models": {"type": "list", "elements": "str", "default": []},
            **health.WAIT_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot check Triton at {module.params['url']}")


if __name__ == "__main__":
    main()
