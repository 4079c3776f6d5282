# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Which version of trtllm-serve is chosen for a host, and when the user must choose."""

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._vulnerabilities import (
    older,
    version_order,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import Sized
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import driver_needed
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal, counted
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Spec


def doubts(release: Release, host: HostFacts, gpus: int) -> list[str]:
    """In which ways nobody is known to have run the version on such a host."""
    tried = release.get("tried")
    if not tried or not host.gpus:
        return []
    found = [f"with more than {counted(tried['gpus'], 'GPU')}"] if gpus > tried["gpus"] else []
    if host.driver and version(host.driver) < version(tried["driver"]):
        found.append(f"with a driver older than {tried['driver']} (this host has {host.driver})")
    return found


def safe_versions(catalogue: Catalogue) -> list[str]:
    """The versions without known vulnerabilities, newest first."""
    fixed = [entry["fixed_in"] for entry in catalogue.vulnerabilities if entry["component"] == "tensorrt_llm"]
    floor = max(fixed, key=version_order)
    return [name for name in reversed(list(catalogue.serve)) if not older(name, floor)]


def default_version(host: HostFacts, catalogue: Catalogue) -> str:
    """The newest version without known vulnerabilities that the GPUs and the driver can run, or else the newest."""
    able = [name for name in safe_versions(catalogue) if _runs(catalogue.serve[name], host)]
    return able[0] if able else catalogue.newest("serve")


def _runs(release: Release, host: HostFacts) -> bool:
    driver = not host.driver or version(host.driver)[0] >= (driver_needed(release["image"]) or 0)
    least = version(release["compute_capability"]["least"])
    return driver and (host.capability is None or host.capability >= least)


def ask(spec: Spec, host: HostFacts, catalogue: Catalogue, sized: Sized) -> list[Refusal]:
    """If the version was not chosen: which ones there are, and what is not known of each."""
    gpus = sized.parallelism.world_size
    if "release" in spec.given or not doubts(spec.release, host, gpus):
        return []
    able = [name for name in reversed(list(catalogue.serve)) if _runs(catalogue.serve[name], host)]
    serving = [name for name in able if spec.model.architecture in catalogue.serve[name]["architectures"]]
    choices = "; ".join(_choice(name, host, catalogue, gpus) for name in serving[:2])
    message = "must be set, because no version without known vulnerabilities is known to run here. The choices are"
    return [Refusal("trtllm_release", None, f"{message}: {choices}")]


def _choice(name: str, host: HostFacts, catalogue: Catalogue, gpus: int) -> str:
    release = catalogue.serve[name]
    unknown = doubts(release, host, gpus)
    holes = [
        entry
        for entry in catalogue.vulnerabilities
        if entry["component"] == "tensorrt_llm" and older(name, entry["fixed_in"])
    ]
    facts = [f"has {counted(len(holes), 'known CVE')}"] if holes else []
    facts += [f"nobody is known to have run it {' or '.join(unknown)}"] if unknown else []
    return f"{name} ({', '.join(facts)})" if facts else name
