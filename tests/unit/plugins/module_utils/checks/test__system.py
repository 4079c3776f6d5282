# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the operating system."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._system import (
    Clock,
    Limits,
    Machine,
    Systemd,
    architecture,
    clock,
    os_unsupported,
    os_untested,
    read_limits,
    read_system,
    systemd,
    ulimits,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host, only


def test_architecture() -> None:
    assert list(architecture(["x86_64", "aarch64"], Machine("x86_64"))) == []
    severity, message, _remedy = only(architecture(["x86_64", "aarch64"], Machine("riscv64")))
    assert (severity, message) == ("error", "the architecture is riscv64, supported: x86_64, aarch64")


@pytest.mark.parametrize(
    ("text", "untested", "unsupported"),
    [
        ('ID=debian\nVERSION_ID="12"\n', [], []),
        ('ID=ubuntu\nVERSION_ID="24.04"\n', [], []),
        ("ID=debian\n", [], []),
        ('ID=debian\nVERSION_ID="11"\n', [], ["error"]),
        ('ID=ubuntu\nVERSION_ID="20.04"\n', [], ["error"]),
        ('ID="ol"\nVERSION_ID="9.4"\n', ["warning"], []),
        ("", ["warning"], []),
    ],
)
def test_system(tmp_path: Path, text: str, untested: list[str], unsupported: list[str]) -> None:
    (tmp_path / "os-release").write_text("NAME=x\n" + text)
    supported, found = {"debian": "12", "ubuntu": "22.04"}, read_system(str(tmp_path / "os-release"))
    assert [finding.severity for finding in os_untested(supported, found)] == untested
    assert [finding.severity for finding in os_unsupported(supported, found)] == unsupported


def test_systemd() -> None:
    assert list(systemd(True, Systemd(True))) == []
    assert only(systemd(True, Systemd(False)))[0] == "error"


@pytest.mark.parametrize(("answer", "known"), [("yes\n", True), ("no\n", False), (None, None)])
def test_clock(answer: str | None, known: bool | None) -> None:
    found = Clock.gather(live_host({"timedatectl": answer}))
    assert found.synchronised is known
    findings = list(clock(True, found))
    assert bool(findings) is (known is False)
    if findings:
        severity, message, remedy = only(findings)
        assert severity == "warning" and "not synchronised" in message and "chronyd" in remedy


def test_without_anybody_to_ask_the_clock_is_not_judged() -> None:
    assert list(clock(True, Clock.gather(live_host({})))) == []


def limited(tmp_path: Path, capabilities: str) -> Limits:
    (tmp_path / "status").write_text(f"Name:\tsystemd\nCapBnd:\t{capabilities}\n")
    (tmp_path / "limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max stack size            8388608              unlimited            bytes     \n"
        "Max locked memory         65536                8388608              bytes     \n"
        "Max open files            1024                 4096                 files     \n"
    )
    return read_limits(str(tmp_path))


def test_limits_that_cannot_be_raised(tmp_path: Path) -> None:
    found = limited(tmp_path, "000001fffeffffff")
    severity, message, remedy = only(ulimits(["memlock=-1", "stack=67108864", "nofile=1024:4096"], found))
    assert severity == "warning" and message.endswith("needs: memlock=-1") and "O(ulimits)" in remedy
    assert "nofile=1024:8192" in only(ulimits(["nofile=1024:8192"], found))[1]


def test_limits_do_not_matter_with_the_capability_to_raise_them(tmp_path: Path) -> None:
    assert list(ulimits(["memlock=-1"], limited(tmp_path, "000001ffffffffff"))) == []
