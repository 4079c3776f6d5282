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


def scenario(file: Path) -> ParameterSet:
    """What needs a whole machine is slow, for its processor is emulated."""
    slow = "inventory/machine.yml" in file.read_text(encoding="utf-8")
    return pytest.param(file.parent.name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("name", [scenario(file) for file in SCENARIOS])
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
