#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_image_build

short_description: Build a backend image from the sources of a TensorRT-LLM version

version_added: "0.1.0"

description:
  - Builds the image with BuildKit and upstream's Dockerfile (up to 0.19.0) or Makefile (0.20.0 and later).
  - The clone is not changed. If the Dockerfile has no arguments for the options of the script that compiles, a copy
    of it with these options is used. CA certificates and pip constraints are added to an image that replaces the
    base image.
  - After an interrupted run, the next one continues with Docker's layer cache.
  - Proxies in the module's environment are used in every step of the build, and are not stored in the image's history.
  - The record of the image is in O(dest); the image itself is in Docker.

extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.log_patterns

attributes:
  check_mode:
    support: full
    details:
      - Without Docker or the Docker SDK for Python on the host, only O(dest) is checked.
  diff_mode:
    support: full
    details:
      - Shows the record, not the content of the image.
  idempotent:
    support: full

options:
  src:
    description:
      - The clone that M(tritonops.trtllm.trtllm_sources) created with C(whole).
    type: path
    required: true
  name:
    description:
      - Name and tag of the new image.
    type: str
    required: true
  dest:
    description:
      - Folder for the record, C(artifact.json).
    type: path
    required: true
  log:
    description:
      - File to append the output of the build to. Beyond 32 MiB, it is first renamed to C(<log>.1).
    type: path
    required: true
  dockerfile:
    description:
      - Path of the Dockerfile in the clone; with O(directory), the one that the Makefile uses.
    type: str
    required: true
  directory:
    description:
      - Folder in the clone whose Makefile builds the image. If empty, O(dockerfile) is built with the clone as context.
    type: str
    default: ""
  target:
    description:
      - With O(directory), the target of the Makefile. Otherwise a stage of O(dockerfile); the last one if empty.
    type: str
    default: ""
  build_args:
    description:
      - Further build arguments. Do not use them for secrets, because they are stored in the image's history.
    type: dict
    default: {}
  cuda_architectures:
    description:
      - GPU architectures to compile for, separated by semicolons, such as V(80-real) for A100, V(89-real) for L40S and
        V(90-real) for H100. If empty, upstream's list, which takes hours.
    type: str
    default: ""
  jobs:
    description:
      - Number of compilers to run at the same time, each of which can need some GB of memory. Upstream's default is one
        for each processor.
    type: int
  pip_constraints:
    description:
      - Constraints for every pip of the build, such as V(numpy<2).
    type: list
    elements: str
    default: []
  ca_bundle:
    description:
      - File on the host with CA certificates in PEM format that every step of the build, and the image, trust, too.
    type: path
  network:
    description:
      - Docker's network mode during the build.
    type: str
    default: default
  registry_auth:
    description:
      - Credentials for the registry of the base images, as in M(tritonops.trtllm.trtllm_image). The base images are
        then pulled before the build, which itself has no credentials.
    type: str
  expected_bytes:
    description:
      - Free space in bytes that Docker's data folder must have before the build.
    type: int
  timeout:
    description:
      - Seconds after which the build is stopped and the module fails. Docker keeps the completed steps.
    type: int
    default: 43200
  docker_host:
    description:
      - URL of the Docker daemon. The default is the environment variable E(DOCKER_HOST), or the local socket.
    type: str

requirements:
  - docker >= 7.0 (the Docker SDK for Python)
  - Docker's command line; from version 23 on with buildx
  - make, with O(directory)

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.trtllm_sources
  - module: tritonops.trtllm.trtllm_image
"""

EXAMPLES = r"""
---
- name: Build the image of TensorRT-LLM 0.9.0 for A100
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

- name: Build the image of TensorRT-LLM 1.0.0, which has a Makefile
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
  description: ID of the image; in check mode O(name) if it is not built yet.
  returned: success
  type: str
  sample: sha256:7788796a5b4c3d2e1f00f1e2d3c4b5a697887960f1e2d3c4b5a69788796a5b4c
name:
  description: Name and tag of the image.
  returned: success
  type: str
  sample: tritonops/backend:0.9.0
commit:
  description: The commit that the image was built from; V(null) if it is not built yet.
  returned: success
  type: str
  sample: 76464e9be06600f3979acad9c14857938a66ff9f
command:
  description: The command that built the image.
  returned: always
  type: list
  elements: str
  sample: [docker, build, --progress, plain]
duration:
  description: Duration of the build in seconds; V(null) if the image existed.
  returned: success
  type: float
  sample: 3747.0
log:
  description: File with the output of the build.
  returned: success
  type: str
  sample: /opt/trtllm/logs/image-5b1f0c8a7e6d4c32.log
reason:
  description: Why the image had to be built; V(null) if it existed.
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
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import refuse_secrets
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
    refuse_secrets(module, "build_args", params["build_args"], "the history of an image")
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
            "timeout": {"type": "int", "default": 43200},
            "docker_host": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot build {module.params['name']}")


if __name__ == "__main__":
    main()
