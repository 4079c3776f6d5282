# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Who uses the GPUs now, and is not our own service."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    on_gpus,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Smi
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._ports import Own
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import OwnService, is_ours
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import command_of

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus

# What a driver keeps for itself on a GPU that nobody uses.
IDLE_MIB = 1024


class User(t.NamedTuple):
    """A process, the GPUs that it is on, the memory that it has there, and whether it only draws."""

    pid: int
    name: str
    gpus: t.Collection[int]
    memory_mib: int
    graphics: bool


@dataclass(frozen=True)
class Users(Fact):
    """Those beside our own service."""

    users: t.Sequence[User]

    @classmethod
    def look(cls, host: LiveHost) -> Users | None:
        smi, own = host.known(Smi), host.known(Own)
        return look_at_users(smi, own.service if own else OwnService()) if smi else None


def look_at_users(smi: Smi, own: OwnService, proc: str = "/proc") -> Users:
    by_pid: dict[int, list[t.Mapping[str, t.Any]]] = {}
    for process in smi.processes:
        if process["pid"] is not None:
            by_pid.setdefault(process["pid"], []).append(process)
    return Users([_user(pid, uses, proc) for pid, uses in by_pid.items() if not is_ours(pid, own, proc)])


def _user(pid: int, uses: t.Sequence[t.Mapping[str, t.Any]], proc: str) -> User:
    return User(
        pid,
        uses[0]["name"] or command_of(pid, proc) or "unknown",
        {use["gpu_index"] for use in uses},
        sum(use["memory_mib"] or 0 for use in uses),
        all(use["type"] == "G" for use in uses),
    )


def gpu_in_use(_need: Gpus, found: Users) -> t.Iterator[Finding]:
    for user in found.users:
        report = warning if user.graphics else error
        yield report(
            f"{on_gpus(user.gpus)} {'are' if len(user.gpus) > 1 else 'is'} used by pid {user.pid}: {user.name}"
            f" ({user.memory_mib} MiB)",
            f"end it: kill {user.pid}, or stop its service" + ("" if user.graphics else " or container"),
        )


def gpu_memory_held(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    used = {process["gpu_index"] for process in smi.processes}
    held = [gpu for gpu in smi.gpus if gpu["index"] not in used and (gpu["memory_used_mib"] or 0) > IDLE_MIB]
    if held:
        amounts = ", ".join(f"{gpu['memory_used_mib']} MiB on GPU {gpu['index']}" for gpu in held)
        yield warning(
            f"memory is in use by nobody that shows: {amounts}",
            "find it with fuser -v /dev/nvidia*, and end it; else reset the GPU",
        )


CHECKS = (
    Check(gpu_in_use, "gpus", (Users,)),
    Check(gpu_memory_held, "gpus", (Smi,)),
)
