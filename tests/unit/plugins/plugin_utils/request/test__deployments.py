# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of a host's deployments, and the inventory variables that their options come from."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import (
    Deployment,
    Deployments,
    deployments_of,
    request_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import HOST, VARIABLES


def read(**options: Any) -> Deployments:
    return deployments_of({f"trtllm_{name}": value for name, value in options.items()})


def named(options: Any, **flat: Any) -> Deployment:
    """The deployment `small` with these options, in addition to these flat variables."""
    found = read(deployments={"small": options}, **flat)
    assert found.refusals == []
    return found.by_name["small"]


def said(found: Deployments) -> dict[str, str]:
    return {refusal.variable: refusal.message for refusal in found.refusals}


def test_a_request_has_the_variables_of_the_inventory() -> None:
    variables = {"trtllm_model": "x", "trtllm_waive": [], "trtllm_hosts": "all", "model": "y"}
    assert request_of(variables) == {"model": "x", "waive": []}


def test_the_flat_variables_are_the_deployment_default() -> None:
    found = read(model="x", limits={})
    assert list(found.by_name) == ["default"]
    assert found.by_name["default"] == Deployment("default", {"model": "x", "limits": {}})


@pytest.mark.parametrize("flat", [{}, {"model": ""}, {"model": None}, {"precision": "float16"}])
def test_without_a_model_default_only_exists_if_there_is_no_other(flat: dict[str, Any]) -> None:
    assert list(read(**flat).by_name) == ["default"]
    assert list(read(**flat, deployments={}).by_name) == ["default"]
    assert list(read(**flat, deployments={"small": {"model": "x"}}).by_name) == ["small"]


def test_default_is_first_and_the_others_keep_their_order() -> None:
    assert list(read(model="x", deployments={"z": {}, "a": {}}).by_name) == ["default", "z", "a"]


def test_a_deployment_inherits_the_hosts_options_but_not_those_of_the_default_model() -> None:
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


def test_its_own_options_override_the_hosts() -> None:
    deployment = named({"model": "small", "waive": [], "gpus_required": True}, waive=["x"], gpus_required=False)
    assert deployment.request == {"model": "small", "waive": [], "gpus_required": True}


def test_another_version_inherits_neither_image_nor_sources() -> None:
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
def test_the_hub_is_inherited_and_a_folder_of_weights_is_not(of_host: Any, own: Any, merged: Any) -> None:
    options = {} if own is None else {"weights": own}
    flat = {} if of_host is None else {"weights": of_host}
    assert named(options, **flat).request.get("weights") == merged


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 32])
def test_names(name: str) -> None:
    assert name in read(deployments={name: {}}).by_name


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "-a", "a-", "a" * 33, "a.b", "a/b", "a@b", "../x", "a b", "a\n", 5, None]
)
def test_names_that_are_invalid_for_units_and_folders_are_refused(name: Any) -> None:
    found = read(model="x", deployments={name: {}})
    assert list(found.by_name) == ["default"]
    assert "use at most 32 lower-case letters, digits and dashes" in said(found)["trtllm_deployments"]


def test_default_is_reserved_for_the_flat_variables() -> None:
    found = read(deployments={"default": {"model": "x"}})
    assert "flat variables" in said(found)["trtllm_deployments.default"]


@pytest.mark.parametrize("name", [name[7:] for name, variable in VARIABLES.items() if variable.request == HOST])
def test_options_that_deployments_share_are_set_for_the_host(name: str) -> None:
    found = read(deployments={"small": {"model": "x", name: "/srv"}})
    assert said(found) == {
        f"trtllm_deployments.small.{name}": f"applies to all deployments of a host: set trtllm_{name}"
    }
    assert not found.by_name


def test_options_of_the_host_are_found() -> None:
    """Otherwise the test above would check nothing."""
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
def test_deployments_that_are_not_a_mapping_are_refused(value: Any) -> None:
    assert "mapping of names" in said(read(deployments=value))["trtllm_deployments"]
    assert "must be a mapping with keys from: model" in said(read(deployments={"a": value}))["trtllm_deployments.a"]


def test_text_from_the_command_line_is_parsed() -> None:
    found = read(deployments='{"small": {"model": "x"}}')
    assert found.refusals == [] and found.by_name["small"].request == {"model": "x"}


@pytest.mark.parametrize(
    ("variable", "located"),
    [
        # Options of its model, whether they are set or not.
        ("trtllm_model", "trtllm_deployments.small.model"),
        ("trtllm_limits.max_seq_len", "trtllm_deployments.small.limits.max_seq_len"),
        ("trtllm_gpus", "trtllm_deployments.small.gpus"),
        # Options of the host, unless they are set.
        ("trtllm_release", "trtllm_deployments.small.release"),
        ("trtllm_weights.endpoint", "trtllm_weights.endpoint"),
        ("trtllm_waive", "trtllm_waive"),
        ("trtllm_root", "trtllm_root"),
        ("trtllm_host_facts.gpus.0", "trtllm_host_facts.gpus.0"),
    ],
)
def test_a_refusal_names_the_variable_that_sets_the_option(variable: str, located: str) -> None:
    assert named({"release": "1.2.1"}).located(variable) == located
    assert read(model="x").by_name["default"].located(variable) == variable
