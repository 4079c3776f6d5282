# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend image contains the collection's converter, with everything that it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
UTILS = PROJECT / "plugins" / "module_utils"
PREFIX = "ansible_collections.tritonops.trtllm.plugins.module_utils."


def copied() -> set[Path]:
    """The files that rehearsal/bin/images copies."""
    script = (PROJECT / "rehearsal/bin/images").read_text(encoding="utf-8")
    found = re.search(r'in "\$root"/plugins/module_utils/\{(.+)\}\.py; do', script)
    assert found
    return {file for pattern in found[1].split(",") for file in UTILS.glob(f"{pattern}.py")}


def imported(file: Path) -> Iterator[Path]:
    """The modules that it imports, except for type checking."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PREFIX.rstrip(".")):
            path = UTILS / str(node.module)[len(PREFIX) :].replace(".", "/")
            names = (path / f"{alias.name}.py" for alias in node.names)
            yield from [path.with_suffix(".py")] if path.with_suffix(".py").exists() else names


def test_the_image_has_all_that_the_converter_imports() -> None:
    files = copied()
    assert UTILS / "checkpoint/_native_converter.py" in files
    assert {needed for file in files for needed in imported(file)} - files == set()
