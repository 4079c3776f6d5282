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
  - Calculates all paths, commands, flags, keys and placeholder values of the deployments of all hosts. It uses the
    hosts' C(trtllm_*) variables and facts, and the collection's catalogue of TensorRT-LLM versions, models and host
    shapes. Hosts are not changed.
  - Runs on the control node, once for all hosts, with C(run_once). It does not connect to the hosts.
  - The flat variables, such as C(trtllm_model), describe the deployment V(default). C(trtllm_deployments) contains
    further deployments by name. The deployments of a host are planned together, because they share its GPUs, ports and
    disks.
  - Variables that a play, a role or an import sets apply to all hosts, and take precedence over the inventory.
  - An unknown variable that begins with C(trtllm_) is refused, and the nearest valid name is suggested.
  - If a deployment cannot work, all reasons are returned at once, each with the variable to change and a value that
    works. Estimates and risks can be waived by the name in the refusal. Refusals do not make the task fail.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the changes of O(plan_file) and O(record_file).
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
      - Hosts of the fleet that are not in the play's batch or limit. They are included in the plan if O(record_file)
        contains their facts. RV(refused) does not contain them.
    type: list
    elements: str
    default: []
  gateways:
    description:
      - The hosts that are gateways. Their variables C(trtllm_gateway), C(trtllm_gateway_authority) and
        C(trtllm_gateway_keys) are read, and C(trtllm_endpoint) of the other hosts. Without gateways and
        O(monitoring), hosts have no endpoint.
    type: list
    elements: str
    default: []
  monitoring:
    description:
      - The hosts that read metrics. The endpoints of hosts and the metrics of gateways accept their certificates.
    type: list
    elements: str
    default: []
  request:
    description:
      - Values of C(trtllm_*) variables, under their names without the prefix, that replace those of all hosts.
      - C(model) is the name of a preset (C(catalogue/models)), a mapping with C(preset) and changes to it, such as
        C(revision), or a mapping with C(repository), C(revision) (unless C(weights) has a C(path)), and either
        C(architecture) and C(shape), or C(config) (the model's C(config.json), or a copy of it on the control node).
        Without these, C(config.json) is read from the hub.
      - C(release) is the TensorRT-LLM version (C(catalogue/releases)), by default the newest that supports the profile.
        With V(serve) it is one of C(catalogue/serve), by default the newest without known vulnerabilities that the GPUs
        and the driver can run. If nobody is known to have run it on such a host, it must be set.
      - C(profile) is V(engine) (convert, build, inflight batcher; the default), V(llmapi) (serve the weights as they
        are; 0.19.0 and later) or V(serve) (C(trtllm-serve) without Triton; 1.0.0 and later). C(root) is the folder on
        the host, V(/opt/trtllm) by default.
      - C(precision) is V(float16) (the default of V(engine)), V(bfloat16), V(float32), V(int8_weight_only),
        V(int4_weight_only), or V(fp8) for FP8 weights. The default of V(llmapi) and V(serve) is the data type of
        the weights.
      - C(parallelism) contains C(tensor), C(pipeline), C(moe_tensor) and C(moe_expert), as numbers of GPUs. Those that
        are not set are chosen.
      - C(limits) contains C(max_batch_size) (sequences), C(max_input_len), C(max_seq_len) and C(max_num_tokens) (tokens
        of a prompt, a sequence and a step), C(max_beam_width) (1), and C(kv_cache_fraction) (0.9 of free GPU memory).
        Of the first four, those that are not set are chosen for the memory of the GPUs. Without known GPUs they are 8,
        1024, 2048 and 8192.
      - C(image) contains C(source) (V(registry), V(archive), V(build)), C(reference), C(digest), C(archive), C(layout),
        C(tag_moved) (V(refuse), V(keep)) and C(registry_auth_file); by default the version's newest image from NGC. Its
        C(build) contains C(cuda_architectures), C(jobs), C(args), C(network) and C(timeout); the defaults of the first
        two depend on the host.
      - C(sources) contains C(backend) and C(tensorrt_llm), each with C(repository), C(commit) and C(ref), to use
        instead of upstream's repositories.
      - C(weights) contains C(endpoint), C(path) and C(offline). C(tokenizer) is the name of a preset or a mapping with
        C(repository) and C(revision), or C(path), if it is not the tokenizer of the weights.
      - C(converter) is V(native) (the default if it supports the model) or V(upstream), the script of the TensorRT-LLM
        version. C(convert_options) and C(build_options) map further options of that script and of C(trtllm-build) to
        their values. Options that the version does not have, and those that the plan sets, are refused.
      - C(server) contains C(address), C(http_port), C(grpc_port), C(metrics_port), C(shm_size),
        C(ulimits), C(closed_apis) and C(arguments).
      - C(streaming) and C(gpus_required) are booleans (true by default). C(engine_dir) is the folder of an existing
        engine.
      - C(repository_parameters) maps Triton models to placeholders and their values, or with V(llmapi) to keys of
        C(model.yaml). C(repository_overrides) maps Triton models to fields of their configuration. Values that
        contradict the other variables or the engine are refused.
      - For V(serve), C(served_model_name) is the model's name in the API. C(serve) contains C(reasoning_parser) and
        C(tool_parser) (those of the model's family by default), C(guided_decoding_backend) (V(xgrammar), V(llguidance)
        or V(none)), C(chunked_prefill), C(kv_cache_type) (V(auto), V(fp8) or V(nvfp4)) and C(kv_cache_reuse).
        C(serve_config) contains further keys of the configuration file, of those that the version has.
      - C(watchdog) contains C(enabled), C(interval), C(timeout), C(failures), C(patience), C(start_deadline),
        C(restarts), C(window), C(backoff), C(prompt_timeout) and C(metrics_dir), the options of role C(watchdog).
      - C(gpus) is how many GPUs of the host the deployment gets, or a list of their indexes; by default those that no
        other deployment uses.
      - C(deployments) maps the names of further deployments to options like these.
      - C(preflight_gpus) is what is required of the GPUs in addition to what the plan needs, in the format of C(gpus)
        in the needs of M(tritonops.trtllm.preflight_info).
      - C(weight) is the share of the requests for its model that a deployment gets from gateways, from 0 to 256 (100).
        Requests with the same value of the header C(session_header) go to the same host.
      - C(price_per_hour) is what the host costs per hour, in any currency, for the price of tokens in C(estimate).
      - C(waive) lists the names of refusals and findings to accept.
    type: dict
    default: {}
  deployment:
    description:
      - The deployment to act on. The others of a host are planned with it, but are not in the result.
      - If empty, all deployments are in the result.
    type: str
    default: ''
  host_facts:
    description:
      - Facts by host, as returned by M(tritonops.trtllm.trtllm_host_info) in C(host_facts). Missing facts are not
        checked.
    type: dict
    default: {}
  host_facts_file:
    description:
      - JSON or YAML file on the control node with recorded facts, either by host below C(hosts), as O(record_file)
        writes them, or of one host, which then apply to all hosts.
    type: path
  host_shape:
    description:
      - Plan for new hosts of this shape (C(catalogue/shapes)), such as V(BM.GPU4.8). What is on them is not known, so a
        missing token for a gated model is only a warning.
    type: str
  bundles:
    description:
      - By host, the bundle to install everything from, as created by M(tritonops.trtllm.bundle). If it lacks something
        or is for another model, the plan is refused. Nothing is read from the network.
      - C(path) is its folder on the host, C(manifest) the result of M(tritonops.trtllm.bundle_info), C(system) the
        host's system, such as V(debian-12), and C(python) the version of its Python, such as V(3.11).
    type: dict
    default: {}
  show:
    description:
      - Whether to print the plans as a table instead of returning them in RV(hosts) and RV(artifacts). The table
        includes the warnings, which are then not shown separately.
    type: bool
    default: false
  benchmarks_file:
    description:
      - JSON file on the control node with measured speeds, by C(key) of C(estimate) in RV(hosts). They replace the
        estimate of the same deployment. L(docs/sizing.md,https://github.com/tritonops/trtllm/blob/main/docs/sizing.md)
        describes the format.
    type: path
  plan_file:
    description:
      - File on the control node to write RV(hosts) and RV(artifacts) to, as JSON.
    type: path
  record_file:
    description:
      - File on the control node to write the facts to, for later plans. The facts of other hosts in it are kept.
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

- name: Plan the deployment of the tutorial for a host that does not exist yet
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
  description: By host, the plans of its deployments and what they share.
  returned: without O(show)
  type: dict
  contains:
    root:
      description: The root folder.
      type: str
      sample: /opt/trtllm
    token_file:
      description: Absolute path of the file with the hub's token; empty if there is none, or if it cannot be read.
      type: str
      sample: /home/me/.config/hf_token
    deployments:
      description:
        - The plan of each deployment, by name.
        - If C(refusals) of a deployment is not empty, only C(needs) can be used besides it.
        - The keys C(trtllm_backend), C(model_weights), C(engine_build), C(model_repo) and C(triton_service) contain
          the options of the role of that name, without the role's name. With V(serve), it is C(serve_service) instead
          of the last three.
        - C(upstream) says whether upstream still develops the profile. With V(serve), C(parsers) are the chosen
          ones, and C(defaults) are defaults of C(trtllm-serve) that commonly cause failures.
        - C(chosen_limits) are the names of the C(limits) that were not set. C(unverified) are facts about the
          TensorRT-LLM version that could not be read at their source.
        - C(steps) is what a run would do, in order. C(budget) contains the use of each GPU, of disks and of memory in
          bytes.
        - C(estimate) contains in C(rows) the speed for some numbers of requests C(at_once), and its C(key).
          C(first_token) and C(between_tokens) are in seconds. It is calculated, unless C(measured) is true.
      type: dict
    gpus:
      description: Indexes of the GPUs that were C(found), are C(used) by each deployment, and are C(unused).
      type: dict
      sample: {"found": [0, 1, 2, 3], "used": {"default": [0, 1]}, "unused": [2, 3]}
    preflight:
      description: Options of the role C(preflight), for all deployments together.
      type: dict
    served:
      description:
        - What gateways need to know about each deployment, also of those that are not in C(deployments). Null if
          there is no plan for it.
      type: dict
    endpoint:
      description: Options of the role C(endpoint), without the role's name. Empty without gateways and O(monitoring).
      type: dict
    refusals:
      description:
        - Why it cannot work. Each refusal contains C(variable), C(value), C(message), and C(waive), the name to waive
          it by. If a check of the host found it, C(check) is the name of the check and C(advice) is what to do.
      type: list
      elements: dict
    message:
      description: The refusals as text, one per line. Empty if there are none.
      type: str
      sample: ""
    warnings:
      description: Warnings about the host, in addition to the C(warnings) of its deployments.
      type: list
      elements: str
artifacts:
  description:
    - What the hosts need in their root folders, by kind and key. C(bytes) is the expected size, C(wanted_by) are the
      hosts that need it, and C(made_by) is the host that downloads or creates it, or one that already has it.
  returned: without O(show)
  type: dict
  sample:
    weights/00112233445566ff: {"bytes": 96900000000, "made_by": "gpu1", "wanted_by": ["gpu1", "gpu2"]}
fanout:
  description:
    - What hosts of the play copy from each other. C(groups) are lists of hosts, those that should make an artifact
      first. For each host, C(hosts) has the number of its group for each artifact in C(groups), and in C(peer) and
      C(rate) how it takes part. Empty if there is nothing to copy.
  returned: without O(show)
  type: dict
  sample:
    groups: [["gpu1", "gpu2"]]
    hosts:
      gpu1:
        peer: {"name": "gpu1", "address": "10.0.0.1", "port": 7880, "https_port": 7881}
        rate: 0
        groups: {"weights/00112233445566ff": 0}
gateway:
  description: The gateways.
  returned: without O(show)
  type: dict
  contains:
    hosts:
      description:
        - The options of the roles C(gateway) and C(preflight), without the role's name, for each gateway, and in
          C(requests) how it can request a completion of each route from itself.
        - Empty if the routes to a host are not known.
      type: dict
    unknown:
      description: Hosts without facts or without a plan, so that the routes to them are not known.
      type: list
      elements: str
      sample: []
targets:
  description:
    - What Prometheus can scrape, by the name of the job, in the format of its file based service discovery. Only what
      the endpoints of hosts and the gateways let pass.
  returned: without O(show)
  type: dict
  sample:
    trtllm-model-server:
      - targets: ["gpu1.example:8443"]
        labels:
          __metrics_path__: /chat/metrics
          host: gpu1
          deployment: chat
          model: meta-llama/Llama-3.1-8B-Instruct
          version: 1.2.1
          profile: engine
          shape: BM.GPU4.8
refused:
  description: Those of O(hosts) for which the plan is refused.
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
    - Each checkpoint that the plans need, once. C(hosts) are the hosts that need it. C(release), C(weights) and
      C(checkpoint) are as in their plans, and C(token_file) is that of the first host.
    - Hosts that need no checkpoint share an entry without C(checkpoint.dest).
  returned: success
  type: list
  elements: dict
"""
