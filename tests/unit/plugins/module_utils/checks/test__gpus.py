# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPUs of a host compared with the required ones."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import (
    GpuModels,
    PciBus,
    gpu_lost,
    nvidia_smi,
    smi_of,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._pci import gpus_of, nvidia_devices, switches_of
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import L40S, write_pci
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

ABSENT = {**answers(), "gpus": [], "driver_version": None}
FAILED = {**ABSENT, "error": "Failed to initialize NVML:\n Driver/library version mismatch"}


def kinds(found: dict[str, t.Any], on_bus: int | None = 8) -> GpuModels:
    return GpuModels(found["gpus"], found["driver_version"], on_bus)


def of_kinds(need: Gpus, found: GpuModels) -> dict[str, tuple[str, str, str]]:
    """By id, what the checks find that go by what the GPUs are."""
    checks = [check for check in _gpus.CHECKS if check.facts == (GpuModels,)]
    findings = {check.id: list(check.find(need, found)) for check in checks}
    return {name: only(entries) for name, entries in findings.items() if entries}


@pytest.fixture(name="bus")
def fixture_bus(tmp_path: Path) -> str:
    write_pci(tmp_path / "pci", 8, 6)
    return str(tmp_path / "pci")


def test_gpus_and_switches_are_found_on_the_bus(bus: str, tmp_path: Path) -> None:
    devices = nvidia_devices(bus)
    assert (len(gpus_of(devices)), len(switches_of(devices)), len(devices)) == (8, 6, 14)
    assert nvidia_devices(str(tmp_path / "no bus")) == []


def test_a_gpu_passed_to_a_virtual_machine_is_ignored(bus: str, tmp_path: Path) -> None:
    (tmp_path / "vfio-pci").mkdir()
    (Path(bus) / "0000:0f:00.0/driver").symlink_to(tmp_path / "vfio-pci")
    assert len(gpus_of(nvidia_devices(bus))) == 7


def test_all_answer(bus: str) -> None:
    assert list(gpu_lost(Gpus(), smi_of(answers()), PciBus(nvidia_devices(bus)))) == []


def test_a_gpu_that_does_not_answer_is_named(bus: str) -> None:
    severity, message, remedy = only(gpu_lost(Gpus(), smi_of(answers(missing=[7])), PciBus(nvidia_devices(bus))))
    assert severity == "error"
    assert message == "8 GPUs are on the PCI bus, but nvidia-smi shows 7: 0000:da:00.0 does not respond"
    assert "power the host off and on" in remedy


def test_a_driver_that_fails_is_quoted_on_one_line(bus: str) -> None:
    smi = smi_of(FAILED)
    severity, message, remedy = only(nvidia_smi(Gpus(), smi))
    assert severity == "error"
    assert message == "nvidia-smi fails: Failed to initialize NVML: Driver/library version mismatch"
    assert "if the driver was just updated, reboot" in remedy
    assert list(gpu_lost(Gpus(), smi, PciBus(nvidia_devices(bus)))) == [], "the driver is what is wrong"


class Host:
    """A host with some known facts."""

    def __init__(self, *facts: t.Any) -> None:
        self.facts = {type(fact): fact for fact in facts}

    def fact(self, kind: type[t.Any]) -> t.Any:
        return self.facts.get(kind)


def test_what_gpus_a_failing_driver_has_is_not_known(bus: str) -> None:
    devices = PciBus(nvidia_devices(bus))
    assert GpuModels.gather(t.cast(t.Any, Host(smi_of(FAILED), devices))) is None
    found = GpuModels.gather(t.cast(t.Any, Host(smi_of(answers(missing=[7])), devices)))
    assert found is not None and (len(found.gpus), found.on_bus) == (7, 8)
    assert GpuModels.gather(t.cast(t.Any, Host())) is None


@pytest.mark.parametrize(
    ("on_bus", "seen"), [(8, "; 8 are on the PCI bus"), (0, "; none is on the PCI bus either"), (None, "")]
)
def test_without_a_driver_gpus_are_found_on_the_bus(on_bus: int | None, seen: str) -> None:
    need = Gpus(count=8, driver="525", name="NVIDIA L40S", memory_mib=1, compute_capability="8.0")
    ((name, (severity, message, _remedy)),) = of_kinds(need, kinds(ABSENT, on_bus)).items()
    assert (name, severity, message) == ("gpu_absent", "error", f"nvidia-smi shows no GPUs{seen}")


@pytest.mark.parametrize(
    ("need", "name", "severity", "message", "remedy"),
    [
        ({"count": 8}, "gpu_count", "error", "7 GPUs respond, but 8 are needed", "use fewer in O(gpus)"),
        (
            {"name": "NVIDIA H100 80GB HBM3"},
            "gpu_model",
            "error",
            "the GPUs are NVIDIA A100-SXM4-40GB, but NVIDIA H100 80GB HBM3 is planned",
            "or correct O(gpus)",
        ),
        ({"memory_mib": 81920}, "gpu_memory", "error", "GPUs 0-6: 40960 MiB, but 81920 MiB is needed", "O(gpus)"),
        ({"compute_capability": "8.9"}, "gpu_capability", "error", "GPUs 0-6: 8.0, but 8.9 is needed", "O(gpus)"),
        (
            {"compute_capability_most": "7.5"},
            "gpu_capability",
            "error",
            "GPUs 0-6: 8.0, but at most 7.5 is supported",
            "a later TensorRT-LLM version",
        ),
        (
            {"driver": "580", "driver_listed": "590.44.01"},
            "driver_too_old",
            "error",
            "the driver is 570.124.06, but the image's CUDA needs 580 or later",
            "install driver 590.44.01 or later, or choose an earlier TensorRT-LLM version",
        ),
        (
            {"driver": "525", "driver_listed": "575.51.03"},
            "driver_older",
            "warning",
            "the driver is 570.124.06, but the image was built for 575.51.03: it depends on CUDA's minor version"
            " compatibility",
            "install driver 575.51.03 or later",
        ),
    ],
)
def test_missing_requirements_are_found(
    need: dict[str, t.Any], name: str, severity: str, message: str, remedy: str
) -> None:
    found = of_kinds(Gpus(**need), kinds(answers(driver="570.124.06", missing=[7])))
    assert list(found) == [name]
    assert found[name][0] == severity and found[name][1].endswith(message) and remedy in found[name][2]


def test_met_requirements_give_no_findings() -> None:
    need = {
        "count": 8,
        "name": "NVIDIA A100-SXM4-40GB",
        "memory_mib": 40960,
        "compute_capability": "8.0",
        "driver_listed": "570.124.06",
    }
    assert of_kinds(Gpus(driver="525", **need), kinds(answers(driver="570.124.6"))) == {}
    assert of_kinds(Gpus(driver="525", **need), kinds(answers(driver="580.65"))) == {}
    # Versions are compared as numbers: 86 is less than 124.
    assert list(of_kinds(Gpus(driver="570.124", **need), kinds(answers(driver="570.86.15")))) == ["driver_too_old"]
    assert of_kinds(Gpus(), kinds(answers())) == {}


def test_unknown_facts_of_a_gpu_are_not_checked() -> None:
    need = Gpus(memory_mib=81920, compute_capability="9.0", driver="580", driver_listed="580")
    assert of_kinds(need, GpuModels([{"index": 0, "name": "NVIDIA GPU"}], None)) == {}


def test_gpus_of_two_kinds_are_found() -> None:
    mixed = {**answers(count=1), "gpus": [*answers(count=1)["gpus"], *answers(L40S, count=1)["gpus"]]}
    ((name, (_severity, message, _remedy)),) = of_kinds(Gpus(), kinds(mixed)).items()
    assert (name, message) == ("gpu_mixed", "the GPUs are of different models: NVIDIA A100-SXM4-40GB, NVIDIA L40S")
