# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters of the site's benchmark, with real runs of Ansible on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.tests.bench.site_results import (
    BOUNDS,
    Measured,
    NotMeasured,
    check_rolled,
    exceeded,
    is_on_host,
    measured,
    modules_by_host,
    recap,
    rows,
)

PROJECT = Path(__file__).parents[3]
PLAY = """---
- name: One of each kind
  hosts: all
  gather_facts: false
  tasks:
    - name: Run a command
      ansible.builtin.command:
        argv: ["true"]
      changed_when: CHANGED
    - name: Run a module with two items
      ansible.builtin.stat:
        path: "{{ item }}"
      loop: [/, /tmp]
    - name: Run a module on the first host only
      ansible.builtin.stat:
        path: /
      run_once: true
    - name: Skip a module
      ansible.builtin.stat:
        path: /
      when: false
    - name: Run a module on the control node
      ansible.builtin.stat:
        path: /
      delegate_to: localhost
    - name: Fail without consequences
      ansible.builtin.command:
        argv: ["false"]
      changed_when: false
      failed_when: false
    - name: Set a fact
      ansible.builtin.set_fact:
        fact: 1
    - name: Check the fact
      ansible.builtin.assert:
        that: fact == 1
        quiet: true
"""


def play(folder: Path, changed: str = "false", hosts: str = "one,two") -> tuple[str, str]:
    """The output of Ansible and of the callback."""
    playbook, results = folder / "play.yml", folder / "results.jsonl"
    playbook.write_text(PLAY.replace("CHANGED", changed))
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "tests" / "bench" / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_results",
        "BENCH_TASK_RESULTS": str(results),
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [
        program,
        "-i",
        f"{hosts},",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        playbook,
    ]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=True)
    return done.stdout, results.read_text()


def test_a_run_is_measured_by_the_host_with_the_most_tasks(tmp_path: Path) -> None:
    output, results = play(tmp_path)
    # Each host runs three modules; the first one runs another one with run_once.
    assert modules_by_host(results) == {"one": 4, "two": 3}
    assert {host: count["ok"] for host, count in recap(output).items()} == {"one": 7, "two": 6}
    assert measured(output, results, 3.5, 2.5) == Measured(hosts=2, wall=3.5, cpu=2.5, tasks=7, modules=4)


@pytest.mark.long
def test_a_run_that_changes_something_is_not_measured(tmp_path: Path) -> None:
    output, results = play(tmp_path, changed="inventory_hostname == 'two'")
    with pytest.raises(NotMeasured, match=r"two: changed=1\ntwo: Run a command$"):
        measured(output, results, 1, 1)


def test_a_run_that_did_not_finish_is_not_measured() -> None:
    with pytest.raises(NotMeasured, match="did not finish:\nERROR! no such file"):
        measured("ERROR! no such file", "", 1, 1)
    with pytest.raises(NotMeasured, match="should not change anything"):
        measured("PLAY RECAP ****\n\n", "", 1, 1)


def test_an_unreachable_host_is_reported() -> None:
    output = "PLAY RECAP ***\nbench-1 : ok=1    changed=0    unreachable=1    failed=0    skipped=2\n"
    with pytest.raises(NotMeasured, match="bench-1: unreachable=1"):
        measured(output, "", 1, 1)


def test_a_roll_that_left_a_host_out_is_not_measured() -> None:
    rolled = {"changed": 3, "failed": 0, "unreachable": 0}
    check_rolled({"one": rolled, "two": rolled})
    for name, count in (("changed", 0), ("failed", 1), ("unreachable", 1)):
        with pytest.raises(NotMeasured, match="not rolled: two"):
            check_rolled({"one": rolled, "two": {**rolled, name: count}})
    with pytest.raises(NotMeasured, match="not rolled: all"):
        check_rolled({})


@pytest.mark.parametrize(
    ("action", "delegated", "on_host"),
    [
        ("ansible.builtin.command", False, True),
        ("ansible.builtin.setup", False, True),
        ("tritonops.trtllm.preflight_info", False, True),
        ("ansible.builtin.command", True, False),
        ("ansible.builtin.include_tasks", False, False),
        ("ansible.builtin.import_role", False, False),
        ("ansible.builtin.validate_argument_spec", False, False),
        ("debug", False, False),
        ("tritonops.trtllm.trtllm_plan", False, False),
        ("tritonops.trtllm.show", False, False),
        ("tritonops.trtllm.host_lease", False, True),
    ],
)
def test_which_tasks_run_a_module_on_the_host(action: str, delegated: bool, on_host: bool) -> None:
    assert is_on_host(action, delegated) is on_host


def test_bounds_apply_to_one_host() -> None:
    assert exceeded(BOUNDS) == []
    slow = Measured(hosts=1, wall=30.5, cpu=15, tasks=46, modules=25)
    assert exceeded(slow) == ["tasks 46, at most 45", "wall 30.5, at most 30"]
    assert exceeded(Measured(hosts=2, wall=99, cpu=99, tasks=99, modules=99)) == []


def test_rows_of_the_report() -> None:
    assert rows([Measured(hosts=2, wall=3.456, cpu=2.04, tasks=7, modules=4)]) == [(2, 7, 4, "3.5", "2.0")]
