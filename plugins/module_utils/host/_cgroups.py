# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which processes are our own service's."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import cgroups_of


class Container(t.NamedTuple):
    """What the engine says about the container of our own service."""

    id: str
    published: frozenset[int]


class OwnService(t.NamedTuple):
    """How to recognise a process of the service which this very play manages."""

    unit: str | None = None
    container: Container | None = None


def is_ours(pid: int, own: OwnService, proc: str = "/proc") -> bool:
    """Whether the process is in the unit's or the container's control group."""
    groups = [part for path in cgroups_of(pid, proc) for part in path.split("/")]
    if own.unit and own.unit in groups:
        return True
    return own.container is not None and any(own.container.id in part for part in groups)
