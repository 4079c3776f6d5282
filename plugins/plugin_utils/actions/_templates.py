# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Templates of a role as arguments of a module."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader


class Variables(dict):  # type: ignore[type-arg]
    """For the lookup, which copies all variables deeply to add some. In a fleet they contain the plans of all hosts."""

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return dict(self)


def rendered(action: ActionBase, content: Any, task_vars: dict[str, Any]) -> Any:
    """`content`, or what the template of the role makes if it is the name of one."""
    if not (isinstance(content, str) and content.endswith(".j2")):
        return content
    lookup = lookup_loader.get("ansible.builtin.template", loader=action._loader, templar=action._templar)
    return lookup.run([content], variables=Variables(task_vars))[0]
