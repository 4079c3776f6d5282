# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs that are there against those that are needed, and who else uses them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._pci import gpus_of, nvidia_devices, switches_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._gpu_need import (
    check_need,
    check_presence,
    check_use,
)
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import L40S, Process, write_pci
from ansible_collections.tritonops.trtllm.tests.unit.plugins.module_utils.host.test__listeners import make_proc
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

NOTHING = {"count": 0, **dict.fromkeys(["name", "memory_mib", "compute_capability", "driver", "driver_listed"])}
FAILED = {"error": "Failed to initialize NVML:\n Driver/library version mismatch", "gpus": [], "driver_version": None}
ABSENT = {**FAILED, "error": None}
CONTAINER = "c" * 64


def only(findings: t.Sequence[Finding]) -> tuple[str, str, str]:
    (finding,) = findings
    return f"{finding['severity']} {finding['id']}", finding["message"], finding["remedy"]


@pytest.fixture(name="bus")
def fixture_bus(tmp_path: Path) -> str:
    write_pci(tmp_path / "pci", 8, 6)
    return str(tmp_path / "pci")


def test_the_bus_has_gpus_switches_and_what_is_not_nvidias(bus: str, tmp_path: Path) -> None:
    devices = nvidia_devices(bus)
    assert (len(gpus_of(devices)), len(switches_of(devices)), len(devices)) == (8, 6, 14)
    assert nvidia_devices(str(tmp_path / "no bus")) == []


def test_a_gpu_that_is_handed_to_a_virtual_machine_is_not_ours(bus: str, tmp_path: Path) -> None:
    (tmp_path / "vfio-pci").mkdir()
    (Path(bus) / "0000:0f:00.0/driver").symlink_to(tmp_path / "vfio-pci")
    assert len(gpus_of(nvidia_devices(bus))) == 7


def test_all_answer(bus: str) -> None:
    assert check_presence(answers(), gpus_of(nvidia_devices(bus))) == []


def test_a_gpu_that_does_not_answer_is_named(bus: str) -> None:
    what, message, remedy = only(check_presence(answers(missing=[7]), gpus_of(nvidia_devices(bus))))
    assert what == "error gpu_lost"
    assert message == "8 GPUs are on the PCI bus, nvidia-smi shows 7: 0000:da:00.0 does not answer"
    assert "power the host off and on" in remedy


def test_a_driver_that_fails_is_quoted_on_one_line() -> None:
    what, message, remedy = only(check_presence(FAILED, []))
    assert what == "error nvidia_smi"
    assert message == "nvidia-smi fails: Failed to initialize NVML: Driver/library version mismatch"
    assert "reboot after an update of the driver" in remedy


def test_without_a_driver_the_bus_tells(bus: str) -> None:
    what, message, _remedy = only(check_presence(ABSENT, gpus_of(nvidia_devices(bus))))
    assert (what, message) == ("error gpu_absent", "nvidia-smi shows no GPU; 8 are on the PCI bus")
    assert only(check_presence(ABSENT, []))[1].endswith("none is on the PCI bus either")
    assert check_need(ABSENT, {**NOTHING, "count": 8, "driver": "525"}, "gpus") == []


@pytest.mark.parametrize(
    ("need", "what", "message", "remedy"),
    [
        ({"count": 8}, "error gpu_count", "7 GPUs answer, 8 are needed", "need fewer in my_gpus"),
        (
            {"name": "NVIDIA H100 80GB HBM3"},
            "error gpu_model",
            "the GPUs are NVIDIA A100-SXM4-40GB, planned for is NVIDIA H100 80GB HBM3",
            "or correct my_gpus",
        ),
        ({"memory_mib": 81920}, "error gpu_memory", "GPUs 0-6: 40960 MiB, 81920 MiB is needed", "my_gpus"),
        ({"compute_capability": "8.9"}, "error gpu_capability", "GPUs 0-6: 8.0, 8.9 is needed", "my_gpus"),
        (
            {"driver": "580", "driver_listed": "590.44.01"},
            "error driver_too_old",
            "the driver is 570.124.06, the image's CUDA needs 580 or newer",
            "install driver 590.44.01 or newer, or choose an earlier release",
        ),
        (
            {"driver": "525", "driver_listed": "575.51.03"},
            "warning driver_older",
            "the driver is 570.124.06, the image is made for 575.51.03: CUDA's minor version compatibility has to do",
            "install driver 575.51.03 or newer",
        ),
    ],
)
def test_what_is_needed_and_not_there(need: dict[str, t.Any], what: str, message: str, remedy: str) -> None:
    found = answers(driver="570.124.06", missing=[7])
    said = only(check_need(found, {**NOTHING, **need}, "my_gpus"))
    assert said[0] == what and said[1].endswith(message) and remedy in said[2]


def test_what_is_needed_and_there() -> None:
    need = {
        "count": 8,
        "name": "NVIDIA A100-SXM4-40GB",
        "memory_mib": 40960,
        "compute_capability": "8.0",
        "driver": "525",
        "driver_listed": "570.124.06",
    }
    assert check_need(answers(driver="570.124.6"), need, "gpus") == []
    assert check_need(answers(driver="580.65"), need, "gpus") == []
    # 86 is less than 124, whatever their digits are.
    assert (
        only(check_need(answers(driver="570.86.15"), {**need, "driver": "570.124"}, "gpus"))[0]
        == "error driver_too_old"
    )
    assert check_need(answers(), NOTHING, "gpus") == []


def test_gpus_of_two_kinds() -> None:
    mixed = {**answers(count=1), "gpus": [*answers(count=1)["gpus"], *answers(L40S, count=1)["gpus"]]}
    what, message, _remedy = only(check_need(mixed, NOTHING, "gpus"))
    assert (what, message) == (
        "error gpu_mixed",
        "the GPUs are of different kinds: NVIDIA A100-SXM4-40GB, NVIDIA L40S",
    )


# --- who uses them


def used_by(*processes: Process, **gpu: t.Any) -> dict[str, t.Any]:
    return answers(changes={index: {"processes": processes, "used": "31510 MiB", **gpu} for index in (0, 1)})


def test_who_uses_a_gpu_is_named_once(tmp_path: Path) -> None:
    proc = make_proc(tmp_path / "proc", {})
    what, message, remedy = only(check_use(used_by(Process(4242, "/usr/bin/python3")), OwnService(), proc))
    assert what == "error gpu_in_use"
    assert message == "GPUs 0-1 are used by pid 4242: /usr/bin/python3 (63000 MiB)"
    assert "kill 4242" in remedy


@pytest.mark.parametrize(
    ("cgroup", "ours"),
    [
        ("/system.slice/trtllm.service", True),
        (f"/system.slice/docker-{CONTAINER}.scope", True),
        ("/system.slice/docker-" + "d" * 64 + ".scope", False),
        ("/user.slice", False),
    ],
)
def test_our_own_service_may(tmp_path: Path, cgroup: str, ours: bool) -> None:
    proc = make_proc(tmp_path / "proc", {4242: {"sockets": [], "command": "tritonserver", "cgroups": (cgroup,)}})
    own = OwnService("trtllm.service", Container(CONTAINER, frozenset()))
    assert (check_use(used_by(Process(4242, "tritonserver")), own, proc) == []) is ours


def test_a_desktop_only_warns(tmp_path: Path) -> None:
    found = used_by(Process(900, "/usr/lib/xorg/Xorg", "4 MiB", "G"))
    assert only(check_use(found, OwnService(), str(tmp_path)))[0] == "warning gpu_in_use"


def test_memory_that_nobody_seems_to_have(tmp_path: Path) -> None:
    what, message, remedy = only(check_use(answers(changes={3: {"used": "20000 MiB"}}), OwnService(), str(tmp_path)))
    assert (what, message) == ("warning gpu_memory_held", "memory is in use by nobody that shows: 20000 MiB on GPU 3")
    assert "fuser" in remedy
    assert check_use(answers(used="600 MiB"), OwnService(), str(tmp_path)) == []
