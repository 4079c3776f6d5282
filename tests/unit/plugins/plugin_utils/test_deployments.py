# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each deployment of a host asks for, and where its options stand in the inventory."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._deployments import (
    Deployment,
    Deployments,
    deployments_of,
    request_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._variables import HOST, VARIABLES


def read(**options: Any) -> Deployments:
    return deployments_of({f"trtllm_{name}": value for name, value in options.items()})


def named(options: Any, **flat: Any) -> Deployment:
    """The deployment `small` with these options, beside these flat variables."""
    found = read(deployments={"small": options}, **flat)
    assert found.refusals == []
    return found.by_name["small"]


def said(found: Deployments) -> dict[str, str]:
    return {refusal.variable: refusal.message for refusal in found.refusals}


def test_a_request_is_what_the_inventory_says_of_it() -> None:
    variables = {"trtllm_model": "x", "trtllm_waive": [], "trtllm_hosts": "all", "model": "y"}
    assert request_of(variables) == {"model": "x", "waive": []}


def test_the_flat_variables_are_the_default_one() -> None:
    found = read(model="x", limits={})
    assert list(found.by_name) == ["default"]
    assert found.by_name["default"] == Deployment("default", {"model": "x", "limits": {}})


@pytest.mark.parametrize("flat", [{}, {"model": ""}, {"model": None}, {"precision": "float16"}])
def test_without_a_model_there_is_a_default_one_only_where_there_is_no_other(flat: dict[str, Any]) -> None:
    assert list(read(**flat).by_name) == ["default"]
    assert list(read(**flat, deployments={}).by_name) == ["default"]
    assert list(read(**flat, deployments={"small": {"model": "x"}}).by_name) == ["small"]


def test_the_default_one_is_first_and_the_others_as_in_the_inventory() -> None:
    assert list(read(model="x", deployments={"z": {}, "a": {}}).by_name) == ["default", "z", "a"]


def test_a_deployment_has_the_options_of_the_host_and_none_of_the_default_ones_model() -> None:
    of_host = {"release": "1.2.1", "root": "/srv", "waive": ["gpu_memory"], "gpus_required": False}
    of_model = {
        "model": "x",
        "profile": "llmapi",
        "precision": "float16",
        "gpus": 2,
        "server": {"http_port": 9000},
        "limits": {"max_batch_size": 1},
        "parallelism": {"tensor": 2},
        "tokenizer": "y",
        "engine_dir": "/e",
        "repository_parameters": {"tensorrt_llm": {}},
        "preflight_gpus": {"count": 8},
    }
    kept = {**of_host, "preflight_gpus": {"count": 8}}
    assert named({"model": "small"}, **of_host, **of_model).request == {**kept, "model": "small"}


def test_what_it_sets_itself_goes_before_the_hosts() -> None:
    deployment = named({"model": "small", "waive": [], "gpus_required": True}, waive=["x"], gpus_required=False)
    assert deployment.request == {"model": "small", "waive": [], "gpus_required": True}


def test_another_release_has_neither_the_hosts_image_nor_its_sources() -> None:
    flat = {"release": "1.2.1", "image": {"reference": "a"}, "sources": {"backend": {}}}
    assert named({"release": "0.9.0"}, **flat).request == {"release": "0.9.0"}
    assert named({}, **flat).request == flat
    own = named({"release": "0.9.0", "image": {"reference": "b"}}, **flat).request
    assert own == {"release": "0.9.0", "image": {"reference": "b"}}


@pytest.mark.parametrize(
    ("of_host", "own", "merged"),
    [
        ({"endpoint": "http://hub", "path": "/w"}, None, {"endpoint": "http://hub"}),
        ({"path": "/w"}, None, {}),
        (None, None, None),
        ({"endpoint": "http://hub", "path": "/w"}, {"path": "/v"}, {"endpoint": "http://hub", "path": "/v"}),
        ({"endpoint": "http://hub", "offline": True}, {"offline": False}, {"endpoint": "http://hub", "offline": False}),
        ('{"endpoint": "http://hub", "path": "/w"}', {}, {"endpoint": "http://hub"}),
        (None, {"path": "/v"}, {"path": "/v"}),
    ],
)
def test_the_hub_is_the_hosts_and_a_folder_of_weights_is_of_one_model(of_host: Any, own: Any, merged: Any) -> None:
    options = {} if own is None else {"weights": own}
    flat = {} if of_host is None else {"weights": of_host}
    assert named(options, **flat).request.get("weights") == merged


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 32])
def test_names(name: str) -> None:
    assert name in read(deployments={name: {}}).by_name


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "-a", "a-", "a" * 33, "a.b", "a/b", "a@b", "../x", "a b", "a\n", 5, None]
)
def test_names_that_are_part_of_no_unit_and_no_folder(name: Any) -> None:
    found = read(model="x", deployments={name: {}})
    assert list(found.by_name) == ["default"]
    assert "use at most 32 lower-case letters, digits and dashes" in said(found)["trtllm_deployments"]


def test_default_is_the_name_of_what_the_flat_variables_describe() -> None:
    found = read(deployments={"default": {"model": "x"}})
    assert "flat variables" in said(found)["trtllm_deployments.default"]


@pytest.mark.parametrize("name", [name[7:] for name, variable in VARIABLES.items() if variable.request == HOST])
def test_what_all_deployments_of_a_host_share_is_set_once(name: str) -> None:
    found = read(deployments={"small": {"model": "x", name: "/srv"}})
    assert said(found) == {
        f"trtllm_deployments.small.{name}": f"applies to all deployments of a host: set trtllm_{name}"
    }
    assert not found.by_name


def test_there_are_options_of_the_host() -> None:
    """Or the test above would say nothing."""
    assert {name for name, variable in VARIABLES.items() if variable.request == HOST} >= {
        "trtllm_root",
        "trtllm_preflight_gpus",
    }


@pytest.mark.parametrize(("key", "near"), [("modle", "model"), ("trtllm_model", ""), ("limit", "limits"), (5, "")])
def test_an_unknown_option_is_refused_with_the_nearest_name(key: Any, near: str) -> None:
    message = said(read(deployments={"small": {key: "x"}}))[f"trtllm_deployments.small.{key}"]
    assert "is not a known option of a deployment" in message
    assert f"(did you mean {near}?)" in message if near else True


@pytest.mark.parametrize("value", [["small"], "small", 5])
def test_deployments_that_are_no_mapping(value: Any) -> None:
    assert "mapping of names" in said(read(deployments=value))["trtllm_deployments"]
    assert "must be a mapping with keys from: model" in said(read(deployments={"a": value}))["trtllm_deployments.a"]


def test_text_of_the_command_line_is_a_mapping() -> None:
    found = read(deployments='{"small": {"model": "x"}}')
    assert found.refusals == [] and found.by_name["small"].request == {"model": "x"}


@pytest.mark.parametrize(
    ("variable", "located"),
    [
        # Of its model, whether it is set or not.
        ("trtllm_model", "trtllm_deployments.small.model"),
        ("trtllm_limits.max_seq_len", "trtllm_deployments.small.limits.max_seq_len"),
        ("trtllm_gpus", "trtllm_deployments.small.gpus"),
        # Of the host, unless it is set.
        ("trtllm_release", "trtllm_deployments.small.release"),
        ("trtllm_weights.endpoint", "trtllm_weights.endpoint"),
        ("trtllm_waive", "trtllm_waive"),
        ("trtllm_root", "trtllm_root"),
        ("trtllm_host_facts.gpus.0", "trtllm_host_facts.gpus.0"),
    ],
)
def test_a_refusal_names_the_variable_where_it_stands(variable: str, located: str) -> None:
    assert named({"release": "1.2.1"}).located(variable) == located
    assert read(model="x").by_name["default"].located(variable) == variable
