# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Map files of an HAProxy that does not run. tests/unit/gateway has those of a running one."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import haproxy_map
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"path": str(tmp_path / "keys.map"), "socket": str(tmp_path / "socket")}


def run(capsys: pytest.CaptureFixture[str], options: dict[str, Any], **more: Any) -> Result:
    result = run_module(haproxy_map, capsys, **options, **more)
    assert not result.get("failed"), result
    return result


def test_the_file_is_written_once(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, options, entries={"b": "2 3", "a": "1"}, mode="0640")
    assert (first["changed"], first["running"], first["applied"]) == (True, False, False)
    path = Path(options["path"])
    assert path.read_text() == "a 1\nb 2 3\n" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not run(capsys, options, entries={"a": "1", "b": "2 3"}, mode="0640")["changed"]
    assert run(capsys, options, entries={"a": "1", "b": "2 3"}, mode="0600")["changed"]


def test_an_empty_file_is_created_because_haproxy_needs_it(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, options, entries={}, check=True)["changed"] and not Path(options["path"]).exists()
    assert run(capsys, options, entries={}, purge=False)["changed"] and Path(options["path"]).read_text() == ""
    assert not run(capsys, options, entries={}, purge=False)["changed"]


def test_other_entries_stay_without_purge(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path(options["path"]).write_text("# by hand\na 1\nb 2\n")
    run(capsys, options, entries={"b": "3"}, purge=False)
    assert Path(options["path"]).read_text() == "a 1\nb 3\n"
    run(capsys, options, entries={"c": "4"}, purge=False, remove=["a"])
    assert Path(options["path"]).read_text() == "b 3\nc 4\n"
    assert not run(capsys, options, entries={}, purge=False, remove=["a"])["changed"]
    run(capsys, options, entries={"b": "3"})
    assert Path(options["path"]).read_text() == "b 3\n"


@pytest.mark.parametrize(
    "entry",
    [
        {"a b": "1"},
        {"": "1"},
        {"#a": "1"},
        {"@1": "1"},
        {"a": "1\nb 2"},
        {"a": "1; show info"},
        {"a\\": "1"},
        {"a": " 1"},
    ],
    ids=range(8),
)
def test_entries_that_could_be_read_as_commands_are_refused(
    entry: dict[str, str], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be an entry of a map file" in failure(haproxy_map, capsys, **options, entries=entry)
    assert not Path(options["path"]).exists()
