# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a look at a host finds: which check, how bad, what was seen, and what to do about it."""

from __future__ import annotations

import typing as t

Finding = t.Dict[str, str]

FINDINGS = (
    # the system
    *("architecture", "os_untested", "os_unsupported", "systemd", "no_python", "port_taken", "disk_space", "memory"),
    *("shm", "ulimits", "clock", "selinux_containers", "selinux_label", "firewall"),
    # what is fetched or served
    *("hub_token_missing", "hub_token_refused", "hub_not_found", "hub_unreachable", "registry_unreachable"),
    *("registry_certificate", "unreachable", "archive_missing", "archive_unreadable", "archive_image"),
    *("archive_unchecked", "engine_image"),
    # GPUs and their driver
    *("nvidia_smi", "gpu_absent", "gpu_lost", "gpu_count", "gpu_model", "gpu_mixed", "gpu_memory", "gpu_capability"),
    *("driver_too_old", "driver_older", "fabric_manager", "fabric_manager_version", "fabric_state", "mig_mode"),
    *("persistence_mode", "ecc_mode", "ecc_uncorrected", "ecc_history", "ecc_sram_threshold", "row_remapping_failed"),
    *("row_remapping_pending", "page_retirement_pending", "gpu_recovery", "pcie_width", "pcie_generation"),
    *("nvlink_inactive", "xid", "xid_notable", "gpu_in_use", "gpu_memory_held"),
)
"""Every id that a finding can have."""


def error(name: str, message: str, remedy: str) -> Finding:
    """Something that will stop the deployment."""
    return {"id": name, "severity": "error", "message": message, "remedy": remedy}


def warning(name: str, message: str, remedy: str) -> Finding:
    """Something that may stop or spoil it."""
    return {"id": name, "severity": "warning", "message": message, "remedy": remedy}


def ranges(numbers: t.Iterable[int]) -> str:
    """C(0-3, 6) for 0, 1, 2, 3 and 6."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def on_gpus(indexes: t.Collection[int]) -> str:
    """C(GPU 3) or C(GPUs 0-7)."""
    return f"GPU{'s' if len(set(indexes)) > 1 else ''} {ranges(indexes)}"
