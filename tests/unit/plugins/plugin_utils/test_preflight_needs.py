# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan lets preflight look at."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._preflight_needs import registry_of, repositories
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import IMAGE, accepted, host


def needs(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = accepted(facts, **request)["preflight"]
    return found


def test_gpus_of_the_tutorials_host() -> None:
    gpus = needs(release="0.9.0", image=IMAGE, parallelism={"tensor": 8})["gpus"]
    memory = gpus.pop("memory_mib")
    assert gpus == {"count": 8, "compute_capability": "", "driver": "525", "driver_listed": "545.23.08"}
    assert 12 << 10 < memory < 40960


@pytest.mark.parametrize("limits", [{"max_seq_len": 4096}, {"max_seq_len": 2000}, {"kv_cache_fraction": 0.35}])
def test_the_memory_is_what_one_sequence_fits_in(limits: dict[str, Any]) -> None:
    """Plan and preflight agree to the MiB. A KV cache has whole blocks, so 2000 tokens take more than 13504 MiB."""
    request: dict[str, Any] = {"release": "0.9.0", "image": IMAGE, "parallelism": {"tensor": 8}, "limits": limits}
    gpu = host()["gpus"][0]
    least = needs(**request)["gpus"]["memory_mib"]
    assert least > 13504
    plan = accepted(host(gpus=[{**gpu, "memory_mib": least}] * 8), **request)
    assert plan["budget"]["gpu"]["sequences"] == 1
    with pytest.raises(AssertionError):
        accepted(host(gpus=[{**gpu, "memory_mib": least - 1}] * 8), **request)


def test_memory_that_was_accepted_to_be_too_small_is_not_asked_for() -> None:
    small = host(gpus=[{**host()["gpus"][0], "memory_mib": 8192}] * 8)
    assert needs(small, plan_waive=["gpu_memory"])["gpus"]["memory_mib"] == 0
    assert needs(host(gpus=[{"name": "NVIDIA A100-SXM4-40GB"}] * 8))["gpus"]["memory_mib"] == 0


def test_what_computes_it() -> None:
    assert needs(precision="bfloat16")["gpus"]["compute_capability"] == "8.0"
    assert needs()["gpus"]["driver"] == "580"


def test_without_a_gpu_none_is_looked_at() -> None:
    assert needs(host("rehearsal"), model="smollm2-135m-instruct", gpus_required=False)["gpus"] == {}


def test_ranks_share_memory() -> None:
    assert needs(parallelism={"tensor": 8}, server={"shm_size": "4g"})["shm"] == {"size": "4g", "ranks": 8}
    # The LLM API starts the ranks by itself, all the same.
    assert needs(profile="llmapi", parallelism={"tensor": 8})["shm"]["ranks"] == 8


def test_the_registry_is_asked_until_the_image_is_there() -> None:
    plan = accepted()
    assert plan["preflight"]["registry"] == "nvcr.io"
    assert needs(image=IMAGE)["registry"] == "registry.example"
    there = host(artifacts=[f"image/{plan['artifacts']['image']['key']}"])
    assert needs(there)["registry"] == ""
    archive = {"source": "archive", "archive": "/srv/image.tar", "digest": "sha256:" + "a" * 64}
    assert needs(image=archive)["registry"] == ""


def test_sources_are_asked_for_until_they_are_there() -> None:
    assert needs()["sources"] == []
    plan = accepted(release="0.9.0", image=IMAGE)
    urls = [source["url"] for source in plan["preflight"]["sources"]]
    assert urls == [
        "https://github.com/triton-inference-server/tensorrtllm_backend.git",
        "https://github.com/NVIDIA/TensorRT-LLM.git",
    ]
    there = host(artifacts=[f"backend/{plan['artifacts']['backend']['key']}"])
    assert needs(there, release="0.9.0", image=IMAGE)["sources"] == []


def test_an_image_is_built_from_sources() -> None:
    plan = accepted(release="0.9.0", image={"source": "build"})
    urls = [source["url"] for source in plan["preflight"]["sources"]]
    assert len(urls) == len(set(urls)) >= 2 and plan["preflight"]["registry"] == ""


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("nvcr.io/nvidia/tritonserver:24.05-trtllm-python-py3", "nvcr.io"),
        ("registry.example:5000/a/b@sha256:0", "registry.example:5000"),
        ("localhost/backend:1", "localhost"),
        ("library/busybox:1", "registry-1.docker.io"),
        ("busybox:1.2", "registry-1.docker.io"),
    ],
)
def test_registry(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def test_only_what_http_reaches_is_asked() -> None:
    sources = [{"repository": url} for url in ("/srv/x.git", "https://g.example/x.git", "git@g.example:x.git")]
    assert [source["url"] for source in repositories([*sources, *sources])] == ["https://g.example/x.git"]
