# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What a plan takes for granted of a host and of the network, for preflight to see whether it is so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils._gpu_fit import Sized, load_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_checks import (
    capability_needed,
    dotted,
    driver_needed,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import Spec

MIB = 1 << 20
# What a reference without a host means.
DOCKER_HUB = "registry-1.docker.io"


def gpu_needs(spec: Spec, host: HostFacts, sized: Sized) -> dict[str, Any]:
    """As preflight_info takes them; nothing where the model is to run without a GPU."""
    if not host.gpus:
        return {}
    image = spec.known_image
    return {
        "count": sized.parallelism.world_size,
        "memory_mib": _least_memory(spec, sized),
        "compute_capability": dotted(capability_needed(spec) or ()),
        "driver": str(driver_needed(image) or ""),
        "driver_listed": str(image.get("driver") or ""),
    }


def _least_memory(spec: Spec, sized: Sized) -> int:
    """Where one sequence just fits; 0 where that is not known, or was accepted not to be so."""
    budget = sized.budget
    if budget is None or not budget.sequences:
        return 0
    return -(-load_of(spec, budget.memory).least_memory(sized.parallelism) // MIB)


def registry_of(reference: str) -> str:
    """Host and port of an image's registry, by the rule of Docker."""
    host, slash, _rest = reference.partition("/")
    return host if slash and ("." in host or ":" in host or host == "localhost") else DOCKER_HUB


def repositories(sources: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Those that are reached by HTTP, each once."""
    urls = dict.fromkeys(str(source["repository"]) for source in sources)
    return [{"what": "sources", "url": url} for url in urls if re.match(r"https?://", url)]
