# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The needs that a plan passes to preflight."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._gpus import GpuModels, gpu_memory
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import registry_of, repositories
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import IMAGE, accepted, host, host_plan, plan_for

OWN_MODEL = {"repository": "me/gated", "revision": "0123456789abcdef0123456789abcdef01234567"}


def needs(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = accepted(facts, **request)["needs"]
    return found


def needs_though_refused(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    plan = plan_for(facts, **request)
    assert plan["refusals"]
    found: dict[str, Any] = plan["needs"]
    return found


def test_needs_for_the_gpus_of_the_tutorials_host() -> None:
    gpus = needs(release="0.9.0", image=IMAGE, parallelism={"tensor": 8})["gpus"]
    memory = gpus.pop("memory_mib")
    assert gpus == {
        "count": 8,
        "compute_capability": "7.0",
        "compute_capability_most": "9.0",
        "driver": "525",
        "driver_listed": "545.23.08",
        "executable": "nvidia-smi",
        "name": "",
    }
    assert 12 << 10 < memory < 40960


@pytest.mark.parametrize("limits", [{"max_seq_len": 4096}, {"max_seq_len": 2000}, {"kv_cache_fraction": 0.35}])
def test_the_needed_memory_fits_one_sequence(limits: dict[str, Any]) -> None:
    """Plan and preflight agree exactly. A KV cache has whole blocks, so 2000 tokens need more than 13504 MiB."""
    limits = {"max_batch_size": 8, "max_input_len": 1024, "max_seq_len": 2048, "max_num_tokens": 8192, **limits}
    request: dict[str, Any] = {"release": "0.9.0", "image": IMAGE, "parallelism": {"tensor": 8}, "limits": limits}
    least = needs(**request)["gpus"]["memory_mib"]
    assert least > 13504
    for memory, fits in ((least, True), (least - 1, False)):
        gpu = {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": memory, "compute_capability": "8.0"}
        plan = plan_for(host(gpus=[gpu] * 8), **request)
        assert [refusal["check"] for refusal in plan["refusals"]] == ([] if fits else ["gpu_memory"])
        assert not fits or plan["budget"]["gpu"]["sequences"] == 1
        kinds = GpuModels([{**gpu, "index": index} for index in range(8)], None)
        assert (list(gpu_memory(Gpus(memory_mib=least), kinds)) == []) is fits


def test_insufficient_memory_is_waived_once() -> None:
    """The need stays, and preflight waives it with the same name."""
    small = host(gpus=[{**host()["gpus"][0], "memory_mib": 8192}] * 8)
    assert needs(small, waive=["gpu_memory"])["gpus"]["memory_mib"] > 8192


def test_needs_include_compute_capability_and_driver() -> None:
    assert needs(precision="bfloat16")["gpus"]["compute_capability"] == "8.0"
    assert needs(precision="float16")["gpus"]["compute_capability"] == "7.5"
    stricter = {"compute_capability": "8.0", "compute_capability_most": "8.0"}
    assert stricter.items() <= needs(preflight_gpus=stricter)["gpus"].items()
    assert needs()["gpus"]["driver"] == "580"


def test_without_a_gpu_there_are_no_gpu_needs() -> None:
    assert "gpus" not in needs(host("rehearsal"), model="smollm2-135m-instruct", gpus_required=False)


def test_ranks_share_memory() -> None:
    assert needs(parallelism={"tensor": 8}, server={"shm_size": "4g"})["shm"] == {"size": "4g", "ranks": 8}
    # This also applies to the LLM API, which starts the ranks itself.
    assert needs(profile="llmapi", parallelism={"tensor": 8})["shm"]["ranks"] == 8


def test_disk_space_is_that_of_the_budget() -> None:
    plan = accepted()
    assert plan["needs"]["disk"] == plan["budget"]["disk"]
    assert plan["needs"]["memory_bytes"] == plan["budget"]["host_memory"]
    there = host(artifacts=[f"image/{plan['artifacts']['image']['key']}"])
    # Docker already has the image, which preflight cannot see in the folder.
    assert [part["what"] for part in needs(there)["disk"]] == ["weights", "checkpoint", "engine"]


def test_the_registry_is_checked_unless_the_image_exists() -> None:
    plan = accepted()
    assert plan["needs"]["registry"] == "nvcr.io"
    assert needs(image=IMAGE)["registry"] == "registry.example"
    there = host(artifacts=[f"image/{plan['artifacts']['image']['key']}"])
    assert needs(there)["registry"] == ""
    assert needs_though_refused(there, precision="int3").get("registry") == ""
    archive = {"source": "archive", "archive": "/srv/image.tar", "digest": "sha256:" + "a" * 64}
    assert needs(image=archive)["registry"] == ""


def test_sources_are_checked_unless_they_exist() -> None:
    assert needs()["reach"] == []
    plan = accepted(release="0.9.0", image=IMAGE)
    urls = [source["url"] for source in plan["needs"]["reach"]]
    assert urls == [
        "https://github.com/triton-inference-server/tensorrtllm_backend.git",
        "https://github.com/NVIDIA/TensorRT-LLM.git",
    ]
    there = host(artifacts=[f"backend/{plan['artifacts']['backend']['key']}"])
    assert needs(there, release="0.9.0", image=IMAGE)["reach"] == []


def test_needs_for_an_image_built_from_source() -> None:
    found = needs(release="0.9.0", image={"source": "build"})
    urls = [source["url"] for source in found["reach"]]
    assert len(urls) == len(set(urls)) >= 2 and found["registry"] == ""


# --- of a plan that is refused


REFUSED: list[dict[str, Any]] = [
    {"precision": "int3"},
    {"limits": {"max_seq_len": 10**9}},
    {"converter": "native", "precision": "int8_weight_only"},
    {"gpus_required": True, "preflight_gpus": {"count": 99}},
]


@pytest.mark.parametrize("request_", REFUSED)
def test_valid_parts_of_a_refused_request_are_still_checked(request_: dict[str, Any]) -> None:
    good, found = needs(), needs_though_refused(**request_)
    for name in (
        "architectures",
        "systems",
        "systemd",
        "clock",
        "root",
        "ports",
        "units",
        "containers",
        "hub",
        "registry",
    ):
        assert found[name] == good[name], name
    assert {"image", "weights"} <= {part["what"] for part in found["disk"]}
    assert [part for part in found["disk"] if part["what"] == "weights"] == good["disk"][1:2]
    assert found["gpus"] and found["planned"]


def test_all_needs_are_checked_if_only_the_host_is_refused() -> None:
    assert needs_though_refused(host(disk_free_bytes=1)) == needs()


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [
        ({"model": "nothing"}, {"hub"}),
        ({"server": {"http_port": "x"}}, {"shm"}),
        ({"image": {"reference": 1}}, {"archive"}),
        ({"weights": {"endpoint": "ftp://x"}}, {"hub"}),
        ({"gpus_required": False, "precision": "int3"}, {"gpus"}),
    ],
)
def test_invalid_options_create_no_needs(wrong: dict[str, Any], missing: set[str]) -> None:
    found = needs_though_refused(**wrong)
    assert not missing & set(found)
    if "image" in wrong:
        assert found["registry"] == "" and [part["what"] for part in found["disk"]] == ["weights"]
    if "server" in wrong:
        assert found["ports"] == []


def test_a_refused_plans_archive_is_checked() -> None:
    archive = {"source": "archive", "archive": "/srv/image.tar", "digest": "sha256:" + "a" * 64}
    found = needs_though_refused(image=archive, precision="int3")
    assert found["archive"] == {"path": "/srv/image.tar", "digest": archive["digest"]}
    assert found["registry"] == "" and [part["what"] for part in found["disk"]] == ["weights"]


def test_the_hub_is_checked_for_a_model_with_an_unreadable_shape() -> None:
    """The reason may be its token, which preflight reports."""
    plan = host_plan(model=OWN_MODEL, weights={"endpoint": "http://127.0.0.1:9"})["deployments"]["default"]
    (refusal,) = plan["refusals"]
    assert "the model's shape cannot be read from" in refusal["message"]
    hub = plan["needs"]["hub"]
    assert (hub["repository"], hub["revision"], hub["endpoint"]) == (*OWN_MODEL.values(), "http://127.0.0.1:9")


def test_a_hub_that_is_not_used_is_not_checked() -> None:
    for weights in ({"offline": True}, {"path": "/srv/weights"}):
        assert "hub" not in needs(weights=weights)
        assert "hub" not in needs_though_refused(weights=weights, precision="int3")


def test_an_invalid_request_has_the_basic_needs() -> None:
    found = plan_for(model=None)["needs"]
    assert found["systemd"] and found["root"] == "/opt/trtllm" and found["registry"] == "nvcr.io"


# --- parts


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
def test_the_registry_of_an_image(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def test_only_http_urls_are_checked() -> None:
    sources = [{"repository": url} for url in ("/srv/x.git", "https://g.example/x.git", "git@g.example:x.git")]
    assert [source.url for source in repositories([*sources, *sources])] == ["https://g.example/x.git"]
