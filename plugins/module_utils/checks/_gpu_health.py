# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The health of the GPUs, independent of the model."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Finding,
    error,
    on_gpus,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import Gpu, Smi

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus

RESET = "stop all processes on the GPU and reset it with nvidia-smi --gpu-reset -i INDEX, or reboot"
REPLACE = "take the host out of service and replace the GPU"
SLOW_LINK_REMEDY = "reboot; if that does not help, have card, riser and slot checked"


def _where(gpus: t.Iterable[Gpu]) -> str:
    return on_gpus([gpu["index"] for gpu in gpus])


def _with(smi: Smi, fact: str) -> list[Gpu]:
    return [gpu for gpu in smi.gpus if gpu[fact]]


def mig_mode(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    split = [gpu for gpu in smi.gpus if gpu["mig_mode"] or gpu["mig_mode_pending"]]
    if split:
        yield error(
            f"MIG is enabled, or will be after a reset, on {_where(split)}: a model needs whole GPUs",
            "stop all processes on them and disable MIG with nvidia-smi -mig 0",
        )


def persistence_mode(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    unloads = [gpu for gpu in smi.gpus if gpu["persistence_mode"] is False]
    if unloads:
        yield warning(
            f"persistence mode is disabled on {_where(unloads)}: the driver is unloaded while the GPUs are idle, which"
            " delays each start",
            "systemctl enable --now nvidia-persistenced",
        )


def ecc_mode(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    unprotected = [gpu for gpu in smi.gpus if gpu["ecc_mode"] is False]
    if unprotected:
        yield warning(
            f"ECC is disabled on {_where(unprotected)}: memory errors can change the output without notice",
            "enable it with nvidia-smi -e 1 and reboot",
        )


def ecc_uncorrected(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    fresh = _with(smi, "ecc_uncorrected_volatile")
    if fresh:
        counts = ", ".join(f"{gpu['ecc_uncorrected_volatile']} on GPU {gpu['index']}" for gpu in fresh)
        message = f"uncorrected memory errors since the driver was loaded: {counts}"
        yield error(message, f"{RESET}; if they occur again, {REPLACE}")


def ecc_history(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    old = [gpu for gpu in _with(smi, "ecc_uncorrected_aggregate") if not gpu["ecc_uncorrected_volatile"]]
    if old:
        counts = ", ".join(f"{gpu['ecc_uncorrected_aggregate']} on GPU {gpu['index']}" for gpu in old)
        message = f"uncorrected memory errors before the driver was loaded: {counts}"
        yield warning(message, "none, as long as the number does not increase")


def ecc_sram_threshold(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    worn = _with(smi, "ecc_sram_threshold_exceeded")
    if worn:
        yield error(f"the SRAM errors exceed NVIDIA's threshold on {_where(worn)}", REPLACE)


def row_remapping_failed(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    failed = _with(smi, "row_remapping_failed")
    if failed:
        yield error(f"remapping a memory row failed on {_where(failed)}", REPLACE)


def row_remapping_pending(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    pending = _with(smi, "row_remapping_pending")
    if pending:
        yield warning(f"remapping of a memory row is pending on {_where(pending)}", RESET)


def page_retirement_pending(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    pages = _with(smi, "page_retirement_pending")
    if pages:
        yield warning(f"retirement of memory pages is pending on {_where(pages)}", RESET)


def gpu_recovery(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    wanted = [gpu for gpu in smi.gpus if gpu["recovery_action"] not in (None, "none")]
    if wanted:
        actions = ", ".join(f"{gpu['recovery_action']} for GPU {gpu['index']}" for gpu in wanted)
        yield error(f"the driver requests recovery: {actions}", RESET)


def pcie_width(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    narrow = [gpu for gpu in smi.gpus if _less(gpu["pcie_width"], gpu["pcie_width_max"])]
    if narrow:
        links = ", ".join(f"x{gpu['pcie_width']} of x{gpu['pcie_width_max']} on GPU {gpu['index']}" for gpu in narrow)
        message = f"the PCIe link is narrower than supported: {links}"
        yield warning(message, SLOW_LINK_REMEDY)


def pcie_generation(_need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    # Most cards slow down the link while they are idle, so only a GPU at full clocks is compared.
    busy = [gpu for gpu in smi.gpus if gpu["performance_state"] == "P0"]
    slow = [gpu for gpu in busy if _less(gpu["pcie_generation"], gpu["pcie_generation_max"])]
    if slow:
        links = ", ".join(
            f"{gpu['pcie_generation']} of {gpu['pcie_generation_max']} on GPU {gpu['index']}" for gpu in slow
        )
        message = f"the PCIe link runs at a lower generation than supported: {links}"
        yield warning(message, SLOW_LINK_REMEDY)


def _less(have: int | None, most: int | None) -> bool:
    return have is not None and most is not None and have < most


def nvlink_inactive(need: Gpus, smi: Smi) -> t.Iterator[Finding]:
    """An error only if several GPUs serve a model together."""
    # On cards without an NVLink bridge all links are down, which is normal.
    down = _with(smi, "nvlinks_inactive") if _with(smi, "nvlinks_active") else []
    if down:
        counts = ", ".join(f"{gpu['nvlinks_inactive']} of GPU {gpu['index']}" for gpu in down)
        report = error if need.count > 1 else warning
        yield report(
            f"NVLinks are down: {counts}",
            "see nvidia-smi nvlink -s and -e, then reset all GPUs or reboot; if the links remain down, have the board"
            " checked",
        )


CHECKS = tuple(
    Check(find, "gpus", (Smi,))
    for find in (
        *(mig_mode, persistence_mode, ecc_mode, ecc_uncorrected, ecc_history, ecc_sram_threshold),
        *(row_remapping_failed, row_remapping_pending, page_retirement_pending, gpu_recovery),
        *(pcie_width, pcie_generation, nvlink_inactive),
    )
)
