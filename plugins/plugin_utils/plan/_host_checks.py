# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Runs the checks of preflight on recorded facts of a host, and adds remedies that only the plan knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _gpus, _room, _root
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Fact
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import VARIABLES, Needs
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import CHECKS, judge
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import UNFINISHED
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import needs_other_precision, obstacle
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import (
    Advice,
    Sized,
    fewer_gpus,
    ways_to_fit,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import (
    capability_needed,
    dotted,
    driver_needed,
    dtype_of,
    supported_capability,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import NATIVE_BYTES
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import UPSTREAM, Spec

_TO_CONVERT = "to convert the weights"
PRUNE = "ansible-playbook tritonops.trtllm.prune -e trtllm_prune=remove"
# For a check whose need no variable sets: the host itself must change.
_HOST = "trtllm_host_facts"
_VARIABLE_OF = {check.id: VARIABLES.get(check.need, _HOST) for check in CHECKS}


@dataclass(frozen=True)
class HostVerdict:
    """What prevents a plan on a host, and what is only a warning."""

    refusals: list[Refusal]
    warnings: list[str]


@dataclass(frozen=True)
class Case:
    """The inputs of advice. `sized` is None while the request itself has mistakes. `needs` are what is checked."""

    spec: Spec
    host: HostFacts
    catalogue: Catalogue
    sized: Sized | None
    needs: Needs = field(default_factory=Needs)


def check_host(needs: Needs, case: Case) -> HostVerdict:
    """What the checks of preflight find in the recorded facts."""
    case = replace(case, needs=needs)
    findings = judge(needs, recorded_facts(needs, case.host).get)
    errors = [finding for finding in findings if finding["severity"] == "error"]
    open_ones = [finding for finding in findings if finding["id"] not in case.spec.waived]
    warnings = [f"{entry['message']}; {entry['remedy']}" for entry in open_ones if entry["severity"] == "warning"]
    return HostVerdict([refusal for finding in errors for refusal in _refusals(finding, case)], warnings)


def recorded_facts(needs: Needs, host: HostFacts) -> dict[type[Fact], Fact]:
    """A host's facts for the checks. Facts that were not recorded are left out."""
    gpus = [
        {
            "index": gpu.index,
            "name": gpu.name,
            "memory_mib": gpu.memory >> 20 if gpu.memory else None,
            "compute_capability": dotted(gpu.capability or ()),
        }
        for gpu in host.gpus
    ]
    facts: list[Fact] = [
        _gpus.GpuModels(gpus, host.driver or None),
        _root.RootFolder(host.root_foreign, host.root_outdated),
    ]
    if host.memory is not None:
        facts.append(_room.Memory(host.memory))
    if host.disk_free is not None:
        facts.append(_places(needs, host, host.disk_free))
    return {type(fact): fact for fact in facts}


def _places(needs: Needs, host: HostFacts, free: int) -> _room.Places:
    """Only for paths in the root folder, because the free space of other file systems is not recorded."""
    paths = [disk.path for disk in needs.disk if disk.path.startswith(f"{needs.root}/")]
    below = {path: path[len(needs.root) + 1 :] for path in paths}
    return _room.Places(
        {
            path: _room.Place("root", needs.root, free, None if name in host.artifacts else 0)
            for path, name in below.items()
        }
    )


def _refusals(finding: Mapping[str, Any], case: Case) -> list[Refusal]:
    """A finding with the plan's own advice, as one refusal for each variable to change."""
    name, remedy = finding["id"], finding["remedy"]
    advise = _ADVICE.get(name)
    advices = advise(case, remedy) if advise else []
    return [
        Refusal(
            entry.variable,
            entry.value,
            finding["message"] + (f" ({entry.reason})" if entry.reason else ""),
            waive=name if finding["waivable"] else "",
            check=name,
            advice=entry.text,
        )
        for entry in advices or [Advice(_VARIABLE_OF[name], None, remedy)]
    ]


def _own_folder(case: Case, remedy: str) -> list[Advice]:
    return [Advice("trtllm_root", case.spec.root, remedy)]


def _larger_disk(case: Case, _remedy: str) -> list[Advice]:
    return [Advice("trtllm_root", case.spec.root, more_room(case.needs, case.host))]


def more_room(needs: Needs, host: HostFacts) -> str:
    """What to do about a disk that is too small."""
    frees = prunable_bytes([disk.path for disk in needs.disk], needs.root, host)
    prune = f"run {PRUNE}, which frees {human_bytes(frees)}, or " if frees else ""
    return f"{prune}use a folder on a larger file system"


def prunable_bytes(wanted: Iterable[str], root: str, host: HostFacts) -> int:
    """What prune would free, which keeps the wanted paths and what was written of them."""
    kept = {f"{path}{end}" for path in wanted for end in ("", UNFINISHED)}
    return sum(size for name, size in host.prunable.items() if f"{root}/{name}" not in kept)


def _a_gpu(_case: Case, _remedy: str) -> list[Advice]:
    advice = (
        "install the NVIDIA driver (nvidia-smi is missing or fails), or set trtllm_gpus_required: false if the image "
        "needs no GPU"
    )
    return [Advice("trtllm_gpus_required", True, advice)]


def _fewer_gpus(case: Case, _remedy: str) -> list[Advice]:
    return fewer_gpus(case.spec, case.host, case.sized) if case.sized else []


def _ways_to_fit(case: Case, _remedy: str) -> list[Advice]:
    return ways_to_fit(case.spec, case.host, case.sized) if case.sized else []


def _precision_or_version(case: Case, _remedy: str) -> list[Advice]:
    spec, least = case.spec, capability_needed(case.spec)
    if case.host.capability and not _supports(spec.release, case):
        return _version_for_the_gpus(case)
    if least is None or case.host.capability is None or case.host.capability >= least:
        return []
    if spec.model.quantization:
        other = "use a repository that is not quantised"
        name = "FP8" if spec.model.quantization == "fp8" else spec.model.checkpoint_format or spec.model.quantization
        return [Advice("trtllm_model", spec.model.name, other, f"its weights are {name}")]
    dtype = dtype_of(spec)
    others = "float16" if dtype == "bfloat16" else "float16 or bfloat16"
    return [Advice("trtllm_precision", spec.precision, f"use {others}", f"for {dtype}")]


def _version_for_the_gpus(case: Case) -> list[Advice]:
    """The newest version that supports all GPUs of the host."""
    release, profile = case.spec.release["release"], case.spec.profile
    supported = supported_capability(case.spec.release, profile)
    works = [
        name
        for name, entry in case.catalogue.versions(profile).items()
        if profile in entry["profiles"] and _supports(entry, case)
    ]
    none = f"use other GPUs: no version supports these with profile {profile}"
    other = f"use trtllm_release {works[-1]} or other GPUs" if works else none
    up_to = f"to {supported['most']}" if supported["most"] else "or later"
    return [Advice("trtllm_release", release, other, f"TensorRT-LLM {release} supports {supported['least']} {up_to}")]


def _supports(release: Release, case: Case) -> bool:
    supported = supported_capability(release, case.spec.profile)
    least, most = version(supported["least"]), version(supported["most"])
    known = [gpu.capability for gpu in case.host.gpus if gpu.capability]
    return all(least <= capability and (not most or capability <= most) for capability in known)


def _version_for_the_driver(case: Case, _remedy: str) -> list[Advice]:
    if version(case.host.driver)[0] >= (driver_needed(case.spec.known_image) or 0):
        return []
    works = [
        name
        for name, release in case.catalogue.versions(case.spec.profile).items()
        if case.spec.profile in release["profiles"] and _runs_with(release, case.host.driver)
    ]
    other = f", or use trtllm_release {works[-1]}" if works else ": no TensorRT-LLM version works with this one"
    return [Advice("trtllm_release", case.spec.release["release"], f"update the driver{other}")]


def _runs_with(release: Release, driver: str) -> bool:
    needed = driver_needed(release["images"][-1]) if release["images"] else None
    return needed is not None and version(driver)[0] >= needed


def _less_memory_to_convert(case: Case, _remedy: str) -> list[Advice]:
    """Suggests the native converter if it can be used."""
    spec, little = case.spec, human_bytes(NATIVE_BYTES)
    if spec.converter == UPSTREAM and not obstacle(spec):
        return [Advice("trtllm_converter", UPSTREAM, f"use native, which needs {little}", _TO_CONVERT)]
    ways = ["a smaller model", "or trtllm_engine_dir with an engine that was built elsewhere"]
    if needs_other_precision(spec):
        ways.insert(1, f"trtllm_precision float16 with the native converter, which needs {little}")
    return [Advice("trtllm_model", spec.model.name, f"use {', '.join(ways)}", _TO_CONVERT)]


_ADVICE: Mapping[str, Callable[[Case, str], list[Advice]]] = {
    find.__name__: advise
    for find, advise in (
        (_root.root_foreign, _own_folder),
        (_root.root_outdated, _own_folder),
        (_room.disk_space, _larger_disk),
        (_room.memory, _less_memory_to_convert),
        (_gpus.gpu_absent, _a_gpu),
        (_gpus.gpu_count, _fewer_gpus),
        (_gpus.gpu_memory, _ways_to_fit),
        (_gpus.gpu_capability, _precision_or_version),
        (_gpus.driver_too_old, _version_for_the_driver),
    )
}
