# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key


def key_of(inputs: t.Any) -> str:
    if not isinstance(inputs, t.Mapping):
        raise AnsibleFilterError(f"artifact_key requires a dictionary of inputs, not {type(inputs).__name__}")
    try:
        return artifact_key(inputs)
    except (TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"artifact_key: {exc}") from exc


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"artifact_key": key_of}
