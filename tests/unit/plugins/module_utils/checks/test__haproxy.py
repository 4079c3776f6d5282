# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether HAProxy is new enough."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._haproxy import HAProxyVersion, haproxy_version
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import HAProxy
from ansible_collections.tritonops.trtllm.tests.unit.support.checking import live_host

PROGRAM = "haproxy"
INSTALLED = {PROGRAM: {"-v": "HAProxy version 2.6.12-1+deb12u4 2026/01/01 - https://haproxy.org/\nStatus: long-term\n"}}
CANDIDATE = {"apt-cache": {"policy": "haproxy:\n  Installed: (none)\n  Candidate: 3.0.11-1+deb13u4\n"}}


def gathered(programs: dict[str, t.Any], package: bool = True) -> HAProxyVersion | None:
    return HAProxyVersion.gather(live_host(programs, haproxy=HAProxy("2.8", PROGRAM, package)))


def test_the_version_that_is_installed_or_would_be() -> None:
    assert gathered({**INSTALLED, **CANDIDATE}) == HAProxyVersion("2.6.12")
    assert gathered(CANDIDATE) == HAProxyVersion("3.0.11", installed=False)
    assert gathered(CANDIDATE, package=False) is None
    assert gathered({}) is None


@pytest.mark.parametrize(("found", "errors"), [("2.6.12", 1), ("2.8", 0), ("2.8.25", 0), ("3.0.11", 0), ("2.10", 0)])
def test_the_oldest_version(found: str, errors: int) -> None:
    findings = list(haproxy_version(HAProxy("2.8", PROGRAM), HAProxyVersion(found)))
    assert len(findings) == errors
    for _severity, message, remedy in findings:
        assert message == f"haproxy is HAProxy {found}, but gateways and endpoints need 2.8 or later"
        assert "haproxy_image" in remedy
