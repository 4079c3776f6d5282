# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""teardown.yml refuses root folders of others and bad options before it changes anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT, Run
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Rendered


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        pytest.param({"trtllm_keep": "[weights,engine]"}, "must be a list", marks=pytest.mark.long),
        ({"trtllm_keep": "weights"}, "must be a list"),
        pytest.param({"trtllm_keep": {"weights": True}}, "must be a list", marks=pytest.mark.long),
        ({"trtllm_keep": ["wieghts"]}, "value of keep must be one or more of"),
        pytest.param({}, "has no .trtllm, which marks a root folder of this collection", marks=pytest.mark.long),
        ({"trtllm_root": "/etc"}, "is a system folder"),
        pytest.param({"trtllm_root": "/srv/../etc"}, "must not contain ..", marks=pytest.mark.long),
    ],
)
def test_bad_requests_are_refused(tmp_path: Path, variables: dict[str, Any], says: str) -> None:
    root = tmp_path / "data"
    (root / "postgres").mkdir(parents=True)
    if "trtllm_keep" in variables:
        (root / ".trtllm").touch()
    # In check mode, because it would change this machine if it were not refused.
    run = Run(
        tmp_path,
        *("-i", "localhost,", "--check", "-v"),
        playbook="teardown",
        trtllm_hosts="localhost",
        ansible_connection="local",
        ansible_become=False,
        ansible_python_interpreter=sys.executable,
        **{"trtllm_root": str(root), **variables},
    )
    assert run.rc != 0 and says in " ".join(run.said.split()), run.said
    assert "Stop and remove the service" not in run.said


def test_what_is_not_restored_is_listed_with_its_reasons() -> None:
    found = Rendered(
        PROJECT / "playbooks/vars/teardown.yml",
        __trtllm_teardown_restored={"remaining": {"package runc": "foo needs it"}, "remaining_parts": ["docker"]},
        __trtllm_teardown_root_folder={"left": ["/opt/trtllm/mine"]},
        __trtllm_teardown_plan={"unavailable": ["docker-doc 1"]},
    )
    assert found["__trtllm_teardown_not_restored"] == [
        "package runc: foo needs it",
        "/opt/trtllm/mine: was not made by this collection",
        "unavailable: docker-doc 1",
    ]
    found.variables["__trtllm_teardown_restored"]["remaining"] = {}
    found.variables.update(__trtllm_teardown_root_folder={"left": []}, __trtllm_teardown_plan={"unavailable": []})
    assert found["__trtllm_teardown_not_restored"] == []
