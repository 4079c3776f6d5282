# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host from all sources."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import (
    HostFacts,
    facts_of_shape,
    read_host_facts,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE

A100 = {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "compute_capability": "8.0"}


def read(**facts: Any) -> HostFacts:
    found, refusals = read_host_facts(facts)
    assert refusals == []
    return found


def test_facts_as_the_module_returns_them() -> None:
    facts = read(
        gpus=[{**A100, "index": index, "uuid": "GPU-0", "mig_mode": None} for index in range(8)],
        driver_version="570.124.06",
        processors=128,
        memory_bytes=2 << 40,
        disk_free_bytes=6_800_000_000_000,
        container_toolkit="1.17.8",
        root="/opt/trtllm",
        artifacts=["weights/0123456789abcdef"],
        deployments={"default": "mixtral-8x7b-1.2.1-01234567", "small": ""},
        root_outdated=["current"],
    )
    assert (len(facts.gpus), facts.gpu_memory, facts.capability) == (8, 40 << 30, (8, 0))
    assert (facts.driver, facts.container_toolkit) == ("570.124.06", "1.17.8")
    assert facts.artifacts == {"weights/0123456789abcdef"}
    assert facts.serving == {"default": "mixtral-8x7b-1.2.1-01234567", "small": ""}
    assert facts.root_outdated == ("current",)
    assert [gpu.index for gpu in facts.gpus] == list(range(8))


def test_missing_facts_are_unknown() -> None:
    names = (
        "deployments",
        "root_outdated",
        "driver_version",
        "memory_bytes",
        "disk_free_bytes",
        "container_toolkit",
        "artifacts",
        "gpus",
    )
    assert read() == read(**dict.fromkeys(names)) == HostFacts()
    assert HostFacts().gpu_memory is HostFacts().capability is None


def test_a_gpu_without_an_index_has_that_of_its_position() -> None:
    assert [gpu.index for gpu in read(gpus=[A100, {**A100, "index": 5}, A100]).gpus] == [0, 5, 2]


def test_the_smallest_and_the_oldest_gpu_count() -> None:
    facts = read(gpus=[A100, {"name": "NVIDIA A10", "memory_mib": 23028}, {"name": "some new one"}])
    assert (facts.gpu_memory, facts.capability) == (23028 << 20, (8, 0))
    assert [gpu.capability for gpu in facts.gpus] == [(8, 0), (8, 6), None]


@pytest.mark.parametrize(
    ("facts", "variable", "says"),
    [
        ([], "trtllm_host_facts", "mapping"),
        (None, "trtllm_host_facts", "mapping"),
        ({"gpus": {"count": 8}}, "trtllm_host_facts.gpus", "list of GPUs"),
        ({"gpus": ["A100"]}, "trtllm_host_facts.gpus.0", "with name"),
        ({"gpus": [A100, {"memory_mib": 1}]}, "trtllm_host_facts.gpus.1", "with name"),
        ({"gpus": [{**A100, "memory_mib": "40 GB"}]}, "trtllm_host_facts.gpus.0.memory_mib", "whole number"),
        ({"gpus": [{**A100, "compute_capability": "new"}]}, "trtllm_host_facts.gpus.0.compute_capability", "as 8.0"),
        ({"driver_version": "unknown"}, "trtllm_host_facts.driver_version", "580.95.05"),
        ({"driver_version": 570.1}, "trtllm_host_facts.driver_version", "string"),
        ({"memory_bytes": -1}, "trtllm_host_facts.memory_bytes", "at least 0"),
        ({"disk_free_bytes": 1.5}, "trtllm_host_facts.disk_free_bytes", "whole number"),
        ({"artifacts": "weights"}, "trtllm_host_facts.artifacts", "list of names"),
        ({"root_foreign": [1]}, "trtllm_host_facts.root_foreign", "list of names"),
        ({"root_outdated": "current"}, "trtllm_host_facts.root_outdated", "list of names"),
        ({"deployments": "mixtral"}, "trtllm_host_facts.deployments", "mapping"),
        ({"deployments": {"default": ["x"]}}, "trtllm_host_facts.deployments.default", "string"),
        ({"gpus": [{**A100, "index": "first"}]}, "trtllm_host_facts.gpus.0.index", "whole number"),
    ],
)
def test_wrong_recorded_facts_are_named(facts: Any, variable: str, says: str) -> None:
    found = {refusal.variable: refusal.message for refusal in read_host_facts(facts)[1]}
    assert list(found) == [variable] and says in found[variable]


def test_a_pre_release_of_the_toolkit_counts_as_its_release() -> None:
    assert read(container_toolkit="1.18.0~rc.1").container_toolkit == "1.18.0"


@pytest.mark.parametrize("name", CATALOGUE.shapes)
def test_a_shape_is_a_new_host(name: str) -> None:
    shape = CATALOGUE.shapes[name]
    facts = read(**facts_of_shape(shape))
    assert len(facts.gpus) == shape["gpus"]["count"]
    assert facts.artifacts == frozenset() and not facts.serving
    assert (facts.processors, facts.memory, facts.disk_free) == (
        shape["processors"],
        shape["memory_bytes"],
        shape["disk_bytes"],
    )
    assert not facts.gpus or facts.capability == version(shape["gpus"]["compute_capability"])
