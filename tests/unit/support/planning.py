# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for tests. The default is Mixtral 8x7B Instruct with TensorRT-LLM 1.2.1 on eight A100 with 40 GB."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import load_catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import Host, plan_fleet
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gateway import Gateways, Member, haproxy_needed
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import Shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import deployments_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Reader

CATALOGUE = load_catalogue()
DIGEST = "sha256:" + "a" * 64
# A custom image, for versions without one on NGC and for tests that need its digest.
IMAGE = {"reference": "registry.example/backend", "digest": DIGEST}
NEWEST_DRIVER = "595.10.01"


def host(shape: str = "BM.GPU4.8", **changes: Any) -> dict[str, Any]:
    """Facts of a host with that shape and with a driver that suits any image."""
    return {**facts_of_shape(CATALOGUE.shapes[shape]), "shape": "", "driver_version": NEWEST_DRIVER, **changes}


def plan_for(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    # A fixed version: tests must not depend on which version is the newest.
    request = {"model": "mixtral-8x7b-instruct", "release": "1.2.1", **request}
    return make_plan(request, host() if facts is None else facts, CATALOGUE)


def accepted(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, Any]:
    """A plan that must not be refused."""
    plan = plan_for(facts, **request)
    assert plan["refusals"] == []
    return plan


def refused(facts: dict[str, Any] | None = None, **request: Any) -> dict[str, str]:
    """The messages of the refusals, by variable."""
    return {entry["variable"]: entry["message"] for entry in plan_for(facts, **request)["refusals"]}


def host_of(facts: dict[str, Any] | None = None, bundle: Any = None, **options: Any) -> Host:
    """A host with these variables, whose names are given without the prefix."""
    variables = {f"trtllm_{name}": value for name, value in options.items()}
    known = host() if facts is None else facts
    return Host(deployments_of(variables), known, bundle=bundle, storage=options.get("storage"))


def gateways_of(
    *hosts: str, gateways: tuple[str, ...] = ("gw1",), monitoring: tuple[str, ...] = (), **settings: Any
) -> Gateways:
    """These gateways in front of the hosts, with `settings` of each by name."""

    def member(name: str) -> Member:
        keys = "/keys.yml" if name in gateways else ""
        return Member(name, f"{name}.example", "/authority", settings.get(name, {}), keys, haproxy_needed("image", ""))

    return Gateways(
        {name: member(name) for name in gateways}, {name: member(name) for name in hosts}, monitoring=monitoring
    )


def host_plan(facts: dict[str, Any] | None = None, only: str = "", **options: Any) -> dict[str, Any]:
    """The plan of a host with these variables."""
    plan: dict[str, Any] = plan_fleet({"one": host_of(facts, **options)}, CATALOGUE, only)["hosts"]["one"]
    return plan


def waivable(plan: dict[str, Any]) -> dict[str, str]:
    return {entry["waive"]: entry["variable"] for entry in plan["refusals"] if entry["waive"]}


def warned(text: str, *args: Any, **request: Any) -> bool:
    return any(text in warning for warning in accepted(*args, **request)["warnings"])


def heeded(request: dict[str, Any], facts: dict[str, Any], refusal: dict[str, Any]) -> None:
    """Change the request or the host as the refusal suggests."""
    variable, message = refusal["variable"].removeprefix("trtllm_"), refusal["message"]
    if variable == "parallelism":
        numbers = re.search(r"\{tensor: (\d+), pipeline: (\d+)\} fits", message)
        assert numbers, message
        request["parallelism"] = {"tensor": int(numbers[1]), "pipeline": int(numbers[2])}
    elif variable.startswith("limits"):
        name = variable.partition(".")[2]
        pairs = re.findall(r"(\w+): (\d+)[,}]", message) or [(name, re.search(r": use (\d+)", message)[1])]
        request["limits"] = {**request["limits"], **{key: int(value) for key, value in pairs}}
    elif variable == "precision":
        request["precision"] = re.search(r": use (\w+)", message)[1]
    elif variable == "release":
        request["release"] = re.search(r"use trtllm_release (\S+)", message)[1]
    else:
        number = re.search(r"use (\d+) such GPUs", message)
        assert variable == "model" and number, refusal
        facts["gpus"] = facts["gpus"][:1] * int(number[1])


def shape_of(model: Any) -> Shape:
    found = Reader({"model": model}, CATALOGUE).model()
    assert found is not None
    return found.shape


def flag(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]
