# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lowers the limits that runc is about to set to the limits that this host may set.

A container without CAP_SYS_RESOURCE cannot pass `--ulimit memlock=-1` to a nested container. With the
capability this script does nothing.
"""

from __future__ import annotations

import json
import os
import resource
import sys

CAP_SYS_RESOURCE = 24


def may_raise_limits() -> bool:
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def lowered(limit: dict) -> dict:
    ceiling = resource.getrlimit(getattr(resource, limit["type"]))[1]
    if ceiling == resource.RLIM_INFINITY:
        return limit
    return {**limit, "hard": min(limit["hard"], ceiling), "soft": min(limit["soft"], ceiling)}


def lower_limits(path: str) -> None:
    """Rewrite the limits in a bundle's config.json, or in the process file of an exec."""
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    process = config.get("process", config)
    process["rlimits"] = [lowered(limit) for limit in process.get("rlimits") or []]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file)


def argument(name: str) -> str | None:
    """The value of an option; containerd always calls runc with `--name value`."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


if not may_raise_limits():
    if bundle := argument("--bundle"):
        lower_limits(os.path.join(bundle, "config.json"))
    if process_file := argument("--process"):
        lower_limits(process_file)
