#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_image_build

short_description: Build a backend image from the sources of its release

version_added: "0.1.0"

description:
  - Builds by BuildKit, with the release's own Dockerfile (up to 0.19.0) or its Makefile (from 0.20.0 on).
  - What upstream's files cannot be told is added beside them, and the clone is not changed. Where the Dockerfile takes
    no options for the script that compiles, it is called with them in a copy. Certificates and constraints for pip get
    into an image that takes the place of the base image.
  - A run that was ended is continued by the next out of the engine's layer cache.
  - Proxies in the module's environment reach every step of the build, and are not in the image's history.
  - A record of the image is kept in O(dest); the image itself is in the engine.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.log_patterns

attributes:
  check_mode:
    support: full
    details:
      - Without an engine or the Docker SDK for Python on the host, only O(dest) is looked at.
  diff_mode:
    support: full
    details:
      - Shows the record, not the content of the image.
  idempotent:
    support: full

options:
  src:
    description:
      - The clone, as M(tritonops.trtllm.trtllm_sources) makes it with C(whole).
    type: path
    required: true
  name:
    description:
      - Name and tag that the image gets.
    type: str
    required: true
  dest:
    description:
      - Folder that will hold the record, C(artifact.json).
    type: path
    required: true
  log:
    description:
      - File that the build's output is appended to.
    type: path
    required: true
  dockerfile:
    description:
      - The Dockerfile, in the clone; with O(directory) the one that the Makefile uses.
    type: str
    required: true
  directory:
    description:
      - Folder in the clone whose Makefile builds the image. If empty, O(dockerfile) is built with the clone as context.
    type: str
    default: ""
  target:
    description:
      - With O(directory) the Makefile's target, otherwise a stage of O(dockerfile); the last one if empty.
    type: str
    default: ""
  build_args:
    description:
      - Further build arguments. Not for secrets, for they are in the image's history.
    type: dict
    default: {}
  cuda_architectures:
    description:
      - For which GPUs to compile, such as V(80-real) for A100, V(89-real) for L40S, V(90-real) for H100; more than one
        separated by semicolons. If empty, for all that upstream names, which takes hours.
    type: str
    default: ""
  jobs:
    description:
      - How many compilers run at once. Upstream's own is one for each processor; each may take some GB of memory.
    type: int
  pip_constraints:
    description:
      - Constraints that every pip of the build obeys, such as V(numpy<2).
    type: list
    elements: str
    default: []
  ca_bundle:
    description:
      - File on the host with certificates in PEM form that every step of the build, and the image, trust in addition.
    type: path
  network:
    description:
      - Docker's network mode while building.
    type: str
    default: default
  registry_auth:
    description:
      - Credentials for the registry of the base images, as in M(tritonops.trtllm.trtllm_image). The base images are
        then pulled first, and the build itself sees no credentials.
    type: str
  expected_bytes:
    description:
      - Free bytes that the engine's data folder must have before the build.
    type: int
  docker_host:
    description:
      - URL of the Docker engine. If not given, the environment variable E(DOCKER_HOST), or the local socket.
    type: str

requirements:
  - docker >= 7.0 (the Docker SDK for Python)
  - Docker's command line, with buildx from version 23 on
  - make, with O(directory)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_sources
  - module: tritonops.trtllm.trtllm_image
"""

EXAMPLES = r"""
---
- name: Build the image of release 0.9.0 for A100
  tritonops.trtllm.trtllm_image_build:
    src: /opt/trtllm/backend/1bfa8ae2e30f5a1c
    dockerfile: dockerfile/Dockerfile.trt_llm_backend
    cuda_architectures: 80-real
    jobs: 16
    pip_constraints: ["numpy<2"]
    name: tritonops/backend:0.9.0
    dest: /opt/trtllm/image/5b1f0c8a7e6d4c32
    log: /opt/trtllm/logs/image-5b1f0c8a7e6d4c32.log
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python

- name: Build the image of release 1.0.0, which has a Makefile for it
  tritonops.trtllm.trtllm_image_build:
    src: /opt/trtllm/backend/4cc0e21f7a9b6d58
    directory: tensorrt_llm/docker
    dockerfile: tensorrt_llm/docker/Dockerfile.multi
    target: tritonrelease_build
    cuda_architectures: 90-real
    name: tritonops/backend:1.0.0
    dest: /opt/trtllm/image/0e7d6c5b4a392817
    log: /opt/trtllm/logs/image-0e7d6c5b4a392817.log
  vars:
    ansible_python_interpreter: /opt/trtllm/venv/bin/python
"""

RETURN = r"""
image:
  description: The image's id; in check mode O(name), as long as it is not built.
  returned: success
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
name:
  description: Its name and tag.
  returned: success
  type: str
  sample: tritonops/backend:0.9.0
commit:
  description: The commit that it was built from; null before.
  returned: success
  type: str
  sample: 76464e9be06600f3979acad9c14857938a66ff9f
command:
  description: What built it.
  returned: always
  type: list
  elements: str
  sample: [docker, build, --progress, plain]
duration:
  description: Seconds that building took; null when it was there.
  returned: success
  type: float
  sample: 3747.0
log:
  description: File with the build's output.
  returned: success
  type: str
  sample: /opt/trtllm/logs/image-5b1f0c8a7e6d4c32.log
reason:
  description: Why it had to be built; null when it was there.
  returned: success
  type: str
  sample: no artifact at /opt/trtllm/image/5b1f0c8a7e6d4c32
rc:
  description: Exit code of the failed build.
  returned: failure
  type: int
  sample: 1
tool_log:
  description: File with the output of the failed build.
  returned: failure
  type: str
  sample: /opt/trtllm/logs/image-5b1f0c8a7e6d4c32.log
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import canonical
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._image_build import BuildRequest, build_result
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import Login, connect
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LOG_PATTERNS_ARGUMENT,
    log_patterns_of,
)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = dict(module.params)
    docker_host, login = params.pop("docker_host"), Login(text=params.pop("registry_auth"))
    params["log_patterns"] = log_patterns_of(module)
    params["build_args"] = {name: str(value) for name, value in canonical(params["build_args"]).items()}
    request = BuildRequest(**params, login=login, check_mode=module.check_mode)
    return build_result(request, module, connect(module, docker_host))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOG_PATTERNS_ARGUMENT,
            "src": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "log": {"type": "path", "required": True},
            "dockerfile": {"type": "str", "required": True},
            "directory": {"type": "str", "default": ""},
            "target": {"type": "str", "default": ""},
            "build_args": {"type": "dict", "default": {}},
            "cuda_architectures": {"type": "str", "default": ""},
            "jobs": {"type": "int"},
            "pip_constraints": {"type": "list", "elements": "str", "default": []},
            "ca_bundle": {"type": "path"},
            "network": {"type": "str", "default": "default"},
            "registry_auth": {"type": "str", "no_log": True},
            "expected_bytes": {"type": "int"},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot build {module.params['name']}")


if __name__ == "__main__":
    main()
