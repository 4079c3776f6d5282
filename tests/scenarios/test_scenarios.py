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
SCENARIOS = sorted((PROJECT / "molecule").glob("*/molecule.yml"))


def is_slow(file: Path) -> bool:
    """What needs a whole machine, for its processor is emulated."""
    return "inventory/machine.yml" in file.read_text(encoding="utf-8")


def scenarios() -> list[ParameterSet]:
    """The slow ones first, so that none of them is left alone at the end."""
    slow = [pytest.param(file.parent.name, marks=[pytest.mark.slow]) for file in SCENARIOS if is_slow(file)]
    return slow + [pytest.param(file.parent.name) for file in SCENARIOS if not is_slow(file)]


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
