# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The deployment's entry in the map with which the host's endpoint answers whether it is in rotation."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._map_file import as_text, read_file, read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime

# Every value but `in` takes the deployment out of rotation. This one says that the watchdog did.
IN, OURS = "in", "watchdog"


def entries_with(entries: t.Mapping[str, str], deployment: str, out: bool) -> dict[str, str]:
    """The entries for a deployment that the watchdog keeps out or not. Those of others are kept, such as a drain's."""
    current = entries.get(deployment, IN)
    if out and current == IN:
        return {**entries, deployment: OURS}
    if not out and current == OURS:
        return {name: value for name, value in entries.items() if name != deployment}
    return dict(entries)


def set_rotation(path: str, socket: str, deployment: str, out: bool) -> None:
    """Take the deployment out of rotation, or put it back. Does nothing on a host without an endpoint."""
    if not os.path.exists(path):
        return
    entries = read_text(read_file(path))
    wanted = entries_with(entries, deployment, out)
    # The file first, so that a restart of HAProxy in between does not lose the entry.
    if wanted != entries:
        _write(path, as_text(wanted))
    runtime = Runtime(socket)
    if runtime.is_running() and runtime.read_map(path) != wanted:
        runtime.replace_map(path, wanted)


def is_in_rotation(path: str, deployment: str) -> bool | None:
    """None on a host without an endpoint."""
    return read_text(read_file(path)).get(deployment, IN) == IN if os.path.exists(path) else None


def is_kept_out(path: str, deployment: str) -> bool:
    """Whether it was the watchdog that took the deployment out."""
    return os.path.exists(path) and read_text(read_file(path)).get(deployment) == OURS


def ready_others(socket: str, deployment: str) -> int:
    """To how many other hosts every gateway can send requests. 0 if no gateway has asked this host lately.

    A gateway says it with its health checks, and the endpoint keeps it in a table.
    """
    runtime = Runtime(socket)
    if not runtime.is_running():
        return 0
    said = runtime.read_table("others", "gpt0")
    return min((others for key, others in said.items() if key.partition(":")[0] == deployment), default=0)


def _write(path: str, text: str) -> None:
    candidate = f"{path}.watchdog"
    with open(candidate, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    before = os.stat(path)
    shutil.copymode(path, candidate)
    os.chown(candidate, before.st_uid, before.st_gid)
    os.replace(candidate, path)
