# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/operations.md says what to do on each status and code of a gateway."""

from __future__ import annotations

import re

from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import PROJECT, ROLES, load

REFUSAL = re.compile(r"refuse\((\d+), '\w+', '(\w+)'")


def test_every_code_is_explained() -> None:
    template = (ROLES / "gateway/templates/haproxy.cfg.j2").read_text()
    codes = {(int(status), code) for status, code in REFUSAL.findall(template)}
    assert len(codes) > 10
    codes |= {
        (status, code) for status, _kind, code, _message in load(ROLES / "haproxy/vars/main.yml")["__haproxy_errors"]
    }
    page = (PROJECT / "docs/operations.md").read_text()
    explained = {(int(status), code) for status, code in re.findall(r"^\| (\d{3}) `(\w+)` \|", page, re.MULTILINE)}
    assert explained == codes
