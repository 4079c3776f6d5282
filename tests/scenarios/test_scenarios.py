# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every Molecule scenario is one test, so that scenarios run in parallel with each other and with the site's tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

PROJECT = Path(__file__).resolve().parents[2]
ROLES = {folder.name for folder in (PROJECT / "roles").iterdir()}
# They take longer than all others that are named after a role. The rehearsed site installs most of what they do, and
# unit tests check recorded GPUs as well.
LONG = {
    "docker_vendor",
    "gateway",
    "observability",
    "preflight_gpu",
    "serve_service",
    "triton_service",
    "trtllm_backend",
}

LINES_OF_A_FAILURE = 80

# What they prove rarely changes, and other scenarios prove most of it.
DRILLS = {"airgap_gateway"}


def needs_machine(scenario: Path) -> bool:
    """Whether the scenario needs a virtual machine, whose processor is emulated.

    docs/testing.md lists what each of these proves, and which parts other tests cover.
    """
    return "inventory/machine.yml" in (scenario / "molecule.yml").read_text(encoding="utf-8")


def is_of_one_role(scenario: Path) -> bool:
    """Whether the scenario is named after a role, like `docker` and `docker_vendor`."""
    return any(scenario.name == role or scenario.name.startswith(f"{role}_") for role in ROLES)


def lane(scenario: Path) -> list[pytest.MarkDecorator]:
    if needs_machine(scenario) or scenario.name in DRILLS:
        return [pytest.mark.drill]
    return [] if is_of_one_role(scenario) and scenario.name not in LONG else [pytest.mark.long]


def scenarios() -> list[ParameterSet]:
    found = [file.parent for file in sorted((PROJECT / "molecule").glob("*/molecule.yml"))]
    return [pytest.param(one.name, marks=lane(one)) for one in found]


def what_failed(output: str) -> str:
    """The last lines of `molecule test` before it removes the host."""
    lines = output.partition("destroy: Executed")[2].rpartition("destroy: Executing")[0].splitlines()
    return "\n".join((lines or output.splitlines())[-LINES_OF_A_FAILURE:])


@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str) -> None:
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
    }
    played = subprocess.run(
        [programs / "molecule", "test", "-s", name],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if played.returncode:
        pytest.fail(what_failed(played.stdout), pytrace=False)
