# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""prune.yml lists what no release needs, and only removes it when it is told to and no other run changes the host."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import Owner, acquire
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

# The lease of this machine is in /run. These runs have a /run of their own.
OWN_RUN = 'mount -t tmpfs tmpfs /run && cp -r "$0/." /run/ && exec "$@"'


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> RootFolder:
    root = RootFolder(tmp_path / "trtllm")
    for number in range(3):
        root.release(f"release-{number}", engine=root.chain()["engine"])
    root.serve("release-2", "release-1")
    return root


@pytest.fixture(name="prune")
def fixture_prune(tmp_path: Path, root: RootFolder) -> Callable[..., Run]:
    (tmp_path / "run").mkdir()

    def call(*options: str, **variables: Any) -> Run:
        return Run(
            tmp_path,
            *("-i", "localhost,", *options),
            playbook="prune",
            prefix=["unshare", "--mount", "sh", "-c", OWN_RUN, str(tmp_path / "run")],
            trtllm_hosts="localhost",
            ansible_connection="local",
            ansible_become=False,
            ansible_python_interpreter=sys.executable,
            trtllm_root=str(root.path),
            **variables,
        )

    return call


@pytest.mark.long
def test_it_lists_by_default(prune: Callable[..., Run], root: RootFolder) -> None:
    before = root.files()
    run = prune()
    assert run.rc == 0 and "changed=0" in run.said, run.said
    assert "MB can be freed" in run.said
    assert f"{root.path}/deployments/default/releases/release-0: older than the releases to keep" in run.said
    assert "Remove it with -e trtllm_prune=remove." in run.said and root.files() == before


@pytest.mark.long
def test_the_number_of_releases_to_keep(prune: Callable[..., Run], root: RootFolder) -> None:
    root.serve("release-2")
    assert "releases/release-1" not in prune().said
    run = prune(trtllm_prune_keep=0)
    assert run.rc == 0 and "releases/release-1: older than the releases to keep" in run.said, run.said


@pytest.mark.long
def test_it_predicts_what_it_removes(prune: Callable[..., Run], root: RootFolder) -> None:
    before = root.files()
    run = prune("--check", trtllm_prune="remove")
    assert run.rc == 0 and "changed=1" in run.said and root.files() == before, run.said


@pytest.mark.long
def test_it_removes_when_told_to_and_only_once(prune: Callable[..., Run], root: RootFolder) -> None:
    run = prune(trtllm_prune="remove")
    assert run.rc == 0 and "changed=1" in run.said and "were freed" in run.said, run.said
    releases = sorted(path.name for path in (root.path / "deployments/default/releases").iterdir())
    assert releases == ["release-1", "release-2"]
    assert len([path for path in (root.path / "engine").iterdir() if path.is_dir()]) == 2
    again = prune(trtllm_prune="remove")
    assert again.rc == 0 and "changed=0" in again.said and "there is nothing to remove" in again.said, again.said


@pytest.mark.long
def test_another_run_is_not_disturbed(prune: Callable[..., Run], root: RootFolder, tmp_path: Path) -> None:
    acquire(str(tmp_path / "run/trtllm-lease.json"), Owner("another", "alice", "control-1", 7, "elsewhere"))
    before = root.files()
    run = prune(trtllm_prune="remove")
    assert run.rc != 0 and "alice on control-1 (process 7) is changing this host" in " ".join(run.said.split())
    assert root.files() == before
    listed = prune()
    assert listed.rc == 0 and "is changing this host" in " ".join(listed.said.split()), listed.said


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"trtllm_prune": "delete"}, "trtllm_prune"),
        ({"trtllm_prune": True}, "trtllm_prune"),
        ({"trtllm_prune_keep": "all"}, "trtllm_prune_keep"),
    ],
)
def test_wrong_values_are_refused(
    prune: Callable[..., Run], root: RootFolder, variables: dict[str, Any], says: str
) -> None:
    before = root.files()
    run = prune(**variables)
    assert run.rc != 0 and f"- {says}" in run.said and "Acquire" not in run.said and root.files() == before, run.said
