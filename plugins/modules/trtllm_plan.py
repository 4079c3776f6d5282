#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_plan
short_description: Plan the deployments of all hosts
version_added: 0.1.0
description:
  - Works out every path, command, flag, key and placeholder value of the deployments of all hosts, from their
    C(trtllm_*) variables and from facts of the hosts, with the collection's catalogue of TensorRT-LLM versions, models
    and host shapes. Nothing is changed anywhere.
  - Runs on the control node, once for all hosts, with C(run_once). No connection is opened.
  - The flat variables, such as C(trtllm_model), describe the deployment V(default). C(trtllm_deployments) has further
    ones by name. Deployments of one host are planned together, as they share its GPUs, ports and disks.
  - Variables that a play, a role or an import sets go for every host, before those of the inventory.
  - A variable that begins with C(trtllm_) and is not one of the collection's is refused, with the nearest name.
  - What cannot work is refused with all reasons at once, each with the variable to change and a value that would do.
    Estimates and risks can be accepted by the name that the refusal gives. Refusals do not make the task fail.
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
    description: Runs on the control node, as an action plugin.
    support: full
options:
  hosts:
    description:
      - The hosts to plan for.
    type: list
    elements: str
    required: true
  others:
    description:
      - Further hosts of the fleet, outside of the play's batch or limit. Those whose facts O(record_file) has are
        planned, too. Refusals on them are not in RV(refused).
    type: list
    elements: str
    default: []
  request:
    description:
      - Values of C(trtllm_*) variables, under their names without the prefix, that replace those of every host.
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
      - C(gpus) is how many GPUs of the host the deployment gets, or a list of their indexes; by default those that no
        other deployment has.
      - C(deployments) maps the names of further deployments to options like these.
      - C(preflight_gpus) is what the GPUs have to be beyond what the plan needs, as the needs of
        M(tritonops.trtllm.preflight_info) have it in C(gpus).
      - C(waive) lists the names of refusals and findings that are accepted.
    type: dict
    default: {}
  deployment:
    description:
      - The deployment that is acted on. The others of a host are planned with it, and left out of the result.
      - If it is empty, all are acted on.
    type: str
    default: ''
  host_facts:
    description:
      - By host, what M(tritonops.trtllm.trtllm_host_info) returned as C(host_facts). What is missing is not checked.
    type: dict
    default: {}
  host_facts_file:
    description:
      - JSON or YAML file on the control node with recorded facts, of one host for all, or by host below C(hosts), as
        O(record_file) writes it.
    type: path
  host_shape:
    description:
      - Plan for new hosts of this shape (C(catalogue/shapes)), such as V(BM.GPU4.8).
    type: str
  bundles:
    description:
      - By host, a bundle that everything is to come from, as M(tritonops.trtllm.bundle) made it. What is not in it, or
        is for another model, is refused; nobody is asked for anything.
      - C(path) is its folder on the host, C(manifest) what M(tritonops.trtllm.bundle_info) returns, C(system) the
        host's system such as V(debian-12), C(python) the version of its Python such as V(3.11).
    type: dict
    default: {}
  show:
    description:
      - Whether to print the plans as a table, in place of returning them in RV(hosts) and RV(artifacts). The warnings
        are in it then, and are not shown apart.
    type: bool
    default: false
  plan_file:
    description:
      - File on the control node to write C(hosts) and C(artifacts) to, as JSON.
    type: path
  record_file:
    description:
      - File on the control node to write the facts to, so that they can be planned with later. Facts of other hosts in
        it stay.
    type: path
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_host_info
"""

EXAMPLES = r"""
- name: Plan what the hosts' variables, such as trtllm_model, ask for
  tritonops.trtllm.trtllm_plan:
    hosts: "{{ ansible_play_hosts }}"
    host_facts: "{{ dict(ansible_play_hosts | zip(found)) }}"
  vars:
    found: "{{ ansible_play_hosts | map('extract', hostvars, ['host_info', 'host_facts']) }}"
  register: planned
  run_once: true

- name: Plan what the tutorial does, for a host that does not exist yet
  tritonops.trtllm.trtllm_plan:
    hosts: ["{{ inventory_hostname }}"]
    host_shape: BM.GPU4.8
    plan_file: plan.json
    show: true
    request:
      model: mixtral-8x7b-instruct
      release: 0.9.0
"""

RETURN = r"""
hosts:
  description: By host, the plan of its deployments and what they share.
  returned: without O(show)
  type: dict
  contains:
    root:
      description: The root folder.
      type: str
      sample: /opt/trtllm
    deployments:
      description:
        - The plan of each deployment, by its name.
        - Where C(refusals) of a deployment is not empty, only C(needs) can be relied on beside it.
        - The keys C(trtllm_backend), C(model_weights), C(engine_build), C(model_repo) and C(triton_service) are the
          options of the role of that name, without the role's name before them.
        - C(steps) is what a run would do, in its order. C(budget) has what is put on each GPU, on the disks and in
          memory, in bytes.
      type: dict
    gpus:
      description: Indexes of the GPUs that were C(found), those that each deployment uses (C(used)), and the C(unused).
      type: dict
      sample: {"found": [0, 1, 2, 3], "used": {"default": [0, 1]}, "unused": [2, 3]}
    preflight:
      description: Options of the role C(preflight), for all deployments together.
      type: dict
    refusals:
      description:
        - Why it cannot work. Each has C(variable), C(value), C(message), and C(waive), the name it can be accepted by.
          If a check of the host found it, C(check) is its name, and C(advice) what would do instead.
      type: list
      elements: dict
    message:
      description: The refusals as text, a line each. Empty without any.
      type: str
      sample: ""
    warnings:
      description: What to know of the host, apart from the C(warnings) of its deployments.
      type: list
      elements: str
artifacts:
  description:
    - What the hosts want below their root folders, by kind and key. C(bytes) is the expected size, C(wanted_by) are the
      hosts that need it, and C(made_by) is the one that fetches or makes it, which is one that has it already, if any.
  returned: without O(show)
  type: dict
  sample:
    weights/00112233445566ff: {"bytes": 96900000000, "made_by": "gpu1", "wanted_by": ["gpu1", "gpu2"]}
refused:
  description: Those of O(hosts) that it cannot work on.
  returned: success
  type: list
  elements: str
  sample: []
table:
  description: The lines that were printed.
  returned: with O(show)
  type: list
  elements: str
  sample: ["== gpu1", "what        action        size"]
conversions:
  description:
    - Each checkpoint that the plans need, once. C(hosts) are those that it is for; C(release), C(weights) and
      C(checkpoint) are as in their plans, C(token_file) is the first one's C(trtllm_token_file).
    - Hosts that need none share an entry without C(checkpoint.dest).
  returned: success
  type: list
  elements: dict
"""
