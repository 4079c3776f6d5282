# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that take everything from a bundle, and bundles that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._bundle import bundle_contents, bundled_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, host

IMAGE_ID = "sha256:" + "b" * 64
MIXTRAL = {"model": "mixtral-8x7b-instruct"}
TUTORIAL = {**MIXTRAL, "release": "0.9.0"}


def planned(request: Any) -> dict[str, Any]:
    return make_plan(request, host(), CATALOGUE)


def manifest_for(request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    about = bundle_contents(planned(request), request)["about"]
    systems = {"debian-12": {"docker_source": "vendor", "nvidia": True}}
    return {**about, "systems": systems, "pythons": ["3.11"], "image_id": IMAGE_ID, **changes}


def plan_with(request: dict[str, Any], manifest: dict[str, Any], **needs: Any) -> dict[str, Any]:
    bundle = {"path": "/b/", "manifest": manifest, "system": "debian-12", "python": "3.11", "docker_source": "vendor"}
    return bundled_plan(request, {**bundle, "haproxy": False, **needs}, planned)


def refused(request: dict[str, Any], manifest: dict[str, Any], **needs: Any) -> list[str]:
    return [entry["message"] for entry in plan_with(request, manifest, **needs)["refusals"]]


def test_nothing_is_downloaded() -> None:
    plan = plan_with(MIXTRAL, manifest_for(MIXTRAL))
    assert plan["refusals"] == []
    assert (
        plan["trtllm_backend"]["image"]["source"] == "archive"
        and plan["trtllm_backend"]["image"]["archive"] == "/b/images/image.tar"
    )
    assert plan["trtllm_backend"]["image"]["digest"] == IMAGE_ID
    assert plan["model_weights"]["snapshots"][0]["offline"] and "hub" not in plan["needs"]


def test_a_bundle_for_trtllm_serve_has_the_image_and_the_weights() -> None:
    request = {**MIXTRAL, "profile": "serve", "release": "1.2.1"}
    manifest = manifest_for(request)
    assert manifest["image"]["name"] == "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
    assert (manifest["sources"], manifest["weights"]["repository"]) == ({}, "mistralai/Mixtral-8x7B-Instruct-v0.1")
    plan = plan_with(request, manifest)
    assert plan["refusals"] == []
    assert plan["serve_service"]["container"]["image"] == IMAGE_ID
    assert not any(plan["needs"].get(name) for name in ("hub", "registry", "reach"))
    assert "image" in refused(request, manifest_for({**MIXTRAL, "release": "1.2.1"}))[0]


@pytest.mark.parametrize("wrong", [{"system": "rocky-9"}, {}])
def test_with_a_bundle_the_network_is_not_checked(wrong: dict[str, str]) -> None:
    """Neither with an unsuitable bundle nor if the request is refused anyway."""
    request = MIXTRAL if wrong else {**MIXTRAL, "limits": {"max_seq_len": 0}}
    plan = plan_with(request, manifest_for(MIXTRAL), **wrong)
    assert plan["refusals"] and plan["needs"]["ports"]
    assert not {"hub", "registry", "reach"} & set(plan["needs"])


def test_weights_have_the_same_key_as_from_the_hub() -> None:
    """So that a host which gets a network connection later downloads nothing again."""
    assert (
        plan_with(MIXTRAL, manifest_for(MIXTRAL))["artifacts"]["weights"]["dest"]
        == planned(MIXTRAL)["artifacts"]["weights"]["dest"]
    )


def test_sources_are_cloned_from_the_bundle() -> None:
    plan = plan_with(TUTORIAL, manifest_for(TUTORIAL))
    assert plan["refusals"] == []
    bundled, online = (each["trtllm_backend"]["clone"]["sources"]["backend"] for each in (plan, planned(TUTORIAL)))
    assert bundled["repository"] == "/b/sources/backend/backend.git"
    assert bundled["commit"] == online["commit"]


def test_built_image_keeps_its_layout() -> None:
    request = {**TUTORIAL, "image": {"source": "build"}}
    # The connected machine does not know the GPUs of the host, for which the image is built.
    elsewhere = make_plan({**request, "gpus_required": False}, {}, CATALOGUE)
    plan = plan_with(request, {**manifest_for(request), **bundle_contents(elsewhere, request)["about"]})
    assert plan["refusals"] == []
    assert plan["trtllm_backend"]["templates"] == planned(request)["trtllm_backend"]["templates"] | {
        "dest": plan["artifacts"]["backend"]["dest"]
    }


def test_folders_and_another_tokenizer_come_from_the_bundle() -> None:
    request = {**MIXTRAL, "weights": {"path": "/srv/w"}, "tokenizer": {"path": "/srv/t"}}
    plan = plan_with(request, manifest_for(request))
    assert plan["refusals"] == []
    folders = bundle_contents(planned(request), request)["folders"]
    assert [snapshot["src"] for snapshot in plan["model_weights"]["snapshots"]] == [f"/b/{path}" for path in folders]
    assert len(set(folders)) == 2


def test_weights_have_the_layout_of_huggingface_hub() -> None:
    folder = bundle_contents(planned(MIXTRAL), MIXTRAL)["folders"][0]
    revision = CATALOGUE.models["mixtral-8x7b-instruct"]["revision"]
    assert folder == f"weights/models--mistralai--Mixtral-8x7B-Instruct-v0.1/snapshots/{revision}"


def test_bundle_with_other_contents_is_refused() -> None:
    found = refused({"model": "mistral-7b-instruct", "release": "1.0.0"}, manifest_for(MIXTRAL))
    assert any(f"has release {CATALOGUE.newest('engine')}, but 1.0.0 was requested" in message for message in found)
    assert any("has model mixtral-8x7b-instruct" in message and "mistral-7b-instruct" in message for message in found)
    assert any("the bundle has image" in message for message in found)


def test_everything_that_the_bundle_lacks_is_reported_at_once() -> None:
    systems = {"debian-12": {"docker_source": "distribution", "nvidia": False}}
    found = refused(MIXTRAL, manifest_for(MIXTRAL, systems=systems), python="3.9")
    assert len(found) == 3
    assert "contains Docker from the distribution, but trtllm_docker_source is vendor" in found[0]
    assert "no container toolkit" in found[1]
    assert "wheels for Python 3.11, this host has 3.9" in found[2]
    assert "packages of debian-12, not of rocky-9" in refused(MIXTRAL, manifest_for(MIXTRAL), system="rocky-9")[0]


def test_existing_docker_needs_no_packages() -> None:
    assert refused(MIXTRAL, manifest_for(MIXTRAL), docker_source="existing") == []


def test_an_endpoint_needs_a_bundle_with_haproxy() -> None:
    assert refused(MIXTRAL, manifest_for(MIXTRAL)) == []
    (message,) = refused(MIXTRAL, manifest_for(MIXTRAL), haproxy=True)
    assert message.startswith("the bundle has no HAProxy")
    systems = {"debian-12": {"docker_source": "vendor", "nvidia": True, "has_haproxy": True}}
    assert refused(MIXTRAL, manifest_for(MIXTRAL, systems=systems), haproxy=True) == []


def test_shape_of_a_model_without_preset_is_in_the_manifest() -> None:
    """So that it is not looked up from the hub for a host without a network."""
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
    }
    model = {"repository": "our/model", "revision": "c" * 40}
    described = {"model": {**model, "config": config}}
    manifest = manifest_for(described)
    assert manifest["config"] == config
    plan = plan_with({"model": model}, manifest)
    assert plan["refusals"] == []
    assert plan["model"]["repository"] == "our/model"
