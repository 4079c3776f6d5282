# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A host's memory, and the artifacts and deployments in its root folder."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import is_complete
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text

KINDS = ("image", "archive", "backend", "weights", "checkpoint", "engine")
DEPLOYMENTS = "deployments"
_DEPLOYMENT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
RELEASES, CURRENT, PREVIOUS, CACHE = "releases", "current", "previous", "cache"
"""Names in the folder of a deployment."""
ROLLING = "rolling"
"""The file in it while a roll has the deployment out of rotation. If the run is killed, the next one goes on."""
# The suffix of an unfinished folder.
UNFINISHED = ".partial"
RELEASE_JSON = "release.json"
SYSTEM_BYTES = 2 << 30


def memory_total(proc: str = "/proc") -> int:
    match = re.search(r"^MemTotal:\s+(\d+) kB", read_text(os.path.join(proc, "meminfo")), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def memory_for_containers(total: int) -> int:
    """Bytes of a host's memory that containers may use: 5 %, and at least SYSTEM_BYTES, stay for the host itself."""
    return max(0, total - max(SYSTEM_BYTES, total // 20))


def artifacts(root: str) -> list[str]:
    """Complete artifacts, clones and releases, as paths relative to the root folder."""
    finished: dict[str, t.Callable[[str], bool]] = dict.fromkeys(KINDS, is_complete)
    finished["backend"] = lambda folder: is_complete(folder) or os.path.exists(os.path.join(folder, ".git"))
    finished.update({f"{DEPLOYMENTS}/{name}/{RELEASES}": is_release for name in deployments(root)})
    return sorted(
        f"{kind}/{name}"
        for kind, is_finished in finished.items()
        for name in _folders(os.path.join(root, kind))
        if not name.endswith(UNFINISHED) and is_finished(os.path.join(root, kind, name))
    )


def is_release(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, RELEASE_JSON))


def is_deployment_name(name: str) -> bool:
    """Whether the name can be part of the names of a systemd unit, a container, a network and a folder."""
    return bool(_DEPLOYMENT_NAME.fullmatch(name))


def unit_of(deployment: str) -> str:
    """The name that the role release_service gives it."""
    return f"trtllm@{deployment}.service"


def deployments(root: str) -> list[str]:
    return sorted(_folders(os.path.join(root, DEPLOYMENTS)))


def current_releases(root: str) -> dict[str, str]:
    """The id of the current release by deployment; empty if there is none."""
    targets = {name: os.path.realpath(os.path.join(root, DEPLOYMENTS, name, CURRENT)) for name in deployments(root)}
    return {name: os.path.basename(target) if is_release(target) else "" for name, target in targets.items()}


def chosen_limits(root: str) -> dict[str, t.Any]:
    """The limits of the current release by deployment, as in its record; left out if there are none."""
    found = {}
    for name, release in current_releases(root).items():
        record = os.path.join(root, DEPLOYMENTS, name, RELEASES, release, RELEASE_JSON)
        try:
            limits = json.loads(read_text(record))["limits"] if release else None
        except (ValueError, KeyError, TypeError, RecursionError):
            limits = None
        if limits:
            found[name] = limits
    return found


def _folders(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        # Missing, or not readable for this user.
        return []
