# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""All checks of a host. Preflight runs them on current facts, the plan on recorded ones."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import (
    _container_runtimes,
    _docker,
    _fabric,
    _gpu_health,
    _gpu_use,
    _gpus,
    _haproxy,
    _images,
    _network,
    _ports,
    _room,
    _root,
    _system,
    _xid,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Fact
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs, named

CHECKS = (
    *(*_system.CHECKS, *_root.CHECKS, *_docker.CHECKS, *_container_runtimes.CHECKS),
    *(*_ports.CHECKS, *_gpus.CHECKS, *_fabric.CHECKS),
    *(*_gpu_health.CHECKS, *_xid.CHECKS, *_gpu_use.CHECKS, *_room.CHECKS, *_images.CHECKS, *_network.CHECKS),
    *_haproxy.CHECKS,
)

EXPOSED = "exposed_vulnerable_release"
UNENCRYPTED = "unencrypted_token"
"""The id of a risk that the plan refuses on any host."""
UNSEEN = "no_python"
"""The id of the finding of the role preflight on a host where no module can run."""

WAIVABLE = (EXPOSED, UNENCRYPTED, UNSEEN, *(check.id for check in CHECKS if check.waivable))
"""The valid ids in trtllm_waive and preflight_waive."""


def judge(needs: Needs, fact_of: t.Callable[[type[Fact]], Fact | None]) -> list[dict[str, t.Any]]:
    """The findings for a deployment with these needs on a host; `fact_of` returns a fact, or None if it is unknown."""
    found = []
    for check in CHECKS:
        need = getattr(needs, check.need)
        if not need:
            continue
        facts = [fact_of(kind) for kind in check.facts]
        if None not in facts:
            found += [
                {
                    "id": check.id,
                    "severity": finding.severity,
                    "message": finding.message,
                    "remedy": named(finding.remedy, needs.planned),
                    "waivable": check.waivable,
                }
                for finding in check.find(need, *facts)
            ]
    return found
