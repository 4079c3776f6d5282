# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of nvidia-smi's documents."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._nvidia_smi import (
    NvidiaSmiError,
    compute_capability_of,
    parse_compute_capabilities,
    parse_query,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.nvidia_smi import (
    BLACKWELL,
    EIGHT_A100,
    a100,
    document,
    process,
    uuid_of,
)


def test_eight_a100() -> None:
    found = parse_query(EIGHT_A100)
    assert (found["driver_version"], found["cuda_version"], found["processes"]) == ("535.54.03", "12.2", [])
    assert [gpu["index"] for gpu in found["gpus"]] == list(range(8))
    assert found["gpus"][7] == {
        "index": 7,
        "name": "NVIDIA A100-SXM4-40GB",
        "uuid": uuid_of(7),
        "pci_bus_id": "00000000:DA:00.0",
        "memory_mib": 40960,
        "memory_used_mib": 0,
        "compute_capability": "8.0",
        "mig_mode": False,
        "mig_devices": 0,
        "persistence_mode": True,
        "ecc_mode": True,
        "ecc_uncorrected_volatile": 0,
        "ecc_uncorrected_aggregate": 1,
    }


def test_trouble_shows() -> None:
    gpu = parse_query(document(a100(0, mig="Enabled", ecc="Disabled", errors=4)))["gpus"][0]
    assert (gpu["mig_mode"], gpu["ecc_mode"]) == (True, False)
    assert (gpu["ecc_uncorrected_volatile"], gpu["ecc_uncorrected_aggregate"]) == (4, 5)


def test_what_a_gpu_does_not_have_is_null() -> None:
    gpu = parse_query(document(BLACKWELL, driver="590.44.01", cuda="13.1", form="v13"))["gpus"][0]
    assert (gpu["mig_mode"], gpu["mig_devices"], gpu["ecc_uncorrected_volatile"]) == (None, 0, None)
    assert (gpu["ecc_mode"], gpu["persistence_mode"], gpu["memory_used_mib"]) == (False, False, 65720)


def test_old_drivers_count_double_bit_errors() -> None:
    errors = "<ecc_errors><volatile><double_bit><total>2</total></double_bit></volatile></ecc_errors>"
    old = f"<gpu id='0'><product_name>Tesla V100-SXM2-16GB</product_name>{errors}</gpu>"
    (gpu,) = parse_query(document(old))["gpus"]
    assert (gpu["ecc_uncorrected_volatile"], gpu["compute_capability"], gpu["uuid"]) == (2, "7.0", None)


def test_processes_know_their_gpu() -> None:
    busy = a100(1, processes=process(4242, "/opt/tritonserver/bin/tritonserver") + process(4243, "python", "N/A"))
    assert parse_query(document(a100(0), busy))["processes"] == [
        {"gpu_index": 1, "pid": 4242, "type": "C", "name": "/opt/tritonserver/bin/tritonserver", "memory_mib": 31500},
        {"gpu_index": 1, "pid": 4243, "type": "C", "name": "python", "memory_mib": None},
    ]


def test_what_the_driver_says_goes_before_the_name() -> None:
    capabilities = parse_compute_capabilities(f"{uuid_of(0)}, 8.1\nsomething else\n{uuid_of(1)}, [N/A]\n")
    assert capabilities == {uuid_of(0): "8.1"}
    found = parse_query(document(a100(0), a100(1)), capabilities)
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == ["8.1", "8.0"]


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
    assert len(parse_query("WARNING: infoROM is corrupted at gpu 0000:0F:00.0\n" + EIGHT_A100)["gpus"]) == 8


@pytest.mark.parametrize("text", ["", "No devices were found", "<nvidia_smi_log><gpu>"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NvidiaSmiError, match="nvidia-smi -q -x"):
        parse_query(text)
