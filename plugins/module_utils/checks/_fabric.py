# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""NVSwitch systems, whose GPUs only work after the fabric manager has configured the switches."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    on_gpus,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import PciBus, Smi

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, Needs

UNIT = "nvidia-fabricmanager.service"
READY = "Completed"


class FabricManager(t.NamedTuple):
    """The LoadState and ActiveState of the fabric manager's unit, and its version; None if unknown."""

    load: str | None
    active: str | None
    version: str | None


@dataclass(frozen=True)
class Fabric(Fact):
    """The number of NVSwitches on the PCI bus, and their manager; None without switches."""

    switches: int
    manager: FabricManager | None

    @classmethod
    def gather(cls, host: LiveHost) -> Fabric:
        bus = host.fact(PciBus)
        switches = bus.switches if bus else 0
        return cls(switches, read_manager(host) if switches else None)

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"fabric_manager": self.manager._asdict() if self.manager else None}}


def read_manager(host: LiveHost) -> FabricManager:
    states = host.output_of("systemctl", "show", "--property=LoadState,ActiveState", UNIT) or ""
    known = dict(line.split("=", 1) for line in states.splitlines() if "=" in line)
    said = host.output_of("nv-fabricmanager", "--version") or ""
    version = re.search(r"version is\s*:\s*([\d.]+)", said)
    return FabricManager(known.get("LoadState"), known.get("ActiveState"), version.group(1) if version else None)


def _package(smi: Smi) -> str:
    return f"nvidia-fabricmanager of version {smi.driver}"


def fabric_manager(_need: Gpus, fabric: Fabric, smi: Smi) -> t.Iterator[Finding]:
    manager = fabric.manager
    if manager is None or manager.active == "active":
        return
    missing = manager.load == "not-found"
    yield error(
        f"the host has {fabric.switches} NVSwitches, and {UNIT} is"
        f" {'not installed' if missing else manager.active or 'in an unknown state'}: CUDA does not work without it",
        f"install {_package(smi)}, then systemctl enable --now {UNIT}"
        if missing
        else f"systemctl enable --now {UNIT}; if it fails, see journalctl -u {UNIT}",
    )


def fabric_manager_version(_need: Gpus, fabric: Fabric, smi: Smi) -> t.Iterator[Finding]:
    version = fabric.manager.version if fabric.manager else None
    if version and smi.driver and version != smi.driver:
        yield error(
            f"the fabric manager is {version}, but the driver is {smi.driver}: it only starts with the same version",
            f"install {_package(smi)}, and always update both together",
        )


def fabric_state(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    """Hopper and later GPUs report their state, which also works if the manager runs on another machine."""
    waiting = [gpu for gpu in smi.gpus if gpu["fabric_state"] not in (None, READY)]
    if waiting:
        yield error(
            f"{on_gpus([gpu['index'] for gpu in waiting])} did not join the NVLink fabric"
            f" (state: {waiting[0]['fabric_state']}): CUDA does not work on them",
            f"systemctl restart {UNIT}, and see journalctl -u {UNIT}",
        )
    refused = [
        gpu for gpu in smi.gpus if gpu["fabric_state"] == READY and gpu["fabric_status"] not in (None, "Success")
    ]
    if refused:
        yield error(
            f"the NVLink fabric refused {on_gpus([gpu['index'] for gpu in refused])}: {refused[0]['fabric_status']}",
            f"see journalctl -u {UNIT}; reset all GPUs, or reboot",
        )


CHECKS = (
    Check(fabric_manager, "gpus", (Fabric, Smi)),
    Check(fabric_manager_version, "gpus", (Fabric, Smi)),
    Check(fabric_state, "gpus", (Smi,)),
)
