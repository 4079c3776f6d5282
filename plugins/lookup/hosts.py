# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: Return a host pattern, or fail if it matches no hosts
version_added: "0.1.0"
description:
  - For the keyword C(hosts) of a play. Ansible skips a play whose pattern matches no hosts, and reports success. This
    lookup fails instead, before the play starts, and says what to change.
  - The pattern can contain groups that do not exist, as long as it matches a host. C(--limit) is taken into account.
  - Nothing is checked if Ansible only parses or lists tasks (C(--syntax-check), C(--list-tasks), C(--list-tags)).
options:
  _terms:
    description:
      - The name of the variable with the pattern, if there is one. It must be available without a host, for example as
        an extra variable.
    type: list
    elements: str
  default:
    description:
      - The pattern if the variable is not set.
    type: str
    required: true
  removed:
    description:
      - What to do with the hosts that the extra variable C(trtllm_remove) names. They must match the pattern.
      - V(without) leaves them out of the pattern. With V(only), the pattern is these hosts; without the variable there
        are none, and the play is skipped.
      - By default the variable has no effect.
    type: str
    choices: [without, only]
  without_inventory:
    description:
      - The pattern if the variable is not set and there is no inventory, only the implicit localhost.
      - By default this is an error.
    type: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Run on the hosts that serve models
  hosts: "{{ lookup('tritonops.trtllm.hosts', 'trtllm_hosts', default='trtllm') }}"
  tasks: []
"""

RETURN = r"""
_raw:
  description: The pattern.
  type: list
  elements: str
  sample: [trtllm]
"""

import typing as t

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.lookup import LookupBase
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import hint

# Ansible's default inventory.
NO_INVENTORY = ("/etc/ansible/hosts",)
PARSE_ONLY = ("syntax", "listtasks", "listtags")
MOST_LISTED = 10

Variables = t.Mapping[str, t.Any]


class LookupModule(LookupBase):
    """Returns a pattern that matches hosts, or fails."""

    def run(self, terms: list[str], variables: Variables | None = None, **kwargs: t.Any) -> list[str]:
        variables = variables or {}
        self.set_options(var_options=variables, direct=kwargs)
        name = terms[0] if terms else ""
        given = self._templar.template(variables.get(name))
        pattern = given or self._default(variables)
        if not parses_only():
            self._check(pattern, variables, f"{name} = {given!r}" if given else "", name)
        patterns = pattern if isinstance(pattern, list) else [pattern]
        return self._with_removed(patterns, variables) if self.get_option("removed") else patterns

    def _with_removed(self, patterns: list[str], variables: Variables) -> list[t.Any]:
        """A list in a list is not joined to text."""
        given = self._templar.template(variables.get("trtllm_remove")) or []
        removed = [str(name) for name in (given if isinstance(given, list) else [given])]
        if removed and not parses_only():
            hosts = [host.name for host in self._inventory(variables).get_hosts(patterns)]
            check_removed(removed, hosts)
        if self.get_option("removed") == "only":
            return [removed]
        return [[*patterns, *(f"!{name}" for name in removed)]] if removed else patterns

    def _default(self, variables: Variables) -> str:
        without_inventory = self.get_option("without_inventory")
        use_it = without_inventory and not variables["groups"]["all"] and not inventory_sources(variables)
        return str(without_inventory if use_it else self.get_option("default"))

    def _check(self, pattern: str | list[str], variables: Variables, given: str, name: str) -> None:
        inventory = self._inventory(variables)
        matching = inventory.get_hosts(pattern)
        if not matching:
            raise AnsibleLookupError(no_host(pattern, variables, given, name))
        limit = variables.get("ansible_limit")
        inventory.subset(limit)
        if not inventory.get_hosts(pattern):
            hosts = listed([host.name for host in matching])
            raise AnsibleLookupError(f"--limit {limit} excludes every host of this play; it needs one of: {hosts}")

    def _inventory(self, variables: Variables) -> InventoryManager:
        inventory = InventoryManager(self._loader, parse=False)
        for group, hosts in variables["groups"].items():
            inventory.add_group(group)
            for host in hosts:
                inventory.add_host(host, group=group)
        return inventory


def parses_only() -> bool:
    return any(context.CLIARGS.get(option) for option in PARSE_ONLY)


def check_removed(removed: t.Sequence[str], hosts: t.Sequence[str]) -> None:
    for name in removed:
        if name not in hosts:
            raise AnsibleLookupError(
                f"trtllm_remove = {name!r} is not a host of this play{hint(name, hosts)}; it has: {listed(list(hosts))}"
            )
    if set(hosts) <= set(removed):
        raise AnsibleLookupError(
            f"trtllm_remove = {', '.join(removed)} would leave no host: to remove all of them, run teardown"
        )


def inventory_sources(variables: Variables) -> tuple[str, ...]:
    sources = tuple(variables["ansible_inventory_sources"])
    return () if sources == NO_INVENTORY else sources


def no_host(pattern: str | list[str], variables: Variables, given: str, name: str) -> str:
    """Why no host matches, and what to change. `given` is the variable `name` with its value, if it is set."""
    groups = variables["groups"]
    if not groups["all"]:
        sources = inventory_sources(variables)
        found = f"the inventory {', '.join(sources)} has no hosts" if sources else "no inventory is given"
        return f"{found}: use an inventory (-i) whose group trtllm contains the hosts"
    near = hint(pattern, {*groups, *groups["all"]} - {pattern})
    there = listed([group for group in groups if group not in ("all", "ungrouped")])
    if given:
        return f"{given} matches no host in the inventory{near}; its groups are: {there}"
    return (
        f"the inventory has no host in the group {pattern}{near}: add the hosts to it, or set the group or pattern "
        f"with -e {name}=…; its groups are: {there}"
    )


def listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"{', '.join(names[:MOST_LISTED])}{more}" or "none"
