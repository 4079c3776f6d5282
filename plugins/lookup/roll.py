# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: roll
short_description: Return the hosts of a roll, and its batches
version_added: "0.1.0"
description:
  - For the keywords C(hosts) and C(serial) of the plays that switch hosts to another release batch by batch. C(serial)
    does not see the variables of hosts and groups. This lookup reads C(trtllm_roll) of each host.
  - An earlier play has marked the hosts that have to switch with the fact C(deployment_pending), a list of their
    deployments. Hosts that it could not reach have no such fact.
options:
  _terms:
    description:
      - With V(hosts), the hosts that have to switch, in the order of their turns.
      - With V(batches), how many hosts each batch has.
      - With V(stopped), the hosts that ended the roll; none if it did not end early.
    type: list
    elements: str
    choices: [hosts, batches, stopped]
    required: true
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Switch the hosts to their new releases
  hosts: "{{ lookup('tritonops.trtllm.roll', 'hosts') }}"
  serial: "{{ lookup('tritonops.trtllm.roll', 'batches') }}"
  order: inventory
  tasks: []
"""

RETURN = r"""
_raw:
  description: A list of hosts or of numbers.
  type: list
  elements: list
  sample: [[1, 2, 2]]
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.roll._roll import Roll, batches, roll_of

Variables = t.Mapping[str, t.Any]


class LookupModule(LookupBase):
    """Returns one list, so that `lookup` does not join it to text."""

    def run(self, terms: list[str], variables: Variables | None = None, **kwargs: t.Any) -> list[list[t.Any]]:
        variables = variables or {}
        self.set_options(var_options=variables, direct=kwargs)
        # There are none if Ansible only parses or lists tasks.
        hostvars = variables.get("hostvars", {})
        everyone = variables.get("groups", {}).get("all", []) if hostvars else []
        # Without templates: few hosts of a large fleet may have to switch.
        marked = [name for name in everyone if hostvars.raw_get(name).get("deployment_pending")]
        pending = {name: hostvars[name] for name in marked}
        (wanted,) = terms
        if wanted == "stopped":
            return [stopped(pending)]
        turns = batches({name: _roll(name, own) for name, own in pending.items()})
        if wanted == "hosts":
            return [[name for turn in turns for name in turn]]
        return [[len(turn) for turn in turns]]


def _roll(name: str, variables: Variables) -> Roll:
    try:
        return roll_of(variables.get("trtllm_roll"))
    except ValueError as exc:
        raise AnsibleLookupError(f"{name}: {exc}") from exc


def stopped(pending: Variables) -> list[str]:
    """The hosts that failed; if a host was lost before it could say so, one of those that were not switched."""
    failed = [name for name, own in pending.items() if "deployment_roll_cause" in own]
    return failed or [name for name, own in pending.items() if not own.get("deployment_rolled")][:1]
