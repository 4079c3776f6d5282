# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The facts about the host that a module runs on."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.dict_transformations import dict_merge
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Fact, FactKind
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import hung_folder, output_or_none

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class LiveHost:
    """Gathers each fact once, when it is first needed. `options` are those of preflight_info, including `needs`."""

    def __init__(self, module: AnsibleModule, needs: t.Mapping[str, t.Any]) -> None:
        self.module = module
        self.options: t.Mapping[str, t.Any] = module.params
        self.needs = read(Needs, needs)
        self._facts: dict[type[Fact], t.Any] = {}
        self._hung: list[str] = []

    def fact(self, kind: type[FactKind]) -> FactKind | None:
        if kind not in self._facts:
            self._facts[kind] = kind.gather(self)
        return self._facts[kind]

    def output_of(self, program: str, *arguments: str) -> str | None:
        """The output of a program; None if it is not installed or fails."""
        return output_or_none(self.module, self.options["command_timeout"], program, *arguments)

    def hung(self, path: str) -> str | None:
        """The folder on the way to the path whose file system does not respond; None if all respond."""
        for folder in self._hung:
            if path == folder or path.startswith(f"{folder}/"):
                return folder
        folder = hung_folder(self.module, path)
        self._hung += [folder] if folder else []
        return folder

    def as_result(self) -> dict[str, t.Any]:
        """The facts gathered so far, as preflight_info returns them."""
        results: dict[str, t.Any] = {}
        for fact in self._facts.values():
            results = dict_merge(results, fact.as_result(self.needs) if fact else {})
        return results
