#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_plan
short_description: Plan the deployment of a model with Triton and TensorRT-LLM
version_added: 0.1.0
description:
  - Works out every path, command, flag, key and placeholder value of a deployment from what is asked for and from facts
    of the host, with the collection's catalogue of backend releases and models.
  - Runs on the controller alone; no connection to the host is opened and nothing is changed anywhere.
  - What cannot work is refused with all reasons at once, each with the variable to change.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    description: Runs on the controller, as an action plugin.
    support: full
options:
  request:
    description:
      - The C(trtllm_*) variables of the inventory without their prefix.
      - C(model) is a preset's name (C(catalogue/models)), a mapping with C(preset) and what differs from it, such as
        C(revision), or a mapping with C(repository), C(revision), C(architecture) and C(shape).
      - C(release) is a release of the backend (C(catalogue/releases)), C(profile) is V(engine), C(precision) is
        V(float16), V(bfloat16) or V(float32), C(root) is the folder on the host.
      - C(parallelism) has C(tensor), C(pipeline), C(moe_tensor), C(moe_expert); C(limits) has C(max_batch_size),
        C(max_input_len), C(max_seq_len), C(max_num_tokens), C(max_beam_width), all in sequences or tokens.
      - C(image) has C(source) (V(registry), V(archive), V(build)), C(reference), C(digest), C(archive), C(layout).
      - C(weights) has C(endpoint), C(path), C(offline); C(server) has C(address), C(http_port), C(grpc_port),
        C(metrics_port), C(shm_size).
      - C(streaming) and C(gpus_required) are booleans, C(engine_dir) is the folder of an engine that is there already,
        C(repository_parameters) maps a Triton model to placeholders and values, C(repository_overrides) to fields.
    type: dict
    required: true
  host_facts:
    description:
      - What is known of the host. C(gpus) as M(tritonops.trtllm.gpu_info) returns them, C(processors) the number of
        vCPUs.
    type: dict
    default: {}
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.gpu_info
"""

EXAMPLES = r"""
- name: Plan Mixtral 8x7B on eight GPUs
  tritonops.trtllm.trtllm_plan:
    request:
      model: mixtral-8x7b-instruct
      release: 0.17.0
      parallelism:
        tensor: 8
      image:
        reference: nvcr.io/nvidia/tritonserver
        digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    host_facts:
      gpus: "{{ gpu_info_result.gpus }}"
  register: planned
"""

RETURN = r"""
plan:
  description: The plan. Where C(refusals) is not empty the task fails and there is nothing else in it but C(warnings).
  returned: always
  type: dict
  contains:
    image:
      description: The image to run (C(run)), its source and pinned digest, and the folder of its record (C(dest)).
      type: dict
    weights:
      description: Repository, revision, expected size in bytes, and the folder they end up in (C(dest)).
      type: dict
    convert:
      description: The command that converts them (C(argv)) and its folder (C(dest)); none with an engine of one's own.
      type: dict
    build:
      description: The command that builds the engine (C(argv)) and its folder (C(dest)); none without a build.
      type: dict
    repository:
      description: Triton model to placeholder to value.
      type: dict
      sample:
        ensemble:
          triton_max_batch_size: "8"
    launch:
      description: The command in the container (C(argv)), C(world_size), C(address) and C(ports).
      type: dict
    release_dir:
      description: The release folder.
      type: str
      sample: /opt/trtllm/releases/mixtral-8x7b-instruct-0.17.0-50c1c1ce
    budget:
      description: Bytes that each artifact needs on disk.
      type: dict
    warnings:
      description: What will work but disappoint.
      type: list
      elements: str
    refusals:
      description: Why it cannot work. Each has C(variable), C(value) and C(message).
      type: list
      elements: dict
"""
