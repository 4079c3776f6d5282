# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Asking C(nvidia-smi) about a host's GPUs, and reading what it says."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.tritonops.trtllm.plugins.module_utils._limited import CommandFailed, run_limited

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class NvidiaSmiError(Exception):
    """The output is not what nvidia-smi prints."""


# nvidia-smi says these where a GPU has no such thing.
_NOTHING = frozenset(["", "n/a", "[n/a]", "none", "requested functionality has been deprecated"])

# Compute capability by a word of the product name, for drivers whose nvidia-smi cannot tell it.
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
    """The compute capability of a product by its name, or None for one that is not in the table."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    # The generation is the last word that says something: "RTX 6000 Ada", "RTX PRO 6000 Blackwell".
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


def _enabled(element: ET.Element, path: str) -> bool | None:
    value = _text(element, path)
    return None if value is None else value == "Enabled"


def _uncorrected_errors(gpu: ET.Element, period: str) -> int | None:
    """Sum over what the driver counts; before the A100 it counted double bit errors under another name."""
    counters = gpu.find("ecc_errors/" + period)
    if counters is None:
        return None
    names = [child.tag for child in counters if "uncorrectable" in child.tag] or ["double_bit/total"]
    values = [value for value in (_number(counters, name) for name in names) if value is not None]
    return sum(values) if values else None


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
        "mig_mode": _enabled(gpu, "mig_mode/current_mig"),
        "mig_devices": len(gpu.findall("mig_devices/mig_device")),
        "persistence_mode": _enabled(gpu, "persistence_mode"),
        "ecc_mode": _enabled(gpu, "ecc_mode/current_ecc"),
        "ecc_uncorrected_volatile": _uncorrected_errors(gpu, "volatile"),
        "ecc_uncorrected_aggregate": _uncorrected_errors(gpu, "aggregate"),
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
    """Read C(--query-gpu=uuid,compute_cap --format=csv,noheader): UUID to capability."""
    rows = (line.split(",") for line in csv.splitlines())
    return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2 and re.match(r"\s*\d+\.\d+\s*$", row[1])}


def parse_query(xml: str, capabilities: t.Mapping[str, str] | None = None) -> dict[str, t.Any]:
    """Read C(nvidia-smi -q -x). Some drivers print warnings before the document."""
    start = xml.find("<nvidia_smi_log")
    if start < 0:
        raise NvidiaSmiError(f"there is no <nvidia_smi_log> in the output of nvidia-smi -q -x: {xml[:200]!r}")
    try:
        log = ET.fromstring(xml[start:])
    except ET.ParseError as exc:
        raise NvidiaSmiError(f"the output of nvidia-smi -q -x is not XML: {exc}") from exc
    gpus = log.findall("gpu")
    return {
        "driver_version": _text(log, "driver_version"),
        "cuda_version": _text(log, "cuda_version"),
        "gpus": [_gpu(index, gpu, capabilities or {}) for index, gpu in enumerate(gpus)],
        "processes": [process for index, gpu in enumerate(gpus) for process in _processes(index, gpu)],
    }


def look_for_gpus(module: AnsibleModule, executable: str, timeout: int) -> dict[str, t.Any]:
    """What nvidia-smi says; neither its absence nor its failure is an error of ours."""
    found: dict[str, t.Any] = {"driver_version": None, "cuda_version": None, "gpus": [], "processes": []}
    error = None
    path = module.get_bin_path(executable)
    if path:
        try:
            found = _query(module, path, timeout)
        except (CommandFailed, NvidiaSmiError) as exc:
            error = str(exc)
    return {"present": bool(found["gpus"]), "error": error, **found}


def _query(module: AnsibleModule, executable: str, timeout: int) -> dict[str, t.Any]:
    xml = run_limited(module, [executable, "-q", "-x"], timeout)
    try:
        csv = run_limited(module, [executable, "--query-gpu=uuid,compute_cap", "--format=csv,noheader"], timeout)
    except CommandFailed:
        # The XML has no compute capability and drivers before 510 do not know the question: then the name tells.
        csv = ""
    return parse_query(xml, parse_compute_capabilities(csv))
