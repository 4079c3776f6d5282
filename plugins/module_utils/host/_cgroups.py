# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Recognises the processes of our own services by their control groups."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import cgroups_of


class Container(t.NamedTuple):
    """A container of our own services, and its published ports."""

    id: str
    published: frozenset[int]


class OwnService(t.NamedTuple):
    """The units and containers of our own services."""

    units: t.Sequence[str] = ()
    containers: t.Sequence[Container] = ()


def is_ours(pid: int, own: OwnService, proc: str = "/proc") -> bool:
    """Whether the process is in the control group of one of the units or containers."""
    groups = [part for path in cgroups_of(pid, proc) for part in path.split("/")]
    if any(unit in groups for unit in own.units):
        return True
    return any(container.id in part for container in own.containers for part in groups)
