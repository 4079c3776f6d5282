#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api_key
short_description: Issue, change or revoke an API key of the gateway
version_added: 0.1.0
description:
  - Edits a file on the control node that contains the hash, the models and the limits of each key. The file does not
    contain the keys themselves, and they cannot be calculated from it.
  - Use M(tritonops.trtllm.haproxy_map) with the filter P(tritonops.trtllm.api_key_records#filter) to apply the file
    to a gateway. The playbook C(tritonops.trtllm.keys) does both.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A key is only issued if none has the name, unless O(rotate=true).
  action:
    description: Runs on the control node, as an action plugin.
    support: full
options:
  path:
    description:
      - The file on the control node. It is created with mode C(0600) if it does not exist.
    type: path
    required: true
  name:
    description:
      - Name of the key, for limits, logs and metrics. Keys with the same name share their limits.
    type: str
    required: true
  state:
    description:
      - V(present) issues the key if no key has this name, and otherwise changes its models, limits and expiry.
      - V(absent) revokes all keys of this name.
    type: str
    choices: [present, absent]
    default: present
  rotate:
    description:
      - Issue a further key of the same name, with the same limits. The other keys expire after O(overlap).
    type: bool
    default: false
  overlap:
    description:
      - How long the other keys still work after O(rotate=true), in seconds.
    type: int
    default: 86400
  models:
    description:
      - Names of the models (OpenAI's API) and deployments (Triton) that the key may use. V(*) stands for all. A new
        key may use all by default.
    type: list
    elements: str
  requests_per_minute:
    description:
      - Number of requests in a minute. V(0) is no limit, which is the default of a new key.
    type: int
  tokens_per_minute:
    description:
      - Number of tokens that requests may reserve in a minute. A request reserves the largest number of tokens that
        it allows for all its answers. V(0) is no limit, which is the default of a new key.
    type: int
  at_once:
    description:
      - Number of requests at the same time. V(0) is no limit, which is the default of a new key.
    type: int
  expires:
    description:
      - When the key expires, as a date or a time in UTC, such as V(2027-06-30) or V(2027-06-30T12:00:00Z). Empty for
        never, which is the default of a new key.
    type: str
  show:
    description:
      - Print a new key on the control node instead of returning it, so that it is neither in the result nor in
        Ansible's log.
    type: bool
    default: false
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Issue a key
  tritonops.trtllm.api_key:
    path: "{{ inventory_dir }}/keys.yml"
    name: search
    models: [chat]
    tokens_per_minute: 100000
    show: true
  run_once: true
"""

RETURN = r"""
key:
  description: The new key. It is not stored anywhere.
  returned: when a key was issued, unless O(show=true)
  type: str
  sample: sk-hQ2...
entry:
  description: The key's entry in the file.
  returned: when O(state=present)
  type: dict
  sample: {"name": "search", "hash": "9f86d0...", "models": ["chat"], "tokens_per_minute": 100000}
"""
