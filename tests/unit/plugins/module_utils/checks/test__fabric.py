# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVSwitch machines and their fabric manager."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _fabric
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._fabric import Fabric, FabricManager, read_manager
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Smi, smi_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import A100, H100, Model
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers

DRIVER = "580.95.05"
RUNNING = FabricManager("loaded", "active", DRIVER)


def said(
    kind: Model, manager: FabricManager | None, switches: int = 6, **described: t.Any
) -> list[tuple[str, str, str]]:
    """Id, message and remedy of each finding."""
    smi = smi_of(answers(kind, **described))
    known = {Smi: smi, Fabric: Fabric(switches, manager)}
    findings = [
        (check.id, finding)
        for check in _fabric.CHECKS
        for finding in check.find(Gpus(), *(known[fact] for fact in check.facts))
    ]
    assert {finding.severity for _id, finding in findings} <= {"error"}
    return [(name, finding.message, finding.remedy) for name, finding in findings]


def test_a_running_manager_with_the_drivers_version_is_fine() -> None:
    assert said(A100, RUNNING) == said(H100, RUNNING) == []
    assert said(A100, None, switches=0) == []


@pytest.mark.parametrize(
    ("manager", "state", "remedy"),
    [
        (FabricManager("loaded", "failed", DRIVER), "is failed", "see journalctl -u nvidia-fabricmanager.service"),
        (
            FabricManager("loaded", "inactive", DRIVER),
            "is inactive",
            "systemctl enable --now nvidia-fabricmanager.service",
        ),
        (
            FabricManager("not-found", "inactive", None),
            "is not installed",
            "install nvidia-fabricmanager of version 580.95.05",
        ),
        (FabricManager(None, None, None), "is in an unknown state", "systemctl enable --now"),
    ],
)
def test_a_manager_that_does_not_run(manager: FabricManager, state: str, remedy: str) -> None:
    ((name, message, advice),) = said(A100, manager)
    assert name == "fabric_manager" and remedy in advice
    assert f"the host has 6 NVSwitches, and nvidia-fabricmanager.service {state}" in message


def test_a_manager_of_another_version() -> None:
    ((name, message, advice),) = said(A100, FabricManager("loaded", "active", "590.48.01"))
    assert name == "fabric_manager_version" and "always update both together" in advice
    assert "the fabric manager is 590.48.01, but the driver is 580.95.05" in message
    names = [entry[0] for entry in said(A100, FabricManager("loaded", "failed", "590.48.01"))]
    assert names == ["fabric_manager", "fabric_manager_version"]


def test_gpus_that_did_not_join_the_fabric() -> None:
    ((name, message, _advice),) = said(H100, RUNNING, fabric="In Progress")
    assert name == "fabric_state"
    assert "GPUs 0-7 did not join the NVLink fabric (state: In Progress)" in message
    # If the manager runs elsewhere, the GPUs still report it.
    assert [entry[0] for entry in said(H100, None, switches=0, fabric="In Progress")] == ["fabric_state"]


def test_gpus_that_the_fabric_refused() -> None:
    gpus = [{**gpu, "fabric_status": "Insufficient Resources"} for gpu in answers(H100)["gpus"]]
    found = only(_fabric.fabric_state(Gpus(), smi_of({**answers(H100), "gpus": gpus})))
    assert found[1] == "the NVLink fabric refused GPUs 0-7: Insufficient Resources"


def test_output_of_systemd_and_the_manager_is_read() -> None:
    host = live_host(
        {
            "systemctl": "LoadState=loaded\nActiveState=failed\n",
            "nv-fabricmanager": "\tFabric FabricManager version is : 535.161.08\nBuild Info - Branch: r535\n",
        }
    )
    assert read_manager(host) == FabricManager("loaded", "failed", "535.161.08")
    assert read_manager(live_host({})) == FabricManager(None, None, None)
