# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are packed from module_utils."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.watchdog._program import (
    MODULE_UTILS,
    PACKAGE,
    NotSelfContained,
    closure,
    pack,
)


@pytest.fixture(name="sources")
def fixture_sources(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    files = {
        "a/_main.py": f"from {PACKAGE}.a import _one\nfrom {PACKAGE}._two import name\n"
        "def main(arguments):\n    print(_one.name, name, arguments)\n    return 7\n",
        "a/_one.py": "import typing as t\nname = 'one'\nif t.TYPE_CHECKING:\n    from ansible import basic\n",
        "_two.py": "name = 'two'\n",
        "_unused.py": "",
    }
    for path, source in files.items():
        (tmp_path / path).write_text(source, encoding="utf-8")
    return tmp_path


def test_only_what_is_imported_is_packed(sources: Path) -> None:
    assert sorted(closure("a._main", sources)) == ["_two.py", "a/_main.py", "a/_one.py"]


def test_a_packed_program_runs_without_anything_else(sources: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.pyz"
    program.write_bytes(pack("a._main", sources))
    done = subprocess.run(
        [sys.executable, "-I", "-S", program, "x"], check=False, capture_output=True, text=True, cwd="/"
    )
    assert (done.returncode, done.stdout) == (7, "one two ['x']\n"), done


def test_the_same_sources_make_the_same_file(sources: Path) -> None:
    first = pack("a._main", sources)
    assert pack("a._main", sources) == first
    (sources / "_two.py").write_text("name = 'other'\n", encoding="utf-8")
    assert pack("a._main", sources) != first


@pytest.mark.parametrize("line", ["import ansible.release", "from ansible.module_utils.basic import AnsibleModule"])
def test_a_program_that_needs_ansible_is_refused(sources: Path, line: str) -> None:
    (sources / "_two.py").write_text(f"{line}\nname = 'two'\n", encoding="utf-8")
    with pytest.raises(NotSelfContained, match=r"_two imports ansible"):
        pack("a._main", sources)


def test_the_watchdog_is_self_contained() -> None:
    sources = closure("watchdog._program")
    assert "watchdog/_decision.py" in sources and "checks/_xid.py" in sources
    assert len(sources) < len(list(MODULE_UTILS.rglob("*.py"))) / 2
