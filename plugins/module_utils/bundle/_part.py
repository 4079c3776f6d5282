# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What the kinds of parts of a bundle have in common."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]
ArgumentSpec = t.Dict[str, t.Any]
ARCHITECTURE: ArgumentSpec = {"type": "str", "choices": ["x86_64", "aarch64"], "default": "x86_64"}


def no_results(_record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A kind of part, made from the options that `spec` describes."""

    spec: ArgumentSpec
    # What identifies the part.
    inputs: t.Callable[[Options], dict[str, t.Any]]
    # Fills and publishes the draft.
    make: t.Callable[[Options, AnsibleModule, Draft], dict[str, t.Any]]
    # What the module returns about the part's record, which is empty if the part does not exist yet.
    results: t.Callable[[t.Mapping[str, t.Any]], dict[str, t.Any]] = no_results
