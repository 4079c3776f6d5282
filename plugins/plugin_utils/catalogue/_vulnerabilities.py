# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Known vulnerabilities of the software that will run, and whether other hosts could reach it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import EXPOSED
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Spec


def vulnerabilities(spec: Spec, catalogue: Catalogue) -> list[Mapping[str, Any]]:
    """The vulnerabilities of the image, worst first."""
    versions = {"tensorrt_llm": spec.release["release"], "triton": spec.known_image.get("tag")}
    known = [entry for entry in catalogue.vulnerabilities if versions.get(entry["component"])]
    found = [entry for entry in known if older(str(versions[entry["component"]]), entry["fixed_in"])]
    return sorted(found, key=lambda entry: -(entry.get("cvss") or 0))


def older(have: str, fixed: str) -> bool:
    return version_order(have) < version_order(fixed)


@lru_cache(maxsize=None)
def version_order(text: str) -> tuple[tuple[int, ...], float]:
    """Sort key of a version: 1.2.1 is older than 1.3.0rc17, which is older than 1.3.0."""
    candidate = re.search(r"rc(\d+)$", text)
    return version(text), int(candidate.group(1)) if candidate else math.inf


def exposure(spec: Spec, catalogue: Catalogue) -> list[Refusal]:
    """Refuses a server with known vulnerabilities that other hosts could reach."""
    found = vulnerabilities(spec, catalogue) if spec.server.exposed else []
    if not found:
        return []
    worst = ", ".join(entry["id"] for entry in found[:3])
    floors = {
        entry["component"]: entry["fixed_in"] for entry in sorted(found, key=lambda e: version_order(e["fixed_in"]))
    }
    needed = " and ".join(f"{component} {floor}" for component, floor in sorted(floors.items()))
    message = (
        f"TensorRT-LLM {spec.release['release']} has {len(found)} known vulnerabilities (fixed in {needed}), including "
        f"{worst}, and would be reachable from other hosts: use 127.0.0.1, with a gateway in front of it"
    )
    return [Refusal("trtllm_server.address", spec.server.address, message, EXPOSED)]
