# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What stands against a deployment on this host, however the model is spread over its GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import MARK
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._converter import needs_other_precision, obstacle
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import HostFacts, version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._sizing import NATIVE_BYTES, PRECISIONS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import UPSTREAM, Spec
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._vulnerabilities import exposure

# The driver branch that a major version of CUDA cannot do without (CUDA compatibility, minor version compatibility).
DRIVER_OF_CUDA = {12: 525, 13: 580}
CAPABILITY_OF_DTYPE = {"bfloat16": (8, 0), "fp8": (8, 9)}


def host_refusals(spec: Spec, host: HostFacts, catalogue: Catalogue) -> list[Refusal]:
    """What stands against the image and the precision on this host, however the model is cut."""
    return [
        *_root_in_use(spec, host),
        *_capability(spec, host),
        *_driver(spec, host, catalogue),
        *exposure(spec, catalogue),
    ]


def _root_in_use(spec: Spec, host: HostFacts) -> list[Refusal]:
    """What others have in a root folder would be mixed up with ours."""
    if not host.root_foreign:
        return []
    some = ", ".join(host.root_foreign[:5])
    message = (
        f"is not empty ({some}) and has no {MARK} that says that this collection made it: an empty folder, such as "
        f"{spec.root}/trtllm, would do; if it is a root folder of an earlier version, create {spec.root}/{MARK}"
    )
    return [Refusal("trtllm_root", spec.root, message)]


def room_refusals(spec: Spec, host: HostFacts, needs: Mapping[str, int]) -> list[Refusal]:
    """`needs`: bytes of `memory` for the conversion and of `disk` below the root folder."""
    found = []
    if host.memory is not None and host.memory < needs["memory"]:
        short = f"converting takes {human_bytes(needs['memory'])} of memory, the host has {human_bytes(host.memory)}: "
        found.append(_short_of_memory(spec, short))
    if host.disk_free is not None and host.disk_free < needs["disk"]:
        message = (
            f"{human_bytes(needs['disk'])} are still to be written, {human_bytes(host.disk_free)} are free: "
            "a folder on a larger file system would do"
        )
        found.append(Refusal("trtllm_root", spec.root, message, "disk"))
    return found


def _short_of_memory(spec: Spec, figures: str) -> Refusal:
    """The native converter is the way out where it can be one."""
    little = human_bytes(NATIVE_BYTES)
    if spec.converter == UPSTREAM and not obstacle(spec):
        return Refusal("trtllm_converter", UPSTREAM, f"{figures}native, which takes {little}, would do", "host_memory")
    ways = ["a smaller model", "or trtllm_engine_dir with an engine that was built elsewhere"]
    if needs_other_precision(spec):
        ways.insert(1, f"trtllm_precision float16 by the native converter, which takes {little}")
    return Refusal("trtllm_model", spec.model.name, f"{figures}{', '.join(ways)}, would do", "host_memory")


def capability_needed(spec: Spec) -> tuple[int, ...] | None:
    """The oldest compute capability that computes it; None where any does."""
    return CAPABILITY_OF_DTYPE.get(_dtype(spec))


def _dtype(spec: Spec) -> str:
    return "fp8" if "fp8" in (spec.model.quantization, spec.precision) else PRECISIONS[spec.precision].dtype


def _capability(spec: Spec, host: HostFacts) -> list[Refusal]:
    quantised, dtype = spec.model.quantization == "fp8", _dtype(spec)
    least, have = capability_needed(spec), host.capability
    if not (least and have) or have >= least:
        return []
    name = next(gpu.name for gpu in host.gpus if gpu.capability == have)
    if quantised:
        message = f"its weights are FP8, which needs compute capability {dotted(least)}, {name} has {dotted(have)}: "
        return [Refusal("trtllm_model", spec.model.name, f"{message}a repository that is not quantised would do")]
    able = "float16" if dtype == "bfloat16" else "float16 or bfloat16"
    message = f"{dtype} needs compute capability {dotted(least)}, {name} has {dotted(have)}: {able} would do"
    return [Refusal("trtllm_precision", spec.precision, message)]


def _driver(spec: Spec, host: HostFacts, catalogue: Catalogue) -> list[Refusal]:
    needed = driver_needed(spec.known_image)
    if not (host.gpus and host.driver and needed) or version(host.driver)[0] >= needed:
        return []
    works = [
        name
        for name, release in catalogue.releases.items()
        if spec.profile in release["profiles"] and _runs_with(release, host.driver)
    ]
    advice = f"trtllm_release {works[-1]} works with it" if works else "no release works with it"
    message = f"the image's CUDA needs driver {needed} or newer, the host has {host.driver}: update it, or {advice}"
    return [Refusal("trtllm_release", spec.release["release"], message)]


def driver_needed(image: Mapping[str, Any]) -> int | None:
    """The oldest driver branch that an image's CUDA runs on."""
    return DRIVER_OF_CUDA.get(version(str(image.get("cuda") or "0"))[0])


def _runs_with(release: Release, driver: str) -> bool:
    needed = driver_needed(release["images"][-1]) if release["images"] else None
    return needed is not None and version(driver)[0] >= needed


def dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)
