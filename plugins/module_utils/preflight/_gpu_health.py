# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What is wrong with GPUs whatever they are to run. Takes what C(gpu_info) returns."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import (
    Finding,
    error,
    on_gpus,
    warning,
)

Gpu = t.Mapping[str, t.Any]
Gpus = t.Sequence[Gpu]

RESET = "stop what uses the GPU and reset it with nvidia-smi --gpu-reset -i INDEX, or reboot"
REPLACE = "take the host out of service and have the GPU replaced"


def check_health(gpus: Gpus, needed: int) -> list[Finding]:
    """`needed`: how many of the GPUs work together on a model."""
    return [
        *_modes(gpus),
        *_memory_errors(gpus),
        *_row_remapping(gpus),
        *_recovery(gpus),
        *_pcie(gpus),
        *_nvlinks(gpus, needed),
    ]


def _indexes(gpus: t.Iterable[Gpu]) -> list[int]:
    return [gpu["index"] for gpu in gpus]


def _modes(gpus: Gpus) -> t.Iterator[Finding]:
    split = [gpu for gpu in gpus if gpu["mig_mode"] or gpu["mig_mode_pending"]]
    if split:
        yield error(
            "mig_mode",
            f"MIG is on, or will be after a reset, on {on_gpus(_indexes(split))}: a model takes whole GPUs",
            "stop what uses them and turn it off with nvidia-smi -mig 0",
        )
    unloads = [gpu for gpu in gpus if gpu["persistence_mode"] is False]
    if unloads:
        yield warning(
            "persistence_mode",
            f"persistence mode is off on {on_gpus(_indexes(unloads))}: the driver unloads while nobody uses them,"
            " and each start waits for it",
            "systemctl enable --now nvidia-persistenced",
        )
    unprotected = [gpu for gpu in gpus if gpu["ecc_mode"] is False]
    if unprotected:
        yield warning(
            "ecc_mode",
            f"ECC is off on {on_gpus(_indexes(unprotected))}: errors of the memory go unnoticed into answers",
            "turn it on with nvidia-smi -e 1 and reboot",
        )


def _memory_errors(gpus: Gpus) -> t.Iterator[Finding]:
    fresh = {gpu["index"]: gpu["ecc_uncorrected_volatile"] for gpu in gpus if gpu["ecc_uncorrected_volatile"]}
    if fresh:
        counts = ", ".join(f"{count} on GPU {index}" for index, count in fresh.items())
        message = f"uncorrected memory errors since the driver was loaded: {counts}"
        yield error("ecc_uncorrected", message, f"{RESET}; if they come back, {REPLACE}")
    old = {
        gpu["index"]: gpu["ecc_uncorrected_aggregate"]
        for gpu in gpus
        if gpu["ecc_uncorrected_aggregate"] and not gpu["ecc_uncorrected_volatile"]
    }
    if old:
        counts = ", ".join(f"{count} on GPU {index}" for index, count in old.items())
        message = f"uncorrected memory errors in earlier days: {counts}"
        yield warning("ecc_history", message, "none while they stay as many; watch them")
    worn = [gpu for gpu in gpus if gpu["ecc_sram_threshold_exceeded"]]
    if worn:
        message = f"more uncorrected SRAM errors than NVIDIA lets a GPU have, on {on_gpus(_indexes(worn))}"
        yield error("ecc_sram_threshold", message, REPLACE)


def _row_remapping(gpus: Gpus) -> t.Iterator[Finding]:
    failed = [gpu for gpu in gpus if gpu["row_remapping_failed"]]
    if failed:
        message = f"a row of the memory could not be replaced by a spare one on {on_gpus(_indexes(failed))}"
        yield error("row_remapping_failed", message, REPLACE)
    pending = [gpu for gpu in gpus if gpu["row_remapping_pending"]]
    if pending:
        message = f"a row of the memory is still to be replaced by a spare one on {on_gpus(_indexes(pending))}"
        yield warning("row_remapping_pending", message, RESET)
    pages = [gpu for gpu in gpus if gpu["page_retirement_pending"]]
    if pages:
        message = f"pages of the memory are still to be retired on {on_gpus(_indexes(pages))}"
        yield warning("page_retirement_pending", message, RESET)


def _recovery(gpus: Gpus) -> t.Iterator[Finding]:
    wanted = {gpu["index"]: gpu["recovery_action"] for gpu in gpus if gpu["recovery_action"] not in (None, "none")}
    if wanted:
        actions = ", ".join(f"{action} for GPU {index}" for index, action in wanted.items())
        message = f"the driver asks for recovery: {actions}"
        yield error("gpu_recovery", message, f"do that: {RESET}")


def _pcie(gpus: Gpus) -> t.Iterator[Finding]:
    narrow = {
        gpu["index"]: f"x{gpu['pcie_width']} of x{gpu['pcie_width_max']} on GPU {gpu['index']}"
        for gpu in gpus
        if _less(gpu["pcie_width"], gpu["pcie_width_max"])
    }
    if narrow:
        message = f"the PCIe link is narrower than it can be: {', '.join(narrow.values())}"
        yield warning("pcie_width", message, "reboot; if it stays so, have card, riser and slot looked at")
    # Most cards slow the link down while they have nothing to do; only one at full clocks tells.
    slow = {
        gpu["index"]: f"{gpu['pcie_generation']} of {gpu['pcie_generation_max']} on GPU {gpu['index']}"
        for gpu in gpus
        if gpu["performance_state"] == "P0" and _less(gpu["pcie_generation"], gpu["pcie_generation_max"])
    }
    if slow:
        message = f"the PCIe link runs at a lower generation than it can: {', '.join(slow.values())}"
        yield warning("pcie_generation", message, "reboot; if it stays so, have card, riser and slot looked at")


def _less(have: int | None, most: int | None) -> bool:
    return have is not None and most is not None and have < most


def _nvlinks(gpus: Gpus, needed: int) -> t.Iterator[Finding]:
    # Cards whose bridge was not bought have all links down, and are as they should be.
    if not any(gpu["nvlinks_active"] for gpu in gpus):
        return
    down = {gpu["index"]: gpu["nvlinks_inactive"] for gpu in gpus if gpu["nvlinks_inactive"]}
    if down:
        counts = ", ".join(f"{count} of GPU {index}" for index, count in down.items())
        report = error if needed > 1 else warning
        yield report(
            "nvlink_inactive",
            f"NVLinks are down: {counts}",
            "look into nvidia-smi nvlink -s and -e, then reset all GPUs or reboot; if it stays so, have the board"
            " looked at",
        )
