# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Processes on the GPUs that do not belong to our own services."""

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
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._ports import OwnServices
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import OwnService, is_ours
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import command_of

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus

# The driver uses up to this much memory on an idle GPU.
IDLE_MIB = 1024


class GpuUser(t.NamedTuple):
    """A process, its GPUs, its memory on them, and whether it is only a graphics process."""

    pid: int
    name: str
    gpus: t.Collection[int]
    memory_mib: int
    graphics: bool


@dataclass(frozen=True)
class GpuUsers(Fact):
    """Processes of others on the GPUs."""

    users: t.Sequence[GpuUser]

    @classmethod
    def gather(cls, host: LiveHost) -> GpuUsers | None:
        smi, own = host.fact(Smi), host.fact(OwnServices)
        return find_users(smi, own.service if own else OwnService()) if smi else None


def find_users(smi: Smi, own: OwnService, proc: str = "/proc") -> GpuUsers:
    by_pid: dict[int, list[t.Mapping[str, t.Any]]] = {}
    for process in smi.processes:
        if process["pid"] is not None:
            by_pid.setdefault(process["pid"], []).append(process)
    return GpuUsers([_user(pid, uses, proc) for pid, uses in by_pid.items() if not is_ours(pid, own, proc)])


def _user(pid: int, uses: t.Sequence[t.Mapping[str, t.Any]], proc: str) -> GpuUser:
    return GpuUser(
        pid,
        uses[0]["name"] or command_of(pid, proc) or "unknown",
        {use["gpu_index"] for use in uses},
        sum(use["memory_mib"] or 0 for use in uses),
        all(use["type"] == "G" for use in uses),
    )


def gpu_in_use(_need: Gpus, found: GpuUsers) -> t.Iterator[Finding]:
    for user in found.users:
        report = warning if user.graphics else error
        yield report(
            f"{on_gpus(user.gpus)} {'are' if len(user.gpus) > 1 else 'is'} used by pid {user.pid}: {user.name}"
            f" ({user.memory_mib} MiB)",
            f"stop it: kill {user.pid}, or stop its service" + ("" if user.graphics else " or container"),
        )


def gpu_memory_held(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    used = {process["gpu_index"] for process in smi.processes}
    held = [gpu for gpu in smi.gpus if gpu["index"] not in used and (gpu["memory_used_mib"] or 0) > IDLE_MIB]
    if held:
        amounts = ", ".join(f"{gpu['memory_used_mib']} MiB on GPU {gpu['index']}" for gpu in held)
        yield warning(
            f"memory is in use, but no process is visible that uses it: {amounts}",
            "find the process with fuser -v /dev/nvidia* and stop it; otherwise reset the GPU",
        )


CHECKS = (
    Check(gpu_in_use, "gpus", (GpuUsers,)),
    Check(gpu_memory_held, "gpus", (Smi,)),
)
