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
  - Works out every path, command, flag, key and placeholder value of a deployment from what is asked for and from
    facts of the host, with the collection's catalogue of backend releases, models and host shapes. Nothing is changed
    anywhere.
  - Runs on the controller. The host is asked for its facts by M(tritonops.trtllm.trtllm_host_info), unless they are
    given.
  - Of the host's variables those that begin with C(trtllm_) must be the collection's. Any other is refused, with the
    nearest name.
  - What cannot work is refused with all reasons at once, each with the variable to change and a value that would do.
    Estimates and risks can be accepted by the name that the refusal gives.
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
      - Values of C(trtllm_*) variables, under their names without the prefix, that replace those of the host.
      - C(model) is a preset's name (C(catalogue/models)), a mapping with C(preset) and what differs from it, such as
        C(revision), or a mapping with C(repository), C(revision), and C(architecture) with C(shape), or C(config)
        (the model's C(config.json), or a file with it on the controller). Without either, C(config.json) is read from
        the hub.
      - C(release) is a release of the backend (C(catalogue/releases)), by default the newest that has the profile.
      - C(profile) is V(engine) (convert, build, inflight batcher; the default) or V(llmapi) (the weights are served
        as they are; 0.19.0 and later). C(root) is the folder on the host, V(/opt/trtllm) by default.
      - C(precision) is V(float16) (the default of V(engine)), V(bfloat16), V(float32), V(int8_weight_only),
        V(int4_weight_only), or V(fp8) for weights that are quantised to it. The default of V(llmapi) is the weights'
        own.
      - C(parallelism) has C(tensor), C(pipeline), C(moe_tensor), C(moe_expert), all in GPUs; what is left open is
        chosen.
      - C(limits) has C(max_batch_size) (8 sequences), C(max_input_len) (1024 tokens), C(max_seq_len) (2048 tokens),
        C(max_num_tokens) (8192 tokens a step), C(max_beam_width) (1), and C(kv_cache_fraction) (0.9 of free GPU
        memory).
      - C(image) has C(source) (V(registry), V(archive), V(build)), C(reference), C(digest), C(archive), C(layout),
        C(tag_moved) (V(refuse), V(keep)), C(registry_auth_file); by default the release's newest image of NGC. Its
        C(build) has C(cuda_architectures), C(jobs), C(args), C(network); by default what suits the host.
      - C(sources) has C(backend) and C(tensorrt_llm), each with C(repository), C(commit) and C(ref), in place of the
        release's own.
      - C(weights) has C(endpoint), C(path), C(offline). C(tokenizer) is a preset's name or a mapping with
        C(repository) and C(revision) or C(path), where it is not the weights' own.
      - C(converter) is V(native) (the default wherever it can) or V(upstream), the release's own script.
      - C(server) has C(address), C(http_port), C(grpc_port), C(metrics_port), C(shm_size).
      - C(streaming) and C(gpus_required) are booleans (true by default), C(engine_dir) is the folder of an engine
        that is there already.
      - C(repository_parameters) maps a Triton model to placeholders and values, with V(llmapi) to keys of
        C(model.yaml); C(repository_overrides) maps a Triton model to fields of its configuration.
      - C(preflight_gpus) is what the GPUs have to be beyond what the plan needs, as the needs of
        M(tritonops.trtllm.preflight_info) have it in C(gpus).
      - C(waive) lists the names of refusals and findings that are accepted.
    type: dict
    default: {}
  host_facts:
    description:
      - What is known of the host, as M(tritonops.trtllm.trtllm_host_info) returns it. What is missing is not checked.
    type: dict
  token_file:
    description:
      - File on the controller with a token of the hub, to read the C(config.json) of a gated model.
    type: path
  storage:
    description:
      - File systems that are going to be made, or to grow, before anything is written, each with C(mount) and
        C(free_bytes). Not used with O(host_facts).
    type: list
    elements: dict
    default: []
  bundle:
    description:
      - A bundle that everything is to come from, as M(tritonops.trtllm.bundle) made it. What it has not, or has for
        another model, is refused; nobody is asked for anything.
      - C(path) is its folder on the host, C(manifest) what M(tritonops.trtllm.bundle_info) returns, C(system) the
        host's system such as V(debian-12), C(python) the version of its Python such as V(3.11), C(docker_source) whose
        engine it gets.
    type: dict
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_host_info
  - module: tritonops.trtllm.trtllm_fleet_plan
"""

EXAMPLES = r"""
- name: Plan what the host's variables, such as trtllm_model, ask for
  tritonops.trtllm.trtllm_plan:
  register: planned

- name: Plan what the tutorial does, with facts that are known
  tritonops.trtllm.trtllm_plan:
    request:
      model: mixtral-8x7b-instruct
      release: 0.9.0
      parallelism:
        tensor: 8
    host_facts: "{{ host_info.host_facts }}"
  register: planned
"""

RETURN = r"""
bundle:
  description:
    - What a bundle for this plan has to have (C(about)) and in which of its folders weights and tokenizer are
      (C(folders)).
  returned: when O(bundle) is not given
  type: dict
plan:
  description: The plan. Where C(refusals) is not empty, only C(preflight) can be relied on beside them.
  returned: always
  type: dict
  contains:
    release:
      description: The release of the backend.
      type: str
      sample: 1.2.1
    profile:
      description: How it serves.
      type: str
      sample: engine
    parallelism:
      description: C(tensor), C(pipeline), C(moe_tensor), C(moe_expert) and their C(world_size).
      type: dict
    image:
      description: The image to run (C(run)), its source and pinned digest, and the folder of its record (C(dest)).
      type: dict
    weights:
      description: Repository, revision, expected size in bytes, and the folder they end up in (C(dest)).
      type: dict
    tokenizer:
      description: Where the tokenizer comes from; C(separate) where that is not the weights.
      type: dict
    convert:
      description:
        - Who converts them (C(converter), empty where nothing is converted) and why (C(reason)), the native converter's
          C(options) or the C(argv) of upstream's, and the folder (C(dest)).
      type: dict
    build:
      description: The command that builds the engine (C(argv)) and its folder (C(dest)); empty without a build.
      type: dict
    repository:
      description: Triton model to placeholder to value; with the profile V(llmapi) to keys of C(model.yaml).
      type: dict
      sample:
        ensemble:
          triton_max_batch_size: "8"
    launch:
      description: The command in the container (C(argv)), its C(world_size), C(address) and C(ports).
      type: dict
    release_dir:
      description: The release folder.
      type: str
      sample: /opt/trtllm/releases/mixtral-8x7b-instruct-1.2.1-50c1c1ce
    steps:
      description: What a run would do, in its order. Each has C(what), C(action), C(path) and C(bytes).
      type: list
      elements: dict
    budget:
      description:
        - C(gpu) has the bytes on the fullest GPU and the C(kv_tokens) and C(sequences) its KV cache holds; null where
          no GPU is known. C(disk) has what each artifact takes and what of it is missing; C(host_memory) is for
          converting.
      type: dict
    preflight:
      description:
        - What the role preflight takes. C(needs) is what the deployment needs of the host and of the network. In a plan
          that is refused, it is as much as can be told.
      type: dict
    warnings:
      description: What will work but disappoint.
      type: list
      elements: str
    vulnerabilities:
      description: Those that the image is known to have, worst first.
      type: list
      elements: str
    notes:
      description: What to know of the release.
      type: list
      elements: str
    refusals:
      description:
        - Why it cannot work. Each has C(variable), C(value), C(message), and C(waive), the name it can be accepted by.
          If a check of the host found it, C(check) is its name, and C(advice) what would do instead.
      type: list
      elements: dict
host_facts:
  description: The facts that the plan goes by.
  returned: always
  type: dict
"""
