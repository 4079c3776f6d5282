# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the roles' variables is complete and correct."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())

Options = t.Dict[str, t.Dict[str, t.Any]]


def options_of(role: str) -> Options:
    entry_points = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: spec for entry in entry_points.values() for name, spec in entry.get("options", {}).items()}


def incomplete(options: Options, prefix: str = "") -> t.Iterator[str]:
    """Options at any depth that lack a description or a type, and lists without the type of their elements."""
    for name, spec in options.items():
        if not spec.get("description") or not spec.get("type") or (spec["type"] == "list" and not spec.get("elements")):
            yield prefix + name
        yield from incomplete(spec.get("options", {}), f"{prefix}{name}.")


def test_roles_are_found() -> None:
    assert {"preflight", "docker", "nvidia_ctk", "host_python", "triton_service"} <= set(NAMES)


@pytest.mark.parametrize("role", NAMES)
def test_options_and_defaults_have_the_same_names(role: str) -> None:
    options = options_of(role)
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()) or {}
    required = {name for name, spec in options.items() if spec.get("required")}
    assert set(defaults) == set(options) - required
    assert [name for name in options if not name.startswith(role + "_")] == []


@pytest.mark.parametrize("role", NAMES)
def test_every_option_is_described(role: str) -> None:
    assert list(incomplete(options_of(role))) == []


@pytest.mark.parametrize("role", NAMES)
def test_literal_defaults_are_the_documented_ones(role: str) -> None:
    """A default that is a template cannot be documented as a value."""
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text()) or {}
    documented = {name: spec.get("default") for name, spec in options_of(role).items()}
    literal = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    assert literal == {name: documented[name] for name in literal}


@pytest.mark.parametrize("role", NAMES)
def test_readme_has_every_variable(role: str) -> None:
    readme = (ROLES / role / "README.md").read_text()
    assert set(re.findall(r"^\| `([a-z_]+)` \|", readme, re.MULTILINE)) == set(options_of(role))
    assert f"tritonops.trtllm.{role}" in readme, "the README has an example"


def code_of(role: str) -> str:
    folders = (ROLES / role / name for name in ("tasks", "vars", "templates"))
    return "".join(path.read_text() for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("sentences", "marks"),
    [
        (
            ("Needs facts about the host", "needs facts about the host"),
            ("ansible_facts[", "tritonops.trtllm.packages\n"),
        ),
        (
            ("Records the host's state below", "state before the first change is recorded below"),
            (
                "tritonops.trtllm.host_record:",
                "tritonops.trtllm.deployment_watchdog:",
                "tritonops.trtllm.service_files:",
            ),
        ),
    ],
    ids=["facts", "record"],
)
def test_what_a_role_needs_and_keeps_when_it_is_used_alone_is_documented(
    sentences: tuple[str, str], marks: tuple[str, ...]
) -> None:
    wanted = {role for role in NAMES if any(mark in code_of(role) for mark in marks)}
    for sentence, file in zip(sentences, ("meta/argument_specs.yml", "README.md")):
        assert {role for role in NAMES if sentence in (ROLES / role / file).read_text()} == wanted
    assert "docker" in wanted
