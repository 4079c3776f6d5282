# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that use the GPUs."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpu_use import (
    find_users,
    gpu_in_use,
    gpu_memory_held,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Smi, smi_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import Process
from ansible_collections.tritonops.trtllm.tests.unit.plugins.module_utils.host.test__listeners import make_proc
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

CONTAINER = "c" * 64
UNITS = ["trtllm@a.service", "trtllm@b.service"]


def used_by(*processes: Process) -> Smi:
    return smi_of(answers(changes={index: {"processes": processes, "used": "31510 MiB"} for index in (0, 1)}))


def test_who_uses_a_gpu_is_named_once(tmp_path: Path) -> None:
    users = find_users(used_by(Process(4242, "/usr/bin/python3")), OwnService(), make_proc(tmp_path / "proc", {}))
    severity, message, remedy = only(gpu_in_use(Gpus(), users))
    assert severity == "error"
    assert message == "GPUs 0-1 are used by pid 4242: /usr/bin/python3 (63000 MiB)"
    assert "kill 4242" in remedy


@pytest.mark.parametrize(
    ("cgroup", "ours"),
    [
        ("/system.slice/system-trtllm.slice/trtllm@b.service", True),
        ("/system.slice/system-trtllm.slice/trtllm@c.service", False),
        (f"/system.slice/docker-{CONTAINER}.scope", True),
        ("/system.slice/docker-" + "d" * 64 + ".scope", False),
        ("/user.slice", False),
    ],
)
def test_our_own_service_may_use_gpus(tmp_path: Path, cgroup: str, ours: bool) -> None:
    processes: dict[int, dict[str, t.Any]] = {4242: {"sockets": [], "command": "tritonserver", "cgroups": (cgroup,)}}
    own = OwnService(UNITS, [Container("e" * 64, frozenset()), Container(CONTAINER, frozenset())])
    users = find_users(used_by(Process(4242, "tritonserver")), own, make_proc(tmp_path / "proc", processes))
    assert (list(gpu_in_use(Gpus(), users)) == []) is ours


def test_a_desktop_only_warns(tmp_path: Path) -> None:
    users = find_users(used_by(Process(900, "/usr/lib/xorg/Xorg", "4 MiB", "G")), OwnService(), str(tmp_path))
    assert only(gpu_in_use(Gpus(), users))[0] == "warning"


def test_used_memory_without_a_process_is_found() -> None:
    severity, message, remedy = only(gpu_memory_held(Gpus(), smi_of(answers(changes={3: {"used": "20000 MiB"}}))))
    assert (severity, message) == (
        "warning",
        "memory is in use, but no process is visible that uses it: 20000 MiB on GPU 3",
    )
    assert "fuser" in remedy
    assert list(gpu_memory_held(Gpus(), smi_of(answers(used="600 MiB")))) == []
