# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify.yml and rollback.yml say what is missing if there is no release."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run


@pytest.mark.parametrize(
    ("playbook", "deployments", "says"),
    [
        ("verify", [], "Nothing is deployed on this host"),
        ("verify", ["chat"], "There is no release to prove: {}/deployments/chat/current does not exist or is broken."),
        ("rollback", [], "Nothing is deployed on this host"),
        ("rollback", ["chat"], "There is no release to roll back to: {}/deployments/chat/previous does not exist"),
    ],
)
def test_a_host_without_a_release(tmp_path: Path, playbook: str, deployments: list[str], says: str) -> None:
    root = tmp_path / "data"
    for name in deployments:
        (root / "deployments" / name / "releases").mkdir(parents=True)
    run = Run(
        tmp_path,
        *("-i", "localhost,", "-v"),
        playbook=playbook,
        trtllm_hosts="localhost",
        ansible_connection="local",
        ansible_become=False,
        ansible_python_interpreter=sys.executable,
        trtllm_root=str(root),
    )
    assert run.rc != 0 and says.format(root) in " ".join(run.said.split()), run.said
