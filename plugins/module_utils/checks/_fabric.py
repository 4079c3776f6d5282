# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""NVSwitch machines: their GPUs cannot work before the fabric manager has set up the switches."""

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
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Bus, Smi

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, Needs

UNIT = "nvidia-fabricmanager.service"
READY = "Completed"


class Manager(t.NamedTuple):
    """What systemd says of the fabric manager, and which version it is; None for what cannot be told."""

    load: str | None
    active: str | None
    version: str | None


@dataclass(frozen=True)
class Fabric(Fact):
    """The NVSwitches on the PCI bus, and their manager. Without any there is none."""

    switches: int
    manager: Manager | None

    @classmethod
    def look(cls, host: LiveHost) -> Fabric:
        bus = host.known(Bus)
        switches = bus.switches if bus else 0
        return cls(switches, look_for_manager(host) if switches else None)

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        return {"gpus": {"fabric_manager": self.manager._asdict() if self.manager else None}}


def look_for_manager(host: LiveHost) -> Manager:
    states = host.answer_of("systemctl", "show", "--property=LoadState,ActiveState", UNIT) or ""
    known = dict(line.split("=", 1) for line in states.splitlines() if "=" in line)
    said = host.answer_of("nv-fabricmanager", "--version") or ""
    version = re.search(r"version is\s*:\s*([\d.]+)", said)
    return Manager(known.get("LoadState"), known.get("ActiveState"), version.group(1) if version else None)


def _package(smi: Smi) -> str:
    return f"nvidia-fabricmanager of version {smi.driver}"


def fabric_manager(_need: Gpus, fabric: Fabric, smi: Smi) -> t.Iterator[Finding]:
    manager = fabric.manager
    if manager is None or manager.active == "active":
        return
    missing = manager.load == "not-found"
    yield error(
        f"the host has {fabric.switches} NVSwitches, and {UNIT} is"
        f" {'not installed' if missing else manager.active or 'unknown'}: CUDA does not start without it",
        f"install {_package(smi)}, then systemctl enable --now {UNIT}"
        if missing
        else f"systemctl enable --now {UNIT}; where it fails, journalctl -u {UNIT} says why",
    )


def fabric_manager_version(_need: Gpus, fabric: Fabric, smi: Smi) -> t.Iterator[Finding]:
    version = fabric.manager.version if fabric.manager else None
    if version and smi.driver and version != smi.driver:
        yield error(
            f"the fabric manager is {version}, the driver {smi.driver}: it starts with its own version only",
            f"install {_package(smi)}, and keep both from being updated apart",
        )


def fabric_state(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    """GPUs since Hopper tell by themselves; on some machines the manager runs elsewhere."""
    waiting = [gpu for gpu in smi.gpus if gpu["fabric_state"] not in (None, READY)]
    if waiting:
        yield error(
            f"{on_gpus([gpu['index'] for gpu in waiting])} did not join the NVLink fabric"
            f" (state: {waiting[0]['fabric_state']}): CUDA does not start on them",
            f"systemctl restart {UNIT} and look into journalctl -u {UNIT}",
        )
    refused = [
        gpu for gpu in smi.gpus if gpu["fabric_state"] == READY and gpu["fabric_status"] not in (None, "Success")
    ]
    if refused:
        yield error(
            f"the NVLink fabric refused {on_gpus([gpu['index'] for gpu in refused])}: {refused[0]['fabric_status']}",
            f"look into journalctl -u {UNIT}; reset all GPUs, or reboot",
        )


CHECKS = (
    Check(fabric_manager, "gpus", (Fabric, Smi)),
    Check(fabric_manager_version, "gpus", (Fabric, Smi)),
    Check(fabric_state, "gpus", (Smi,)),
)
