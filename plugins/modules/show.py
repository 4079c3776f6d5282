#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Print text of several lines
version_added: 0.1.0
description:
  - Prints a text line by line with every stdout callback. Most callbacks print the message of M(ansible.builtin.debug)
    as a JSON string, in which a table cannot be read.
  - The text is printed on the control node.
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
  text:
    description:
      - The text. In a play with several hosts it should begin with the name of the host.
    type: str
    required: true
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Show the findings
  tritonops.trtllm.show:
    text: "{{ {inventory_hostname: preflight_result} | tritonops.trtllm.preflight_table | join('\n') }}"
"""

RETURN = r"""
lines:
  description: The lines that were printed.
  returned: success
  type: list
  elements: str
  sample: ["gpu1: no GPU answers: 1 error", "  error    gpu_absent             nvidia-smi finds no GPU"]
"""
