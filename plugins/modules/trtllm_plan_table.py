#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: trtllm_plan_table
short_description: Print plans as a table for people
version_added: 0.1.0
description:
  - Tells of each plan what would be fetched, built, reused and restarted, how large it is, what it leaves of the
    GPUs' memory, and what to know of it. Hosts with the same plan share a table.
  - Runs on the controller; no connection to a host is opened.
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
  plans:
    description:
      - The C(plan) that M(tritonops.trtllm.trtllm_plan) returns, by host.
    type: dict
    required: true
author:
  - tritonops.trtllm contributors (@tritonops)
seealso:
  - module: tritonops.trtllm.trtllm_plan
"""

EXAMPLES = r"""
- name: Plan Mixtral 8x7B for the host
  tritonops.trtllm.trtllm_plan:
    request:
      model: mixtral-8x7b-instruct
  register: planned

- name: Show the plan
  tritonops.trtllm.trtllm_plan_table:
    plans: "{{ {inventory_hostname: planned.plan} }}"
"""

RETURN = r"""
table:
  description: The lines that were printed.
  returned: always
  type: list
  elements: str
  sample: ["== gpu1", "what        action        size"]
"""
