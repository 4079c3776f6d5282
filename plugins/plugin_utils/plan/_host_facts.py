# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The facts of a host: as `trtllm_host_info` returns them, as recorded earlier, or from a shape of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi_output import compute_capability_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Checker, Refusal, shown


@dataclass(frozen=True)
class Gpu:
    """`index` as in nvidia-smi, `memory` in bytes and `capability` as (major, minor), None if not known."""

    index: int
    name: str
    memory: int | None
    capability: tuple[int, ...] | None


@dataclass(frozen=True)
class HostFacts:
    """Sizes in bytes; None or empty if not known. `artifacts` are folders in the root folder, such as weights/KEY; they
    are only known if it was `inspected`.

    `prunable` are the bytes that removing what no release needs would free, by folder in the root folder.

    `root_foreign` are names in a root folder that this collection did not create, `root_outdated` names of an earlier
    layout of this collection. `serving` is the release that each deployment serves, `limits` those that were chosen for
    them, by what they were chosen for. `shape` is that of a host that does not exist yet. `link` is the speed of its
    network interface in Mbit/s, 0 if not known.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: str = ""
    processors: int = 0
    memory: int | None = None
    disk_free: int | None = None
    link: int = 0
    container_toolkit: str = ""
    artifacts: frozenset[str] = frozenset()
    prunable: Mapping[str, int] = field(default_factory=dict)
    serving: Mapping[str, str] = field(default_factory=dict)
    root_foreign: tuple[str, ...] = ()
    root_outdated: tuple[str, ...] = ()
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    inspected: bool = False
    shape: str = ""

    @property
    def gpu_memory(self) -> int | None:
        """Of the smallest GPU, because every rank gets the same share."""
        known = [gpu.memory for gpu in self.gpus if gpu.memory]
        return min(known) if known else None

    @property
    def capability(self) -> tuple[int, ...] | None:
        """Of the oldest GPU."""
        known = [gpu.capability for gpu in self.gpus if gpu.capability]
        return min(known) if known else None


def facts_of_shape(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a new host of this shape, as trtllm_host_info would return them."""
    gpus = dict(shape["gpus"])
    return {
        "shape": shape["name"],
        "gpus": [gpus] * gpus.pop("count"),
        "processors": shape["processors"],
        "memory_bytes": shape["memory_bytes"],
        "disk_free_bytes": shape["disk_bytes"],
    }


def read_host_facts(raw: Any) -> tuple[HostFacts, list[Refusal]]:
    """Recorded facts may come from anywhere: mistakes in them are reported, and missing facts are unknown."""
    checker = Checker()
    if not isinstance(raw, Mapping):
        checker.refuse("host_facts", raw, "must be a mapping, as trtllm_host_info returns it")
        return HostFacts(), checker.refusals

    def number(name: str) -> int | None:
        return None if raw.get(name) is None else checker.count(f"host_facts.{name}", raw[name], least=0)

    def versioned(name: str) -> str:
        text = "" if raw.get(name) is None else checker.text(f"host_facts.{name}", raw[name])
        # A suffix, as in 1.18.0~rc.1, is ignored.
        numbers = re.match(r"[0-9]{1,9}(\.[0-9]{1,9})*", text)
        if text and not numbers:
            checker.refuse(f"host_facts.{name}", text, "must be a version such as 580.95.05")
        return numbers.group() if numbers else ""

    def names(fact: str) -> list[str]:
        value = raw.get(fact) or []
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return value
        checker.refuse(f"host_facts.{fact}", value, "must be a list of names")
        return []

    facts = HostFacts(
        gpus=_gpus(raw.get("gpus") or [], checker),
        driver=versioned("driver_version"),
        processors=number("processors") or 0,
        memory=number("memory_bytes"),
        disk_free=number("disk_free_bytes"),
        link=number("link_mbps") or 0,
        container_toolkit=versioned("container_toolkit"),
        artifacts=frozenset(names("artifacts")),
        prunable=_prunable(raw.get("prunable")),
        root_foreign=tuple(names("root_foreign")),
        root_outdated=tuple(names("root_outdated")),
        serving=checker.texts("host_facts.deployments", raw.get("deployments") or {}),
        limits=_chosen_limits(raw.get("limits")),
        inspected=raw.get("artifacts") is not None,
        shape=checker.text("host_facts.shape", raw["shape"]) if raw.get("shape") else "",
    )
    return facts, checker.refusals


def _prunable(raw: Any) -> dict[str, int]:
    """Only advice depends on it, so that entries that make no sense are ignored."""
    entries = raw.items() if isinstance(raw, Mapping) else ()
    return {name: size for name, size in entries if isinstance(name, str) and isinstance(size, int) and size > 0}


def _chosen_limits(raw: Any) -> dict[str, Mapping[str, int]]:
    """From the records of releases. If one is damaged, limits are chosen again."""
    found: dict[str, Mapping[str, int]] = {}
    for chosen in raw.values() if isinstance(raw, Mapping) else ():
        key = chosen.get("chosen_for") if isinstance(chosen, Mapping) else None
        if isinstance(key, str):
            found[key] = {name: value for name, value in chosen.items() if _is_limit(value)}
    return found


def _is_limit(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _gpus(raw: Any, checker: Checker) -> tuple[Gpu, ...]:
    if not isinstance(raw, list):
        checker.refuse("host_facts.gpus", raw, "must be a list of GPUs, each with name and memory_mib")
        return ()
    return tuple(gpu for index, entry in enumerate(raw) if (gpu := _gpu(index, entry, checker)))


def _gpu(place: int, raw: Any, checker: Checker) -> Gpu | None:
    path = f"host_facts.gpus.{place}"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        checker.refuse(path, raw, "must be a mapping with name and, if it is known, memory_mib")
        return None
    name = checker.text(f"{path}.name", raw["name"])
    memory = raw.get("memory_mib")
    mib = None if memory is None else checker.count(f"{path}.memory_mib", memory)
    given = raw.get("compute_capability") or compute_capability_of(name) or ""
    # YAML reads 8.0 as a number.
    capability = given if isinstance(given, str) else shown(given)
    if capability and not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", capability):
        checker.refuse(f"{path}.compute_capability", capability, "must be a version such as 8.0")
        capability = ""
    index = checker.count(f"{path}.index", raw.get("index", place), least=0)
    return Gpu(index, name, mib << 20 if mib else None, version(capability) or None)
