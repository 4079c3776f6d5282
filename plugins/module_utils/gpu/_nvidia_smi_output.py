# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Parsers for the output of `nvidia-smi`."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure


class NvidiaSmiError(ModuleFailure):
    """The output is not what nvidia-smi prints."""


# Values of properties that a GPU does not have.
_NOTHING = frozenset(["", "n/a", "[n/a]", "none", "requested functionality has been deprecated"])

# Compute capability by a word in the product name, for drivers whose nvidia-smi does not report it.
COMPUTE_CAPABILITY_BY_WORD: dict[str, str] = {
    word: capability
    for capability, words in (
        ("6.0", "P100"),
        ("6.1", "P4 P40"),
        ("7.0", "V100 V100S"),
        ("7.5", "T4 T4G"),
        ("8.0", "A100 A100X A800 A30 A30X"),
        ("8.6", "A2 A10 A10G A10M A16 A40 A2000 A4000 A4500 A5000 A5500 A6000 3080 3090"),
        ("8.9", "L2 L4 L20 L40 L40S L40G Ada 4080 4090"),
        ("9.0", "H20 H100 H200 H800 GH200"),
        ("10.0", "B100 B200 GB200"),
        ("10.3", "B300 GB300"),
        ("12.0", "Blackwell 5080 5090"),
    )
    for word in words.split()
}


def compute_capability_of(name: str) -> str | None:
    """The compute capability of a product; None if its name is not in the table."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    # The last known word is the generation: "RTX 6000 Ada", "RTX PRO 6000 Blackwell".
    for word in reversed(words):
        if word in COMPUTE_CAPABILITY_BY_WORD:
            return COMPUTE_CAPABILITY_BY_WORD[word]
    return None


def _text(element: ET.Element, path: str) -> str | None:
    value = (element.findtext(path) or "").strip()
    return None if value.lower() in _NOTHING else value


def _number(element: ET.Element, path: str) -> int | None:
    match = re.match(r"\d+", _text(element, path) or "")
    return int(match.group()) if match else None


def _flag(element: ET.Element, *paths: str) -> bool | None:
    """The first of these elements that has a value; some were renamed between drivers."""
    for path in paths:
        value = _text(element, path)
        if value is not None:
            return value in ("Enabled", "Yes")
    return None


def _uncorrected_errors(gpu: ET.Element, period: str) -> int | None:
    """The sum of the driver's counters; before the A100 the counter has another name."""
    counters = gpu.find("ecc_errors/" + period)
    if counters is None:
        return None
    names = [child.tag for child in counters if "uncorrectable" in child.tag] or ["double_bit/total"]
    values = [value for value in (_number(counters, name) for name in names) if value is not None]
    return sum(values) if values else None


def _recovery_action(gpu: ET.Element) -> str | None:
    """The recovery action that the driver requests; drivers before 570 only report whether a reset is required."""
    said = (gpu.findtext("gpu_recovery_action") or "").strip().lower()
    if said and said != "n/a":
        return said
    for element, action in (("reset_required", "reset"), ("drain_and_reset_recommended", "drain and reset")):
        if _flag(gpu, "gpu_reset_status/" + element):
            return action
    return None


def _memory_health(gpu: ET.Element) -> dict[str, t.Any]:
    return {
        "ecc_mode": _flag(gpu, "ecc_mode/current_ecc"),
        "ecc_uncorrected_volatile": _uncorrected_errors(gpu, "volatile"),
        "ecc_uncorrected_aggregate": _uncorrected_errors(gpu, "aggregate"),
        "ecc_sram_threshold_exceeded": _flag(gpu, "ecc_errors/aggregate/sram_threshold_exceeded"),
        "rows_remapped_uncorrected": _number(gpu, "remapped_rows/remapped_row_unc"),
        "row_remapping_pending": _flag(gpu, "remapped_rows/remapped_row_pending"),
        "row_remapping_failed": _flag(gpu, "remapped_rows/remapped_row_failure"),
        "page_retirement_pending": _flag(gpu, "retired_pages/pending_retirement", "retired_pages/pending_blacklist"),
    }


def _connections(gpu: ET.Element) -> dict[str, t.Any]:
    link = "pci/pci_gpu_link_info/"
    return {
        "pcie_generation": _number(gpu, link + "pcie_gen/current_link_gen"),
        "pcie_generation_max": _number(gpu, link + "pcie_gen/max_link_gen"),
        "pcie_width": _number(gpu, link + "link_widths/current_link_width"),
        "pcie_width_max": _number(gpu, link + "link_widths/max_link_width"),
        "fabric_state": _text(gpu, "fabric/state"),
        "fabric_status": _text(gpu, "fabric/status"),
    }


def _gpu(index: int, gpu: ET.Element, capabilities: t.Mapping[str, str]) -> dict[str, t.Any]:
    name = _text(gpu, "product_name") or "unknown"
    uuid = _text(gpu, "uuid")
    return {
        "index": index,
        "name": name,
        "uuid": uuid,
        "pci_bus_id": gpu.get("id"),
        "memory_mib": _number(gpu, "fb_memory_usage/total"),
        "memory_used_mib": _number(gpu, "fb_memory_usage/used"),
        "compute_capability": capabilities.get(uuid or "") or _text(gpu, "compute_cap") or compute_capability_of(name),
        "performance_state": _text(gpu, "performance_state"),
        "mig_mode": _flag(gpu, "mig_mode/current_mig"),
        "mig_mode_pending": _flag(gpu, "mig_mode/pending_mig"),
        "mig_devices": len(gpu.findall("mig_devices/mig_device")),
        "persistence_mode": _flag(gpu, "persistence_mode"),
        "recovery_action": _recovery_action(gpu),
        **_memory_health(gpu),
        **_connections(gpu),
    }


def _processes(index: int, gpu: ET.Element) -> list[dict[str, t.Any]]:
    return [
        {
            "gpu_index": index,
            "pid": _number(process, "pid"),
            "type": _text(process, "type"),
            "name": _text(process, "process_name"),
            "memory_mib": _number(process, "used_memory"),
        }
        for process in gpu.findall("processes/process_info")
    ]


def parse_compute_capabilities(csv: str) -> dict[str, str]:
    """Compute capability by UUID, from `--query-gpu=uuid,compute_cap --format=csv,noheader`."""
    rows = (line.split(",") for line in csv.splitlines())
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2 and re.match(r"\s*\d+\.\d+\s*$", row[1])}


def parse_links(text: str) -> dict[str, tuple[int, int]]:
    """The numbers of active and inactive links by UUID, from `nvlink -s`."""
    found: dict[str, tuple[int, int]] = {}
    uuid = None
    for line in text.splitlines():
        gpu = re.match(r"GPU \d+: .*\(UUID: (\S+)\)", line)
        link = re.match(r"\s+Link \d+: (.*)", line)
        if gpu:
            uuid = gpu.group(1)
        elif link and uuid:
            up, down = found.get(uuid, (0, 0))
            is_down = "inactive" in link.group(1)
            found[uuid] = (up + (not is_down), down + is_down)
    return found


def parse_query(
    xml: str,
    capabilities: t.Mapping[str, str] | None = None,
    links: t.Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, t.Any]:
    """Read the output of `nvidia-smi -q -x`. Some drivers print warnings before the XML."""
    start = xml.find("<nvidia_smi_log")
    if start < 0:
        raise NvidiaSmiError(f"the output of nvidia-smi -q -x has no <nvidia_smi_log>: {xml[:200]!r}")
    try:
        log = ET.fromstring(xml[start:])
    except ET.ParseError as exc:
        raise NvidiaSmiError(f"the output of nvidia-smi -q -x is not valid XML: {exc}") from exc
    elements = log.findall("gpu")
    gpus = [_gpu(index, gpu, capabilities or {}) for index, gpu in enumerate(elements)]
    for gpu in gpus:
        gpu["nvlinks_active"], gpu["nvlinks_inactive"] = (links or {}).get(gpu["uuid"], (None, None))
    return {
        "driver_version": _text(log, "driver_version"),
        "cuda_version": _text(log, "cuda_version"),
        "gpus": gpus,
        "processes": [process for index, gpu in enumerate(elements) for process in _processes(index, gpu)],
    }
