# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract between planner and roles: Ansible's validator accepts a plan's sections as options of the roles."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _sections
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._fleet import plan_fleet
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    DIGEST,
    gateways_of,
    host,
    host_of,
    host_plan,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT

SECTIONS = {
    "preflight": _sections.Preflight,
    "trtllm_backend": _sections.TrtllmBackend,
    "model_weights": _sections.ModelWeights,
    "engine_build": _sections.EngineBuild,
    "model_repo": _sections.ModelRepo,
    "triton_service": _sections.TritonService,
    "serve_service": _sections.ServeService,
    "endpoint": _sections.HostEndpoint,
    "gateway": _sections.Gateway,
    "watchdog": _sections.Watchdog,
}
IMAGES: dict[str, dict[str, Any]] = {
    "tag": {},
    "digest": {"reference": "registry.example/backend", "digest": DIGEST},
    "archive": {"source": "archive", "archive": "/srv/image.tar", "digest": DIGEST},
    "build": {"source": "build"},
}
FURTHER: list[dict[str, Any]] = [
    {"tokenizer": "mixtral-8x7b"},
    {"tokenizer": {"path": "/srv/t"}},
    {"weights": {"path": "/srv/w"}},
    {"converter": "upstream"},
    {"engine_dir": "/srv/engine", "image": IMAGES["digest"]},
    {"gpus_required": False},
]


def options(role: str) -> dict[str, Any]:
    text = (PROJECT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return found


OF_DEPLOYMENT = [role for role in SECTIONS if role not in ("preflight", "endpoint", "gateway")]
VALIDATORS = {role: ArgumentSpecValidator(options(role)) for role in SECTIONS}


def problems(plan: dict[str, Any]) -> list[str]:
    """The problems in the plan of a host. Preflight also checks refused plans."""
    found = _problems("preflight", plan["preflight"])
    found += _problems("endpoint", plan["endpoint"]) if plan["endpoint"] else []
    for made in plan["deployments"].values() if not plan["refusals"] else ():
        # A profile has the sections of its own roles. Without an engine, engine_build does nothing.
        roles = [role for role in OF_DEPLOYMENT if made.get(role)]
        assert set(roles) >= {"trtllm_backend", "model_weights"}
        assert ("serve_service" in made) != {"model_repo", "triton_service"}.issubset(made)
        found += [problem for role in roles for problem in _problems(role, made[role])]
    return found


def _problems(role: str, section: dict[str, Any]) -> list[str]:
    given = {f"{role}_{name}": value for name, value in section.items()}
    return [f"{role}: {message}" for message in VALIDATORS[role].validate(given).error_messages]


@pytest.mark.parametrize("release", CATALOGUE.releases)
def test_roles_accept_every_section_of_every_plan(release: str) -> None:
    profiles = CATALOGUE.releases[release]["profiles"]
    requests = [
        {"profile": profile, "model": model, "image": IMAGES["digest"]}
        for profile in profiles
        for model in CATALOGUE.models
    ]
    requests += [{"profile": profile, "image": image} for profile in profiles for image in IMAGES.values()]
    requests += FURTHER
    planned = 0
    for shape in CATALOGUE.shapes:
        for request in requests:
            plan = host_plan(host(shape), **{"model": "mixtral-8x7b", **request, "release": release})
            planned += not plan["refusals"]
            assert problems(plan) == [], request
    assert planned > len(CATALOGUE.models)


@pytest.mark.parametrize("release", CATALOGUE.serve)
def test_roles_accept_every_section_of_every_plan_for_trtllm_serve(release: str) -> None:
    images = [{}, {"image": IMAGES["digest"]}, {"image": IMAGES["archive"]}]
    further = [*images, {"tokenizer": "mixtral-8x7b"}, {"weights": {"path": "/srv/w"}}, {"gpus_required": False}]
    requests = [{"model": "mixtral-8x7b", **request} for request in further]
    requests += [{"model": model} for model in CATALOGUE.models]
    planned = 0
    for shape in CATALOGUE.shapes:
        for request in requests:
            plan = host_plan(host(shape), **{**request, "profile": "serve", "release": release})
            planned += not plan["refusals"]
            assert problems(plan) == [], request
    assert planned > len(CATALOGUE.models)


def test_roles_accept_the_sections_of_gateways() -> None:
    hosts = {"a": host_of(model="mixtral-8x7b-instruct"), "b": host_of(model="mixtral-8x7b-instruct", profile="serve")}
    plan = plan_fleet(hosts, CATALOGUE, gateways=gateways_of(*hosts, gateways=("gw1", "gw2")))
    assert [problems(host) for host in plan["hosts"].values()] == [[], []]
    for options in plan["gateway"]["hosts"].values():
        assert _problems("gateway", options["gateway"]) == _problems("preflight", options["preflight"]) == []
        del options["gateway"]["routes"][0]["servers"][0]["port"]
        assert len(_problems("gateway", options["gateway"])) == 1


def test_an_option_that_a_role_does_not_accept_is_noticed() -> None:
    small = {"model": "smollm2-135m-instruct", "gpus": 1, "server": {"http_port": 1, "grpc_port": 2, "metrics_port": 3}}
    plan = host_plan(model="mixtral-8x7b", gpus=4, parallelism={"tensor": 4}, deployments={"small": small})
    assert problems(plan) == []
    default, named = plan["deployments"].values()
    default["triton_service"]["container"]["shm"] = "2g"
    del default["engine_build"]["engine"]["command"]
    named["model_weights"]["snapshots"][0]["offline"] = "perhaps"
    named["model_repo"]["root"] = "/opt/trtllm"
    plan["preflight"]["needs"][1]["shm"]["sise"] = "2g"
    assert len(problems(plan)) == 5


@pytest.mark.parametrize("role", SECTIONS)
def test_a_section_and_its_role_have_the_same_suboptions(role: str) -> None:
    """A role may have more options, for its users. A section has no option that the role lacks."""
    assert_taken(SECTIONS[role], options(role), f"{role}_")


def assert_taken(section: Any, spec: dict[str, Any], prefix: str = "") -> None:
    names = {field.name for field in dataclasses.fields(section)}
    assert {f"{prefix}{name}" for name in names} <= set(spec), section
    hints = get_type_hints(section)
    for name in names:
        inner = [kind for kind in (hints[name], *get_args(hints[name])) if dataclasses.is_dataclass(kind)]
        assert bool(inner) == ("options" in spec[f"{prefix}{name}"]), name
        if inner:
            assert_taken(inner[0], spec[f"{prefix}{name}"]["options"])
