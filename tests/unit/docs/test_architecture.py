# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The diagram in the README, docs/architecture.svg, is what scripts/diagram.py draws from docs/architecture.yml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import yaml

PROJECT = Path(__file__).parents[3]
SOURCE, DRAWN = PROJECT / "docs" / "architecture.yml", PROJECT / "docs" / "architecture.svg"


def drawn(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    script = PROJECT / "scripts" / "diagram.py"
    return subprocess.run([sys.executable, script, source, target], text=True, capture_output=True, check=False)


def test_the_diagram_is_drawn_from_its_source(tmp_path: Path) -> None:
    assert drawn(SOURCE, tmp_path / "drawn.svg").returncode == 0
    assert DRAWN.read_bytes() == (tmp_path / "drawn.svg").read_bytes(), "run `make docs`"


def test_the_diagram_is_well_formed_and_has_all_text() -> None:
    diagram = yaml.safe_load(SOURCE.read_text())
    wanted = [line for box in diagram["boxes"].values() for line in box["text"]]
    found = [element.text for element in ElementTree.parse(DRAWN).iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(map(str, found)) == sorted([*wanted, *diagram["groups"]])


def test_text_that_does_not_fit_into_its_box_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.yml"
    source.write_text("title: t\nboxes: {wide: {at: [0, 0], text: [" + "x" * 40 + "]}}\ngroups: {}\narrows: []\n")
    refused = drawn(source, tmp_path / "drawn.svg")
    assert refused.returncode != 0
    assert "box wide: more than 26 characters" in refused.stderr
