# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""site.yml passes documented variables to the roles, and the variables in the sample inventory are used."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _sections
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_checks import ONLY_FOR_SERVE
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import request_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files import read_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import (
    INTERNAL,
    VARIABLES,
    unknown_names,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, host, host_plan

PROJECT = Path(__file__).parents[3]
OF_DEPLOYMENT = {
    "trtllm_backend": _sections.TrtllmBackend,
    "model_weights": _sections.ModelWeights,
    "engine_build": _sections.EngineBuild,
    "model_repo": _sections.ModelRepo,
    "triton_service": _sections.TritonService,
    "serve_service": _sections.ServeService,
}


def options_of(role: str) -> set[str]:
    """The options of all entry points of a role."""
    entries = yaml.safe_load((PROJECT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name for entry in entries.values() for name in entry.get("options", {})}


def role_options() -> set[str]:
    return set().union(*(options_of(path.name) for path in PROJECT.glob("roles/*")))


def tasks_in(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_in(task.get(part, []))


def handed_over() -> dict[str, dict[str, str]]:
    """The variables that the role deployment passes to each role, and their values."""
    found: dict[str, dict[str, str]] = {}
    for file in PROJECT.glob("roles/deployment/tasks/*.yml"):
        for task in tasks_in(yaml.safe_load(file.read_text())):
            for action in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
                if action in task:
                    role = task[action]["name"].removeprefix("tritonops.trtllm.")
                    found.setdefault(role, {}).update(task.get("vars", {}))
    return found


HANDED_OVER = handed_over()
# Both import release_service, whose options they pass on.
SERVICES = ("serve_service", "triton_service")


def test_the_roles_are_found() -> None:
    assert {"preflight", "storage", "docker", "engine_build", "triton_service"} <= set(HANDED_OVER)


@pytest.mark.parametrize("role", sorted(HANDED_OVER))
def test_every_passed_variable_is_documented_by_its_role(role: str) -> None:
    documented = options_of(role)
    if role in SERVICES:
        documented |= options_of("release_service")
    assert set(HANDED_OVER[role]) - documented == set()


def test_exactly_the_options_of_a_plan_section_are_passed() -> None:
    """An option that is in every plan has no default; an option that some plans omit has one."""
    sections = {"preflight": _sections.Preflight, **OF_DEPLOYMENT}
    for role, section in sections.items():
        plan = "__deployment_host" if role == "preflight" else "__deployment_plan"
        names = {field.name for field in dataclasses.fields(section)}
        given = {name: value for name, value in HANDED_OVER[role].items() if f"{plan}.{role}." in str(value)}
        assert {name for text in given.values() for name in re.findall(rf"{plan}\.{role}\.(\w+)", text)} <= names
        assert {f"{role}_{name}" for name in names} <= set(HANDED_OVER[role]), role


def test_values_that_are_read_from_a_plan_are_in_every_plan() -> None:
    """Or they have a default, because a role uses the plans of several profiles and versions."""
    plans = [accepted(profile=profile, release="0.19.0", image=IMAGE) for profile in ("engine", "llmapi")]
    plans += [accepted(profile="serve", release=release, image=IMAGE) for release in ("1.0.0", "1.3.0rc29")]
    text = "".join(str(value) for values in HANDED_OVER.values() for value in values.values())
    read = re.findall(r"__deployment_plan\.(\w+)\.(\w+)( \| default)?", text)
    assert len(read) > 15
    for section, name, default in read:
        made = [plan[section] for plan in plans if plan.get(section)]
        assert made and all(default or name in values for values in made), (section, name)


SAMPLE = (PROJECT / "inventories/sample/group_vars/trtllm.yml").read_text()


def shown() -> dict[str, Any]:
    """The variables in the sample inventory, including those in comments."""
    lines = re.findall(r"^(?:# )?(trtllm_[a-z_]+: .+)$", SAMPLE, re.MULTILINE)
    variables: dict[str, Any] = yaml.safe_load("\n".join(lines))
    assert len(variables) == len(lines)
    return variables


def read_by(*globs: str) -> set[str]:
    """The names in the files, except those of plugins and roles."""
    text = "".join(path.read_text() for pattern in globs for path in PROJECT.glob(pattern))
    return set(re.findall(r"(?<!trtllm\.)\btrtllm_[a-z_]+", text)) - {path.name for path in PROJECT.glob("roles/*")}


def test_the_variables_are_exactly_those_that_are_read() -> None:
    read = read_by("playbooks/**/*.yml", "roles/deployment/*/*.yml") - role_options()
    planned = {name for name, variable in VARIABLES.items() if variable.request or variable.plan}
    assert read | planned == VARIABLES.keys() | INTERNAL


def test_roles_only_read_their_own_options() -> None:
    """The tasks of other roles only mention variables of the playbooks in messages."""
    assert read_by("roles/*/tasks/*.yml", "roles/*/defaults/*.yml") - role_options() <= VARIABLES.keys() | INTERNAL


def test_the_sample_inventory_shows_exactly_the_variables() -> None:
    assert set(shown()) == set(VARIABLES)


@pytest.mark.parametrize(
    "path",
    [
        str(path.relative_to(PROJECT))
        for glob in ("inventories", "molecule/*/vars")
        for path in PROJECT.glob(f"{glob}/**/*.yml")
    ],
)
def test_no_inventory_has_an_unknown_variable(path: str) -> None:
    names = re.findall(r"^ *(trtllm_[a-z_]+):", (PROJECT / path).read_text(), re.MULTILINE)
    assert unknown_names(names) == []


def test_defaults_in_the_sample_inventory_are_correct() -> None:
    model = {"model": shown()["trtllm_model"]}
    examples = (
        *("parallelism", "gpus", "sources", "tokenizer", "repository_parameters", "repository_overrides"),
        *(
            "preflight_gpus",
            "convert_options",
            "build_options",
            "limits",
            "price_per_hour",
            "session_header",
            "fanout",
            *ONLY_FOR_SERVE,
        ),
    )
    everything = {name: value for name, value in request_of(shown()).items() if name not in examples}
    assert host_plan(**everything) == host_plan(**model)


def for_triton() -> dict[str, Any]:
    return {name: value for name, value in request_of(shown()).items() if name not in ONLY_FOR_SERVE}


def test_examples_in_the_sample_inventory_can_be_used() -> None:
    request = for_triton()
    accepted(**request)
    of_serve = {name: request_of(shown())[name] for name in ONLY_FOR_SERVE}
    plan = accepted(profile="serve", model=request["model"], release=request["release"], **of_serve)
    assert plan["serve_service"]["endpoint"]["model"] == of_serve["served_model_name"]
    facts = read_facts(["one"], None, shown()["trtllm_host_shape"], CATALOGUE)
    assert len(facts["one"]["gpus"]) == 8


def test_deployments_in_the_sample_inventory_can_be_used_with_its_model() -> None:
    """On a host with one GPU more than the model uses."""
    gpus = [{**host()["gpus"][0], "index": index} for index in range(9)]
    found = host_plan(host(gpus=gpus), **{**for_triton(), "deployments": shown()["trtllm_deployments"]})
    assert found["refusals"] == [] and len(found["deployments"]) == 2
