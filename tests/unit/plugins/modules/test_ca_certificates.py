# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our files in the folder of local CAs; the tool only runs if the bundle is older than the files."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import ca_certificates
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, failure, run_module

PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
ONE = {"name": "one", "content": PEM.format("AAAA")}
TWO = {"name": "two", "content": PEM.format("BBBB")}
# Like the distributions' tools: creates a bundle of all files, and replaces the old one.
TOOL = """#!/bin/sh
echo "$@" >> "{log}"
cat "{folder}"/*.crt > "{bundle}.new" 2>/dev/null
mv "{bundle}.new" "{bundle}"
"""


class System:
    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.bundle, self.log, self.tool = (root / name for name in ("anchors", "bundle", "log", "tool"))
        self.folder.mkdir()
        (self.folder / "of-others.crt").write_text(PEM.format("CCCC"))
        self.have_tool(TOOL)
        self.bundle.touch()
        self._capsys = capsys

    def have_tool(self, script: str) -> None:
        self.tool.write_text(script.format(log=self.log, folder=self.folder, bundle=self.bundle))
        self.tool.chmod(0o755)

    def arguments(self, certificates: t.Sequence[dict[str, str]]) -> dict[str, t.Any]:
        return {
            "certificates": list(certificates),
            "folder": str(self.folder),
            "bundle": str(self.bundle),
            "update": [str(self.tool)],
            "update_after_removal": [str(self.tool), "--fresh"],
        }

    def run(self, *certificates: dict[str, str], check: bool = False) -> Result:
        result = run_module(ca_certificates, self._capsys, check=check, **self.arguments(certificates))
        assert not result.get("failed"), result
        return result

    def failure(self, *certificates: dict[str, str]) -> str:
        return failure(ca_certificates, self._capsys, **self.arguments(certificates))

    def runs_of_the_tool(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture(name="system")
def fixture_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> System:
    return System(tmp_path, capsys)


def test_certificates_are_added_kept_and_removed(system: System) -> None:
    first = system.run(ONE, TWO)
    assert (first["changed"], first["added"]) == (True, ["trtllm-one.crt", "trtllm-two.crt"])
    assert ONE["content"] in system.bundle.read_text()
    assert not system.run(ONE, TWO)["changed"]
    assert system.runs_of_the_tool() == [""]
    last = system.run(TWO)
    assert (last["changed"], last["removed"]) == (True, ["trtllm-one.crt"])
    assert system.runs_of_the_tool() == ["", "--fresh"]
    assert ONE["content"] not in system.bundle.read_text()
    assert PEM.format("CCCC") in system.bundle.read_text(), "files of others stay"


def test_other_users_can_read_them(system: System, strict_umask: None) -> None:
    """Their programs also look up CAs."""
    system.run(ONE)
    assert [path.stat().st_mode & 0o777 for path in (system.folder / "trtllm-one.crt", system.bundle)] == [0o644, 0o644]


def test_check_mode_predicts_and_changes_nothing(system: System) -> None:
    predicted = system.run(ONE, check=True)
    assert sorted(path.name for path in system.folder.iterdir()) == ["of-others.crt"]
    assert not system.runs_of_the_tool()
    done = system.run(ONE)
    assert {key: predicted[key] for key in ("changed", "added", "diff")} == {
        key: done[key] for key in ("changed", "added", "diff")
    }
    assert not system.run(ONE, check=True)["changed"]


@pytest.mark.parametrize("after", [(), (ONE,)], ids=["taken out", "added"])
def test_a_run_killed_before_the_tool_is_completed(system: System, after: tuple[dict[str, str], ...]) -> None:
    if not after:
        system.run(ONE)
    system.have_tool("#!/bin/sh\nexit 1\n")
    system.failure(*after)
    system.have_tool(TOOL)
    assert system.run(*after)["changed"]
    assert (ONE["content"] in system.bundle.read_text()) == bool(after)
    assert not system.run(*after)["changed"]


def test_a_tool_without_effect_is_a_failure(system: System) -> None:
    system.have_tool('#!/bin/sh\necho > "{bundle}"\n')
    assert "does not have trtllm-one.crt" in system.failure(ONE)


def test_errors_quote_the_tool(system: System) -> None:
    system.have_tool("#!/bin/sh\necho no space left >&2; exit 3\n")
    assert "exit code 3: no space left" in system.failure(ONE)
    system.tool.unlink()
    assert "install its package ca-certificates" in system.failure(ONE)
