# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parsing the output of nvidia-smi."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi_output import (
    NvidiaSmiError,
    compute_capability_of,
    parse_compute_capabilities,
    parse_links,
    parse_query,
)
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import (
    A100,
    H100,
    L40S,
    Process,
    Recording,
    uuid_of,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

OLD, NEW = "535.183.06", "590.48.01"
# The complete output for a workstation card with driver 590.
WORKSTATION = (
    "<gpu id='00000000:61:00.0'><product_name>NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition</product_name>"
    "<mig_mode><current_mig>N/A</current_mig><pending_mig>N/A</pending_mig></mig_mode>"
    "<gpu_recovery_action>None</gpu_recovery_action>"
    "<ecc_mode><current_ecc>Disabled</current_ecc></ecc_mode>"
    "<ecc_errors><volatile><sram_uncorrectable_parity>N/A</sram_uncorrectable_parity>"
    "<dram_uncorrectable>N/A</dram_uncorrectable></volatile></ecc_errors>"
    "<remapped_rows>N/A</remapped_rows><fabric><state>N/A</state><status>N/A</status></fabric></gpu>"
)


def log(*gpus: str) -> str:
    return f"<nvidia_smi_log><driver_version>590.44.01</driver_version>{''.join(gpus)}</nvidia_smi_log>"


@pytest.mark.parametrize("driver", [OLD, NEW])
def test_eight_a100(driver: str) -> None:
    found = answers(driver=driver)
    assert (found["driver_version"], found["processes"]) == (driver, [])
    assert [gpu["index"] for gpu in found["gpus"]] == list(range(8))
    assert found["gpus"][7] == {
        "index": 7,
        "name": "NVIDIA A100-SXM4-40GB",
        "uuid": uuid_of(7),
        "pci_bus_id": "00000000:DA:00.0",
        "memory_mib": 40960,
        "memory_used_mib": 0,
        "compute_capability": "8.0",
        "performance_state": "P0",
        "mig_mode": False,
        "mig_mode_pending": False,
        "mig_devices": 0,
        "persistence_mode": True,
        # Only newer drivers report that no action is needed.
        "recovery_action": "none" if driver == NEW else None,
        "ecc_mode": True,
        "ecc_uncorrected_volatile": 0,
        "ecc_uncorrected_aggregate": 0,
        "ecc_sram_threshold_exceeded": False if driver == NEW else None,
        "rows_remapped_uncorrected": 0,
        "row_remapping_pending": False,
        "row_remapping_failed": False,
        "page_retirement_pending": None,
        "pcie_generation": 4,
        "pcie_generation_max": 4,
        "pcie_width": 16,
        "pcie_width_max": 16,
        "fabric_state": None,
        "fabric_status": None,
        "nvlinks_active": 12,
        "nvlinks_inactive": 0,
    }


def test_h100_has_a_fabric_and_l40s_has_no_links() -> None:
    h100, l40s = answers(H100)["gpus"][0], answers(L40S, count=4)["gpus"][3]
    assert (h100["fabric_state"], h100["fabric_status"], h100["nvlinks_active"]) == ("Completed", "Success", 18)
    assert (l40s["fabric_state"], l40s["mig_mode"], l40s["nvlinks_active"]) == (None, None, None)
    assert (l40s["pcie_generation"], l40s["pcie_generation_max"], l40s["performance_state"]) == (1, 4, "P8")


@pytest.mark.parametrize("driver", [OLD, NEW])
def test_problems_are_read(driver: str) -> None:
    trouble = {
        "mig": "Enabled",
        "ecc": "Disabled",
        "dram_volatile": "4",
        "sram_volatile": "1",
        "dram_aggregate": "6",
        "remap_pending": "Yes",
        "remap_failure": "Yes",
        "retirement": "Yes",
        "recovery": "Reset",
        "width": "8x",
        "links_down": 3,
    }
    gpu = answers(driver=driver, changes={1: trouble})["gpus"][1]
    assert (gpu["mig_mode"], gpu["ecc_mode"]) == (True, False)
    assert (gpu["ecc_uncorrected_volatile"], gpu["ecc_uncorrected_aggregate"]) == (5, 6)
    assert gpu["row_remapping_pending"] and gpu["row_remapping_failed"] and gpu["page_retirement_pending"]
    assert (gpu["recovery_action"], gpu["pcie_width"], gpu["pcie_width_max"]) == ("reset", 8, 16)
    assert (gpu["nvlinks_active"], gpu["nvlinks_inactive"]) == (9, 3)


def test_missing_features_are_null() -> None:
    gpu = parse_query(log(WORKSTATION))["gpus"][0]
    assert (gpu["mig_mode"], gpu["mig_devices"], gpu["ecc_uncorrected_volatile"]) == (None, 0, None)
    assert (gpu["ecc_mode"], gpu["row_remapping_pending"], gpu["recovery_action"]) == (False, None, "none")
    assert (gpu["fabric_state"], gpu["nvlinks_active"], gpu["pcie_width"]) == (None, None, None)


def test_old_drivers_use_other_names_for_errors_and_retirement() -> None:
    errors = "<ecc_errors><volatile><double_bit><total>2</total></double_bit></volatile></ecc_errors>"
    pages = "<retired_pages><pending_blacklist>Yes</pending_blacklist></retired_pages>"
    old = f"<gpu id='0'><product_name>Tesla V100-SXM2-16GB</product_name>{errors}{pages}</gpu>"
    (gpu,) = parse_query(log(old))["gpus"]
    assert (gpu["ecc_uncorrected_volatile"], gpu["page_retirement_pending"]) == (2, True)
    assert (gpu["compute_capability"], gpu["uuid"]) == ("7.0", None)


def test_processes_know_their_gpu() -> None:
    busy = {"processes": (Process(4242, "/opt/tritonserver/bin/tritonserver"), Process(4243, "python", "N/A"))}
    assert answers(count=2, changes={1: busy})["processes"] == [
        {"gpu_index": 1, "pid": 4242, "type": "C", "name": "/opt/tritonserver/bin/tritonserver", "memory_mib": 31500},
        {"gpu_index": 1, "pid": 4243, "type": "C", "name": "python", "memory_mib": None},
    ]


def test_the_drivers_capability_overrides_the_models() -> None:
    capabilities = parse_compute_capabilities(f"{uuid_of(0)}, 8.1\nsomething else\n{uuid_of(1)}, [N/A]\n")
    assert capabilities == {uuid_of(0): "8.1"}
    found = parse_query(Recording(A100, count=2).query(), capabilities)
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == ["8.1", "8.0"]


def test_unexpected_output_for_links_means_no_links() -> None:
    assert (
        parse_links("GPU 0: NVIDIA T4 (UUID: GPU-1)\nUnable to retrieve NVLink information as all links are inActive\n")
        == {}
    )
    assert parse_links("\t Link 0: 25 GB/s\n") == {}


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("Tesla T4", "7.5"),
        ("Tesla V100-SXM2-32GB", "7.0"),
        ("NVIDIA A10", "8.6"),
        ("NVIDIA A100 80GB PCIe", "8.0"),
        ("NVIDIA L40S", "8.9"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA B200", "10.0"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0"),
        ("NVIDIA GeForce GTX 9800", None),
    ],
)
def test_capability_by_name(name: str, capability: str | None) -> None:
    assert compute_capability_of(name) == capability


def test_warnings_before_the_document_are_skipped() -> None:
    warned = "WARNING: infoROM is corrupted at gpu 0000:0F:00.0\n" + Recording(A100).query()
    assert len(parse_query(warned)["gpus"]) == 8


@pytest.mark.parametrize("text", ["", "No devices were found", "<nvidia_smi_log><gpu>"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NvidiaSmiError, match="nvidia-smi -q -x"):
        parse_query(text)
