# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook that matches no host, or not the intended ones, fails before it does anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT, Run

PLAYBOOKS = sorted(PROJECT.glob("playbooks/*.yml"))
SHAPE = {"trtllm_model": "mixtral-8x7b", "trtllm_host_shape": "BM.GPU4.8"}


@pytest.fixture(name="inventory")
def fixture_inventory(tmp_path: Path) -> str:
    path = tmp_path / "hosts.json"
    groups = {"gpus": {"hosts": {"g1": {}, "g2": {}}}, "web": {"hosts": {"w1": {}}}, "trtllm": {"hosts": {}}}
    path.write_text(json.dumps(groups))
    return str(path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("playbook", "options", "variables", "says"),
    [
        ("plan", [], SHAPE, "has no host in the group trtllm: add the hosts to it, or set the group or pattern"),
        (
            "verify",
            [],
            {"trtllm_hosts": "gpu"},
            "trtllm_hosts = 'gpu' matches no host in the inventory (did you mean gpus?)",
        ),
        (
            "teardown",
            ["--limit", "w1"],
            {"trtllm_hosts": "gpus"},
            "--limit w1 excludes every host of this play; it needs one of: g1, g2",
        ),
        (
            "convert",
            ["--limit", "g1"],
            {"trtllm_hosts": "gpus", **SHAPE},
            "--limit g1 excludes every host of this play; it needs one of: localhost",
        ),
    ],
)
def test_a_pattern_that_matches_no_host_is_refused(
    tmp_path: Path, inventory: str, playbook: str, options: list[str], variables: dict[str, Any], says: str
) -> None:
    run = Run(tmp_path, "-i", inventory, *options, playbook=playbook, **variables)
    assert run.rc != 0 and says in " ".join(run.said.split()), run.said
    assert "localhost" not in run.hosts


def test_without_an_inventory_site_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, playbook="site")
    assert run.rc != 0 and "use an inventory (-i) whose group trtllm contains the hosts" in run.said


def test_an_empty_inventory_does_not_mean_localhost(tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("all: {}\n")
    run = Run(tmp_path, "-i", str(tmp_path / "empty.yml"), **SHAPE)
    assert run.rc != 0 and "empty.yml has no hosts" in run.said and not run.plan


def test_a_group_in_a_pattern_may_be_missing(tmp_path: Path, inventory: str) -> None:
    run = Run(tmp_path, "-i", inventory, "--limit", "g*", trtllm_hosts="gpus:gateways", **SHAPE)
    assert run.rc == 0 and sorted(run.hosts) == ["g1", "g2"], run.said


def test_hosts_that_a_play_adds_are_found(tmp_path: Path) -> None:
    playbook = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.add_host": {"name": "new", "groups": "trtllm"}}],
        },
        {"import_playbook": str(PROJECT / "playbooks/plan.yml"), "vars": {"trtllm_hosts": "trtllm"}},
    ]
    path = tmp_path / "added.yml"
    path.write_text(json.dumps(playbook))
    run = Run(tmp_path, playbook=str(path.with_suffix("")), **SHAPE)
    assert run.rc == 0 and "== new" in run.said, run.said


@pytest.mark.long
@pytest.mark.parametrize(
    ("removed", "says"),
    [
        ("g11", "trtllm_remove = 'g11' is not a host of this play (did you mean g1?)"),
        ("w1", "trtllm_remove = 'w1' is not a host of this play"),
        (["g1", "g2"], "would leave no host: to remove all of them, run teardown"),
    ],
)
def test_a_host_that_cannot_be_removed_is_refused(tmp_path: Path, inventory: str, removed: Any, says: str) -> None:
    run = Run(tmp_path, "-i", inventory, playbook="site", trtllm_hosts="gpus", trtllm_remove=removed)
    assert run.rc != 0 and says in " ".join(run.said.split()), run.said


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_play_looks_up_its_hosts(path: Path) -> None:
    """Except those for gateways, which an inventory need not have, and rolls, which may have nothing to do."""
    plays = [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]
    optional = ("{{ groups['gateway'] | default([]) }}", "{{ lookup('tritonops.trtllm.roll'")
    others = [play for play in plays if not play["hosts"].startswith(optional)]
    assert [play["name"] for play in others if "lookup('tritonops.trtllm.hosts'" not in play["hosts"]] == []


@pytest.mark.long
def test_playbooks_can_be_parsed_without_an_inventory() -> None:
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    for option in ("--syntax-check", "--list-tasks"):
        done = subprocess.run(
            [program, option, *PLAYBOOKS], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
