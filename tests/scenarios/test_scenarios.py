# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every Molecule scenario as one test, so that scenarios run beside each other and beside the tests of the site."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

PROJECT = Path(__file__).resolve().parents[2]
ROLES = {folder.name for folder in (PROJECT / "roles").iterdir()}


def on_machine(scenario: Path) -> bool:
    """Whether it needs a whole machine, whose processor is emulated.

    docs/testing.md says what each of these proves, and what of it is proved elsewhere.
    """
    return "inventory/machine.yml" in (scenario / "molecule.yml").read_text(encoding="utf-8")


def is_a_roles(scenario: Path) -> bool:
    """Whether it is named for one role, as `docker` and `docker_vendor` are."""
    return any(scenario.name == role or scenario.name.startswith(f"{role}_") for role in ROLES)


def lane(scenario: Path) -> list[pytest.MarkDecorator]:
    if on_machine(scenario):
        return [pytest.mark.drill]
    return [] if is_a_roles(scenario) else [pytest.mark.long]


def scenarios() -> list[ParameterSet]:
    found = [file.parent for file in sorted((PROJECT / "molecule").glob("*/molecule.yml"))]
    return [pytest.param(one.name, marks=lane(one)) for one in found]


@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str) -> None:
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
    }
    # What it prints is shown when it fails.
    played = subprocess.run([programs / "molecule", "test", "-s", name], cwd=PROJECT, env=environment, check=False)
    assert played.returncode == 0
