# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of GPUs that nvidia-smi reports."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _gpu_health
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import ranges
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import smi_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import A100, H100, L40S, Model
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import only
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers


def found(kind: Model = A100, needed: int = 8, **described: t.Any) -> dict[str, tuple[str, str, str]]:
    """The severity, message and remedy of findings, by id."""
    need, smi = Gpus(count=needed), smi_of(answers(kind, **described))
    findings = {check.id: list(check.find(need, smi)) for check in _gpu_health.CHECKS}
    return {name: only(entries) for name, entries in findings.items() if entries}


@pytest.mark.parametrize("driver", ["535.183.06", "590.48.01"])
@pytest.mark.parametrize("kind", [A100, H100, L40S])
def test_healthy_gpus_have_no_findings(kind: Model, driver: str) -> None:
    assert found(kind, count=4, driver=driver) == {}


@pytest.mark.parametrize(
    ("changes", "name", "severity", "message", "remedy"),
    [
        ({"mig": "Enabled"}, "mig_mode", "error", "MIG is enabled, or will be after a reset, on GPU 2", "-mig 0"),
        ({"mig_pending": "Enabled"}, "mig_mode", "error", "will be after a reset, on GPU 2", "nvidia-smi -mig 0"),
        ({"persistence": "Disabled"}, "persistence_mode", "warning", "disabled on GPU 2", "nvidia-persistenced"),
        ({"ecc": "Disabled"}, "ecc_mode", "warning", "ECC is disabled on GPU 2", "nvidia-smi -e 1"),
        ({"dram_volatile": "4"}, "ecc_uncorrected", "error", "driver was loaded: 4 on GPU 2", "--gpu-reset"),
        ({"sram_volatile": "1"}, "ecc_uncorrected", "error", "driver was loaded: 1 on GPU 2", "replace the GPU"),
        ({"dram_aggregate": "7"}, "ecc_history", "warning", "before the driver was loaded: 7 on GPU 2", "none, as"),
        ({"threshold": "Yes"}, "ecc_sram_threshold", "error", "threshold on GPU 2", "replace the GPU"),
        ({"remap_failure": "Yes"}, "row_remapping_failed", "error", "failed on GPU 2", "replace the GPU"),
        ({"remap_pending": "Yes"}, "row_remapping_pending", "warning", "pending on GPU 2", "--gpu-reset"),
        ({"retirement": "Yes"}, "page_retirement_pending", "warning", "pending on GPU 2", "--gpu-reset"),
        ({"recovery": "Drain P2P"}, "gpu_recovery", "error", "recovery: drain p2p for GPU 2", "--gpu-reset"),
        ({"width": "8x"}, "pcie_width", "warning", "x8 of x16 on GPU 2", "slot"),
        ({"pcie": "1"}, "pcie_generation", "warning", "1 of 4 on GPU 2", "slot"),
        ({"links_down": 3}, "nvlink_inactive", "error", "NVLinks are down: 3 of GPU 2", "nvidia-smi nvlink -s"),
    ],
)
def test_each_problem_of_a_gpu_is_found(
    changes: dict[str, str], name: str, severity: str, message: str, remedy: str
) -> None:
    (finding,) = found(driver="590.48.01", changes={2: changes}).items()
    assert finding[0] == name and finding[1][0] == severity
    assert message in finding[1][1] and remedy in finding[1][2]


def test_several_gpus_are_one_finding() -> None:
    changes = {index: {"dram_volatile": str(index)} for index in (1, 2, 5)}
    assert found(changes=changes)["ecc_uncorrected"][1].endswith("1 on GPU 1, 2 on GPU 2, 5 on GPU 5")
    assert "on GPUs 0-7: a model" in found(mig="Enabled")["mig_mode"][1]


def test_an_idle_card_may_slow_down_its_link() -> None:
    """The recorded L40S runs at generation 1 of 4, and with a lower clock."""
    assert found(L40S, count=4, width="8x").keys() == {"pcie_width"}


def test_cards_without_a_bridge_have_all_links_down() -> None:
    assert found(links_down=12) == {}
    assert found(links_down=11).keys() == {"nvlink_inactive"}


def test_a_link_that_is_down_is_only_a_warning_for_a_single_gpu() -> None:
    assert found(needed=1, changes={0: {"links_down": 1}})["nvlink_inactive"][0] == "warning"


@pytest.mark.parametrize(
    ("numbers", "text"), [([3], "3"), ([0, 1, 2, 3, 6], "0-3, 6"), ([7, 5], "5, 7"), ([], ""), ([1, 1, 2], "1-2")]
)
def test_ranges(numbers: list[int], text: str) -> None:
    assert ranges(numbers) == text
