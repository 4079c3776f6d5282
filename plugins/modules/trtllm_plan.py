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
  - Calculates every path, command, flag, key and placeholder value of the deployments of all hosts, from their
    C(trtllm_*) variables, facts of the hosts, and the collection's catalogue of TensorRT-LLM versions, models and host
    shapes. It changes nothing.
  - Runs on the control node, once for all hosts, with C(run_once). It opens no connection.
  - The flat variables, such as C(trtllm_model), describe the deployment V(default). C(trtllm_deployments) describes the
    others by name. Deployments of one host are planned together, because they share its GPUs, ports and disks.
  - Variables that a play, a role or an import sets apply to all hosts and override those of the inventory.
  - Unknown variables whose names begin with C(trtllm_) are refused, with the most similar name.
  - A request that cannot work is refused with all reasons at once, each with the variable to change and a possible
    value. Estimates and risks can be accepted by the name in the refusal. Refusals do not make the task fail.
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
      - Further hosts of the fleet, outside of the play's batch or limit. Those with facts in O(record_file) are
        planned, too. Their refusals are not in RV(refused).
    type: list
    elements: str
    default: []
  request:
    description:
      - Values of C(trtllm_*) variables, by name without the prefix, that override those of all hosts.
      - C(model) is the name of a preset (C(catalogue/models)), a mapping with C(preset) and the differences, such as
        C(revision), or a mapping with C(repository), C(revision), and C(architecture) with C(shape), or C(config)
        (the model's C(config.json), or a file with it on the control node). Without these, C(config.json) is read from
        the hub.
      - C(release) is a TensorRT-LLM version (C(catalogue/releases)), by default the newest that has the profile.
      - C(profile) is V(engine) (convert, build, inflight batcher; the default) or V(llmapi) (the weights are served
        as they are; 0.19.0 and later). C(root) is the folder on the host, V(/opt/trtllm) by default.
      - C(precision) is V(float16) (the default of V(engine)), V(bfloat16), V(float32), V(int8_weight_only),
        V(int4_weight_only), or V(fp8) for weights that are quantised to fp8. The default of V(llmapi) is the
        precision of the weights.
      - C(parallelism) has C(tensor), C(pipeline), C(moe_tensor), C(moe_expert), all in GPUs; missing values are chosen.
      - C(limits) has C(max_batch_size) (8 sequences), C(max_input_len) (1024 tokens), C(max_seq_len) (2048 tokens),
        C(max_num_tokens) (8192 tokens a step), C(max_beam_width) (1), and C(kv_cache_fraction) (0.9 of free GPU
        memory).
      - C(image) has C(source) (V(registry), V(archive), V(build)), C(reference), C(digest), C(archive), C(layout),
        C(tag_moved) (V(refuse), V(keep)), C(registry_auth_file); by default the newest image of the version on NGC. Its
        C(build) has C(cuda_architectures), C(jobs), C(args), C(network); the defaults depend on the host.
      - C(sources) has C(backend) and C(tensorrt_llm), each with C(repository), C(commit) and C(ref), to replace those
        of the version.
      - C(weights) has C(endpoint), C(path), C(offline). C(tokenizer) is the name of a preset or a mapping with
        C(repository) and C(revision) or C(path), if it is not that of the weights.
      - C(converter) is V(native) (the default if possible) or V(upstream), the script of the TensorRT-LLM version.
      - C(server) has C(address), C(http_port), C(grpc_port), C(metrics_port), C(shm_size).
      - C(streaming) and C(gpus_required) are booleans (true by default), C(engine_dir) is the folder of an existing
        engine.
      - C(repository_parameters) maps a Triton model to placeholders and values, with V(llmapi) to keys of
        C(model.yaml); C(repository_overrides) maps a Triton model to fields of its configuration.
      - C(gpus) is the number of GPUs that the deployment uses, or a list of their indexes; by default those that no
        other deployment uses.
      - C(deployments) maps the names of further deployments to options like these.
      - C(preflight_gpus) has further requirements for the GPUs, like C(gpus) in the needs of
        M(tritonops.trtllm.preflight_info).
      - C(waive) lists the names of refusals and findings to accept.
    type: dict
    default: {}
  deployment:
    description:
      - The deployment to return. The other deployments of a host are planned, too, but not returned.
      - If it is empty, all are returned.
    type: str
    default: ''
  host_facts:
    description:
      - The C(host_facts) that M(tritonops.trtllm.trtllm_host_info) returned, by host. Missing facts are not checked.
    type: dict
    default: {}
  host_facts_file:
    description:
      - JSON or YAML file on the control node with recorded facts. It has the facts of one host, which are used for all,
        or facts by host below C(hosts), like O(record_file).
    type: path
  host_shape:
    description:
      - Plan for new hosts of this shape (C(catalogue/shapes)), such as V(BM.GPU4.8).
    type: str
  bundles:
    description:
      - The bundle that M(tritonops.trtllm.bundle) created for each host, by host. Everything must come from it, so a
        request that needs anything else is refused.
      - C(path) is its folder on the host, C(manifest) is the result of M(tritonops.trtllm.bundle_info), C(system) is
        the host's system such as V(debian-12), C(python) is the version of its Python such as V(3.11).
    type: dict
    default: {}
  show:
    description:
      - Whether to print the plans as a table, which includes the warnings, instead of returning them in RV(hosts) and
        RV(artifacts).
    type: bool
    default: false
  plan_file:
    description:
      - File on the control node to write C(hosts) and C(artifacts) to, as JSON.
    type: path
  record_file:
    description:
      - File on the control node to write the facts to, for later plans. Facts of other hosts in the file are kept.
    type: path
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_host_info
"""

EXAMPLES = r"""
- name: Plan the deployments that the hosts' variables describe
  tritonops.trtllm.trtllm_plan:
    hosts: "{{ ansible_play_hosts }}"
    host_facts: "{{ dict(ansible_play_hosts | zip(found)) }}"
  vars:
    found: "{{ ansible_play_hosts | map('extract', hostvars, ['host_info', 'host_facts']) }}"
  register: planned
  run_once: true

- name: Plan for a host that does not exist yet
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
  description: The plan of each host, with its deployments and what they share, by host.
  returned: without O(show)
  type: dict
  contains:
    root:
      description: The root folder.
      type: str
      sample: /opt/trtllm
    deployments:
      description:
        - The plan of each deployment, by name.
        - If a deployment has C(refusals), only its C(needs) are reliable.
        - The keys C(trtllm_backend), C(model_weights), C(engine_build), C(model_repo) and C(triton_service) are the
          options of the role of that name, without the name of the role as prefix.
        - C(steps) are the steps of a run, in order. C(budget) is the memory on each GPU, the disk space and the host
          memory that are needed, in bytes.
      type: dict
    gpus:
      description: Indexes of the GPUs that were C(found), are C(used) by each deployment, and are C(unused).
      type: dict
      sample: {"found": [0, 1, 2, 3], "used": {"default": [0, 1]}, "unused": [2, 3]}
    preflight:
      description: Options of the role C(preflight), for all deployments together.
      type: dict
    refusals:
      description:
        - Why the request cannot work. Each has C(variable), C(value), C(message), and C(waive), the name to accept it.
          If a check of the host found it, C(check) is the name of the check, and C(advice) an alternative.
      type: list
      elements: dict
    message:
      description: The refusals as text, one line each; empty if there are none.
      type: str
      sample: ""
    warnings:
      description: Warnings about the host, in addition to the C(warnings) of its deployments.
      type: list
      elements: str
artifacts:
  description:
    - The artifacts that the hosts need, by kind and key. C(bytes) is the expected size, C(wanted_by) are the hosts that
      need it, and C(made_by) is the host that downloads or creates it; that is a host that has it already, if there is
      one.
  returned: without O(show)
  type: dict
  sample:
    weights/00112233445566ff: {"bytes": 96900000000, "made_by": "gpu1", "wanted_by": ["gpu1", "gpu2"]}
refused:
  description: The O(hosts) with refusals.
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
    - The checkpoints that the plans need. C(hosts) are the hosts that need it; C(release), C(weights) and C(checkpoint)
      are as in their plans, C(token_file) is C(trtllm_token_file) of the first host.
    - Hosts that need no checkpoint share an entry without C(checkpoint.dest).
  returned: success
  type: list
  elements: dict
"""
