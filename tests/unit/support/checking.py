# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for checks: the only finding, and a host with simulated programs."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import Finding
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
from ansible_collections.tritonops.trtllm.tests.unit.support.programs import FakeModule


def only(findings: t.Iterable[Finding]) -> tuple[str, str, str]:
    """The severity, message and remedy of the only finding."""
    (finding,) = findings
    return finding.severity, finding.message, finding.remedy


def live_host(programs: t.Mapping[str, t.Any], **needs: t.Any) -> LiveHost:
    module = FakeModule(programs)
    module.params = {"command_timeout": 5, "storage": []}
    return LiveHost(module, needs)
