#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_fleet_plan
short_description: Plan the deployments of many hosts in one task, and print them as a table
version_added: 0.1.0
description:
  - Makes for each host the plan that M(tritonops.trtllm.trtllm_plan) makes, out of the host's own C(trtllm_*) variables
    (C(trtllm_model), C(trtllm_release) and so on; what is not said has the default that is documented there).
  - A variable that begins with C(trtllm_) and is not the collection's is refused, with the nearest name.
  - Tells of each plan what would be fetched, built, reused and restarted, how large it is, what it leaves of the GPUs'
    memory, and what to know of it, or why it cannot work. Hosts with the same plan share a table.
  - Runs on the controller, once for all hosts. No connection is opened. Refusals do not make it fail.
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
  hosts:
    description:
      - The hosts to plan for.
    type: list
    elements: str
    required: true
  host_facts:
    description:
      - By host, what M(tritonops.trtllm.trtllm_host_info) returned as C(host_facts).
    type: dict
  host_facts_file:
    description:
      - JSON or YAML file on the controller with recorded facts, of one host for all, or by host below C(hosts), as
        O(record_file) writes it.
    type: path
  host_shape:
    description:
      - Plan for new hosts of this shape (C(catalogue/shapes)), such as V(BM.GPU4.8).
    type: str
  plan_file:
    description:
      - File on the controller to write the plan to, as JSON. Of several hosts, a mapping of host to plan.
    type: path
  record_file:
    description:
      - File on the controller to write the facts to, so that they can be planned with later.
    type: path
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_plan
  - module: tritonops.trtllm.trtllm_host_info
"""

EXAMPLES = r"""
- name: Plan what the tutorial does, for a host that is not there yet
  tritonops.trtllm.trtllm_fleet_plan:
    hosts: "{{ ansible_play_hosts }}"
    host_shape: BM.GPU4.8
    plan_file: plan.json
  vars:
    trtllm_model: mixtral-8x7b-instruct
    trtllm_release: 0.9.0
  run_once: true
"""

RETURN = r"""
table:
  description: The lines that were printed.
  returned: always
  type: list
  elements: str
  sample: ["== gpu1", "what        action        size"]
refused:
  description: The hosts that it cannot work on.
  returned: always
  type: list
  elements: str
  sample: []
conversions:
  description:
    - Each checkpoint that the plans need, once. C(hosts) are those that it is for; C(release), C(weights) and
      C(convert) are as in their plans, C(token_file) is the first one's C(trtllm_token_file).
    - Hosts that need none share an entry without C(convert.dest).
  returned: always
  type: list
  elements: dict
"""
