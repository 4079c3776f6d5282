# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The host that a module runs on, as the checks see it."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.dict_transformations import dict_merge
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Fact, FactKind
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._limited import answer_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class LiveHost:
    """Looks up each fact when it is asked for, once. `options` are those of preflight_info, `needs` one of them."""

    def __init__(self, module: AnsibleModule, needs: t.Mapping[str, t.Any]) -> None:
        self.module = module
        self.options: t.Mapping[str, t.Any] = module.params
        self.needs = read(Needs, needs)
        self._facts: dict[type[Fact], t.Any] = {}

    def known(self, kind: type[FactKind]) -> FactKind | None:
        if kind not in self._facts:
            self._facts[kind] = kind.look(self)
        return self._facts[kind]

    def answer_of(self, program: str, *arguments: str) -> str | None:
        """What a program says that may be absent, or fail; then None."""
        return answer_of(self.module, self.options["command_timeout"], program, *arguments)

    def shown(self) -> dict[str, t.Any]:
        """The facts that were looked up, as preflight_info returns them."""
        shown: dict[str, t.Any] = {}
        for fact in self._facts.values():
            shown = dict_merge(shown, fact.shown(self.needs) if fact else {})
        return shown
