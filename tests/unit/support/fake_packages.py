# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package manager for tests of the host record. The real ones are used in the Molecule scenarios."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import Package


class FakePackages:
    """`needs` has the dependencies of each package: "crun|runc" are alternatives, "?git" is only recommended."""

    def __init__(self, needs: t.Mapping[str, str]) -> None:
        self.needs = dict(needs)
        self.listed: dict[str, Package] = {}

    def install(self, *names: str, version: str = "1", auto: bool = False) -> None:
        self.listed.update({name: Package(version, auto) for name in names})

    def remove(self, *names: str) -> None:
        for name in names:
            del self.listed[name]

    def packages(self) -> dict[str, Package]:
        return dict(self.listed)

    def _groups(self, name: str, recommended: bool) -> list[set[str]]:
        """The installed alternatives of each dependency."""
        wanted = [group for group in self.needs.get(name, "").split() if recommended or not group.startswith("?")]
        groups = [set(group.lstrip("?").split("|")) & set(self.listed) for group in wanted]
        return [group for group in groups if group]

    def dependencies(self, names: t.Collection[str]) -> set[str]:
        return set().union(*(group for name in names for group in self._groups(name, recommended=True)))

    def required_by_others(self, names: t.Collection[str]) -> dict[str, str]:
        going = set(names)
        staying = sorted(set(self.listed) - going)
        needs = [(name, group) for name in staying for group in self._groups(name, recommended=False)]
        found = {one: name for name, group in needs if group <= going for one in group}
        return {**self.required_by_others(going - set(found)), **found} if found else {}
