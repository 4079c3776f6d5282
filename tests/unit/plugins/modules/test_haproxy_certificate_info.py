# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How HAProxy's answers about certificates are read. tests/unit/gateway has those of a running HAProxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._certificates import files, validities
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError
from ansible_collections.tritonops.trtllm.plugins.modules import haproxy_certificate_info
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module

# 2026-11-28T12:00:00Z
NOW = 1795867200.0
TWO = """\
Filename: /etc/trtllm/gateway/ca.pem
Status: Used

Certificate #1:
notBefore: Nov 28 17:09:39 2026 GMT
notAfter: Nov 29 11:00:00 2026 GMT
Subject: /CN=old
Issuer: /CN=old

Certificate #2:
notAfter: Nov 27 13:00:00 2026 GMT
Subject: /CN=new
Chain Subject: /CN=other
"""


def test_each_certificate_has_its_end() -> None:
    assert validities(TWO, NOW) == [
        {"subject": "/CN=old", "expires": "2026-11-29T11:00:00Z", "days_left": 0},
        {"subject": "/CN=new", "expires": "2026-11-27T13:00:00Z", "days_left": -1},
    ]


def test_another_answer_is_an_error() -> None:
    with pytest.raises(HAProxyError, match="Not found"):
        validities("Can't display the CA file : Not found!", NOW)


def test_only_files_are_listed() -> None:
    assert files("# filename\n/etc/a b.pem\n\n/etc/ca.pem - 2 certificate(s)\n@system-ca - 140 certificate(s)") == [
        "/etc/a b.pem",
        "/etc/ca.pem",
    ]


def test_without_haproxy_nothing_is_returned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_module(haproxy_certificate_info, capsys, socket=str(tmp_path / "socket"))
    assert not result.get("failed") and not result["running"] and result["certificates"] == []
