# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clock, limits, SELinux and firewall, by what their programs and files say."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._system_state import (
    Firewall,
    SELinux,
    check_clock,
    check_firewall,
    check_limits,
    check_selinux,
    check_shm,
    is_synchronised,
    look_at_firewall,
    look_at_selinux,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.programs import FakeModule

GIB = 1 << 30
OUTSIDE = [{"port": 8000, "address": "0.0.0.0"}, {"port": 8001, "address": "127.0.0.1"}]


def only(findings: t.Sequence[Finding]) -> tuple[str, str, str]:
    (finding,) = findings
    return f"{finding['severity']} {finding['id']}", finding["message"], finding["remedy"]


@pytest.mark.parametrize(("answer", "known"), [("yes\n", True), ("no\n", False), (None, None)])
def test_clock(answer: str | None, known: bool | None) -> None:
    found = is_synchronised(FakeModule({"timedatectl": answer}), 5)
    assert found is known
    findings = check_clock(found)
    assert bool(findings) is (known is False)
    if findings:
        what, message, remedy = only(findings)
        assert what == "warning clock" and "not synchronised" in message and "chronyd" in remedy


def test_without_anybody_to_ask_the_clock_is_not_judged() -> None:
    assert check_clock(is_synchronised(FakeModule({}), 5)) == []


def test_shm() -> None:
    assert check_shm(2 * GIB, 8, 64 * GIB, "my_shm") == []
    assert check_shm(GIB // 16, 1, 64 * GIB, "my_shm") == []
    what, message, remedy = only(check_shm(64 * GIB, 8, 8 * GIB, "my_shm"))
    assert what == "error shm" and "a /dev/shm of 68.7 GB is asked for" in message and "my_shm" in remedy
    what, message, remedy = only(check_shm(GIB // 16, 8, 64 * GIB, "my_shm"))
    assert what == "warning shm" and "little for 8 ranks" in message and "ask for more in my_shm" in remedy


def limited(tmp_path: Path, capabilities: str) -> str:
    (tmp_path / "1").mkdir()
    (tmp_path / "1/status").write_text(f"Name:\tsystemd\nCapBnd:\t{capabilities}\n")
    (tmp_path / "1/limits").write_text(
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max stack size            8388608              unlimited            bytes     \n"
        "Max locked memory         65536                8388608              bytes     \n"
        "Max open files            1024                 4096                 files     \n"
    )
    return str(tmp_path)


def test_limits_that_cannot_be_raised(tmp_path: Path) -> None:
    proc = limited(tmp_path, "000001fffeffffff")
    what, message, remedy = only(check_limits(["memlock=-1", "stack=67108864", "nofile=1024:4096"], "my_limits", proc))
    assert what == "warning ulimits" and message.endswith("asks for: memlock=-1") and "my_limits" in remedy
    assert "nofile=1024:8192" in only(check_limits(["nofile=1024:8192"], "my_limits", proc))[1]
    assert check_limits([], "my_limits", proc) == []


def test_who_may_raise_limits_is_not_bound_by_them(tmp_path: Path) -> None:
    assert check_limits(["memlock=-1"], "ulimits", limited(tmp_path, "000001ffffffffff")) == []


def test_selinux_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "enforce").write_text("1")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/daemon.json").write_text('{"selinux-enabled": true}')
    found = look_at_selinux(str(tmp_path), str(tmp_path / "enforce"), str(tmp_path))
    assert (found.enforcing, found.containers) == (True, True)
    for text in ("", "[]", "not JSON", "{}"):
        (tmp_path / "docker/daemon.json").write_text(text)
        assert not look_at_selinux(str(tmp_path), str(tmp_path / "none"), str(tmp_path)).containers


@pytest.mark.parametrize(
    ("found", "ids"),
    [
        (SELinux(False, True, "unlabeled_t"), []),
        (SELinux(True, False, "usr_t"), []),
        (SELinux(True, False, None), []),
        (SELinux(True, False, "unlabeled_t"), ["selinux_label"]),
        (SELinux(True, True, "usr_t"), ["selinux_containers"]),
        (SELinux(True, True, "mnt_t"), ["selinux_containers", "selinux_label"]),
    ],
)
def test_selinux(found: SELinux, ids: list[str]) -> None:
    findings = check_selinux(found, "/data/trtllm")
    assert [finding["id"] for finding in findings] == ids
    assert all(finding["severity"] == "warning" for finding in findings)
    assert all("restorecon -R /data/trtllm" in finding["remedy"] for finding in findings)


RUNNING = {"--state": "running\n", "--get-default-zone": "public\n", "--list-ports": "443/tcp 8000/udp\n"}


def test_firewall_is_asked() -> None:
    assert look_at_firewall(FakeModule({"firewall-cmd": RUNNING}), 5) == Firewall("public", "443/tcp 8000/udp")
    assert look_at_firewall(FakeModule({"firewall-cmd": {}}), 5) is None
    assert look_at_firewall(FakeModule({}), 5) is None


def test_a_port_that_clients_need_and_that_is_shut() -> None:
    what, message, remedy = only(check_firewall(Firewall("public", "443/tcp 8000/udp"), OUTSIDE))
    assert (what, message) == ("warning firewall", "firewalld runs and does not have 8000/tcp open in zone public")
    assert "firewall-cmd --permanent --zone=public --add-port=8000/tcp && firewall-cmd --reload" in remedy


@pytest.mark.parametrize("firewall", [None, Firewall("public", "8000/tcp"), Firewall("public", "7000-9000/tcp")])
def test_nothing_in_the_way(firewall: Firewall | None) -> None:
    assert check_firewall(firewall, OUTSIDE) == []


def test_the_loopback_needs_no_way_in() -> None:
    assert check_firewall(Firewall("public", ""), OUTSIDE[1:]) == []
