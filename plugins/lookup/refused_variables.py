# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_variables
short_description: Find C(trtllm_*) variables with an unknown name or a wrong value
version_added: "0.1.0"
description:
  - Returns a line for each wrong variable, with the most similar known name. M(tritonops.trtllm.trtllm_plan) refuses
    the same variables; this lookup is for tasks that run before it or without it.
options:
  _terms:
    description:
      - Names of variables whose values to check. By default the names of all variables are checked, but no values.
    type: list
    elements: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Check the names of variables
  ansible.builtin.assert:
    that: query('tritonops.trtllm.refused_variables') | length == 0

- name: Set up the proxy
  ansible.builtin.include_role:
    name: tritonops.trtllm.egress
  when: query('tritonops.trtllm.refused_variables', 'trtllm_proxy') | length == 0
"""

RETURN = r"""
_raw:
  description: A line for each variable.
  type: list
  elements: str
  sample:
    - >-
      - trtllm_kep: is not a variable of this collection (did you mean trtllm_keep?): correct the name, or give a
      variable of your own another prefix
"""

import typing as t

from ansible.plugins.lookup import LookupBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import refusal_line
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import unknown_names, wrong_values


class LookupModule(LookupBase):
    """Returns a line for each wrong variable."""

    def run(self, terms: list[str], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        variables = variables or {}
        values = {name: self._templar.template(variables[name]) for name in terms if name in variables}
        refusals = wrong_values(values) if terms else unknown_names(variables)
        return [refusal_line(refusal.as_dict()) for refusal in refusals]
