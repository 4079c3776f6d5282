# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""NVSwitch machines: their GPUs cannot work before the fabric manager has set up the switches."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._limited import answer_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding, error, on_gpus

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

UNIT = "nvidia-fabricmanager.service"
READY = "Completed"


class Manager(t.NamedTuple):
    """What systemd says of the fabric manager, and which version it is; None for what cannot be told."""

    load: str | None
    active: str | None
    version: str | None


def look_for_manager(module: AnsibleModule, timeout: int) -> Manager:
    states = answer_of(module, timeout, "systemctl", "show", "--property=LoadState,ActiveState", UNIT) or ""
    known = dict(line.split("=", 1) for line in states.splitlines() if "=" in line)
    said = answer_of(module, timeout, "nv-fabricmanager", "--version") or ""
    version = re.search(r"version is\s*:\s*([\d.]+)", said)
    return Manager(known.get("LoadState"), known.get("ActiveState"), version.group(1) if version else None)


def check_fabric(
    gpus: t.Sequence[t.Mapping[str, t.Any]], switches: int, driver: str | None, manager: Manager | None
) -> list[Finding]:
    """`switches`: how many NVSwitches are on the PCI bus; without any there is no `manager`."""
    findings = _manager(switches, driver, manager) if manager else []
    # GPUs since Hopper tell by themselves; on some machines the manager runs elsewhere.
    waiting = [gpu for gpu in gpus if gpu["fabric_state"] not in (None, READY)]
    if waiting:
        findings.append(
            error(
                "fabric_state",
                f"{on_gpus([gpu['index'] for gpu in waiting])} did not join the NVLink fabric"
                f" (state: {waiting[0]['fabric_state']}): CUDA does not start on them",
                f"systemctl restart {UNIT} and look into journalctl -u {UNIT}",
            )
        )
    refused = [gpu for gpu in gpus if gpu["fabric_state"] == READY and gpu["fabric_status"] not in (None, "Success")]
    if refused:
        findings.append(
            error(
                "fabric_state",
                f"the NVLink fabric refused {on_gpus([gpu['index'] for gpu in refused])}:"
                f" {refused[0]['fabric_status']}",
                f"look into journalctl -u {UNIT}; reset all GPUs, or reboot",
            )
        )
    return findings


def _manager(switches: int, driver: str | None, manager: Manager) -> list[Finding]:
    package = f"nvidia-fabricmanager of version {driver}"
    findings = []
    if manager.active != "active":
        missing = manager.load == "not-found"
        findings.append(
            error(
                "fabric_manager",
                f"the host has {switches} NVSwitches, and {UNIT} is"
                f" {'not installed' if missing else manager.active or 'unknown'}: CUDA does not start without it",
                f"install {package}, then systemctl enable --now {UNIT}"
                if missing
                else f"systemctl enable --now {UNIT}; where it fails, journalctl -u {UNIT} says why",
            )
        )
    if manager.version and driver and manager.version != driver:
        findings.append(
            error(
                "fabric_manager_version",
                f"the fabric manager is {manager.version}, the driver {driver}: it starts with its own version only",
                f"install {package}, and keep both from being updated apart",
            )
        )
    return findings
