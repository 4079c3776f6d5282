# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/testing.md mentions every Molecule scenario."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[3]


def test_every_scenario_is_named() -> None:
    scenarios = {file.parent.name for file in (PROJECT / "molecule").glob("*/molecule.yml")}
    assert scenarios - set(re.findall(r"`(\w+)`", (PROJECT / "docs/testing.md").read_text(encoding="utf-8"))) == set()
