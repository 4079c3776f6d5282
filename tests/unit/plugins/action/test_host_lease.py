# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs of Ansible on one control node or on two, with the module on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.action import host_lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import Owner, acquire, read, release
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT

OTHER = Owner(run="run-8", user="bob", node="control-2", pid=8, place="another boot pid:[1]")
PLAY = """
- name: Change the host
  hosts: all
  order: sorted
  gather_facts: false
  tasks:
    - name: Change the host if no other run does
      environment: "{{ lease.environment | default({}) }}"
      block:
        - name: Acquire the lease
          tritonops.trtllm.host_lease:
            path: "{{ folder }}/lease.json{{ '.' ~ inventory_hostname if groups.all | length > 1 else '' }}"
            wait: "{{ wait }}"
          register: lease
          throttle: "{{ 1 if wait | int > 0 else 0 }}"
        - name: Restart
          tritonops.trtllm.root_folder:
            path: "{{ folder }}/{{ me }}"
        - name: Wait
          ansible.builtin.wait_for:
            path: "{{ folder }}/end"
            sleep: 1
          when: waits
        - name: Read the lease
          tritonops.trtllm.root_folder:
            path: "{{ folder }}/{{ me }}"
      always:
        - name: Release the lease
          tritonops.trtllm.host_lease:
            path: "{{ folder }}/lease.json{{ '.' ~ inventory_hostname if groups.all | length > 1 else '' }}"
            state: released
          register: lease
          when: lease.acquired | default(false)
"""


class Host:
    """The host of a task."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.slept: list[float] = []
        self.shown: list[str] = []
        self.holders: list[Owner | None] = []
        self._now = 0.0
        monkeypatch.setattr(host_lease, "time", SimpleNamespace(sleep=self._sleep, monotonic=lambda: self._now))
        monkeypatch.setattr(host_lease, "display", SimpleNamespace(display=self.shown.append))

    def _sleep(self, seconds: float) -> None:
        self._now += seconds
        self.slept.append(seconds)

    def _answer(self, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        assert task_vars == {"inventory_hostname": "gpu-1"}
        self.asked.append(json.loads(json.dumps(module_args)))
        holder = self.holders.pop(0)
        if holder is None or holder.run in module_args["ended"]:
            return {"changed": False, "acquired": True}
        return {"failed": True, "msg": f"{holder} has it", "held_by": holder._asdict()}

    def run(self, *holders: Owner | None, **arguments: Any) -> dict[str, Any]:
        """The result, if the host answers each time that one of the holders has the lease."""
        self.holders = list(holders)
        task = SimpleNamespace(args=arguments, check_mode=False, async_val=0, no_log=False)
        unused = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        action = host_lease.ActionModule(task, unused, unused, unused, unused, unused)  # type: ignore[arg-type]
        action._execute_module = self._answer  # type: ignore[method-assign, assignment]
        result = action.run(None, {"inventory_hostname": "gpu-1"})
        assert not self.holders
        return result


@pytest.fixture(name="host")
def fixture_host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def dead() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


def test_the_module_is_told_which_run_it_is(host: Host) -> None:
    host.run(None)
    host.run(None, state="released")
    first, second = (Owner(**asked["owner"]) for asked in host.asked)
    assert first == second and first.pid == os.getppid() and first.run and first.user and first.node
    assert [asked["state"] for asked in host.asked] == ["acquired", "released"]


def test_by_default_it_fails_at_once(host: Host) -> None:
    assert host.run(OTHER)["msg"] == "bob on control-2 (process 8) has it"
    assert (len(host.asked), host.slept, host.shown) == (1, [], [])


def test_it_waits_and_says_for_whom(host: Host) -> None:
    carol = OTHER._replace(run="run-9", user="carol")
    assert host.run(OTHER, OTHER, carol, None, wait=60)["acquired"]
    assert host.slept == [5, 5, 5]
    assert host.shown == [
        "gpu-1 | waiting up to 60 s for bob on control-2 (process 8), who is changing this host",
        "gpu-1 | waiting up to 50 s for carol on control-2 (process 8), who is changing this host",
    ]


def test_it_does_not_wait_longer(host: Host) -> None:
    assert host.run(*[OTHER] * 4, wait="12")["failed"]
    assert host.slept == [5, 5, 2]


def test_a_run_of_this_control_node_that_was_killed_is_not_waited_for(host: Host) -> None:
    mine = host_lease.this_run()._replace(run="run-9", pid=dead())
    assert host.run(mine, mine)["acquired"]
    assert [asked["ended"] for asked in host.asked] == [[], ["run-9"]] and host.slept == []


def test_a_killed_run_is_reported_to_the_module_once(host: Host) -> None:
    """Another run may have acquired the lease meanwhile."""
    mine = host_lease.this_run()._replace(run="run-9", pid=dead())
    assert host.run(mine, OTHER)["held_by"] == OTHER._asdict()


@pytest.mark.parametrize("place", ["another boot pid:[1]", ""])
def test_processes_of_other_machines_and_containers_are_unknown(place: str) -> None:
    assert not host_lease.has_ended(OTHER._replace(pid=dead(), place=place))


@pytest.mark.parametrize("pid", [os.getpid(), 1], ids=["own", "init"])
def test_a_run_that_exists_has_not_ended(pid: int) -> None:
    assert not host_lease.has_ended(host_lease.this_run()._replace(pid=pid))


def test_a_number_of_seconds_is_required(host: Host) -> None:
    with pytest.raises(Exception, match="wait"):
        host.run(wait="a minute")


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(host_lease.getpass, "getuser", unknown)
    assert host_lease.this_run().user == str(os.getuid())


class Control:
    """Starts real runs of Ansible that change this machine, each as another user."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lease = folder, str(folder / "lease.json")
        (folder / "play.yml").write_text(PLAY)

    def start(self, me: str, waits: bool = False, wait: int = 0, hosts: str = "gpu-1") -> subprocess.Popen[str]:
        variables = {"folder": str(self.folder), "me": me, "waits": waits, "wait": wait}
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", f"{hosts},", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
        # Ansible does not flush what it writes to a pipe, and waiting() reads it.
        unbuffered = {"PYTHONUNBUFFERED": "1"}
        environment = {**os.environ, **unbuffered, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "LOGNAME": me}
        return subprocess.Popen(
            [*command, "-e", json.dumps(variables), "play.yml"],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def hold(self, me: str) -> subprocess.Popen[str]:
        """A run that has the lease until end()."""
        process, deadline = self.start(me, waits=True), time.monotonic() + 60
        while not (self.folder / me).exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        return process

    def end(self) -> None:
        (self.folder / "end").touch()


def said(process: subprocess.Popen[str]) -> tuple[int, str]:
    output = process.communicate(timeout=120)[0]
    return process.returncode, " ".join(output.split())


def waiting(process: subprocess.Popen[str]) -> str:
    """Return what the run says when it begins to wait."""
    assert process.stdout
    while "waiting up to" not in (line := process.stdout.readline()):
        assert line
    return line


@pytest.mark.long
def test_of_two_runs_one_changes_the_host_and_the_other_fails(tmp_path: Path) -> None:
    control = Control(tmp_path)
    alice = control.hold("alice")
    failed, words = said(control.start("bob"))
    assert failed and f"alice on {os.uname().nodename} (process {alice.pid}) is changing this host" in words
    assert not (tmp_path / "bob").exists()
    control.end()
    assert said(alice)[0] == 0
    assert read(control.lease) is None


@pytest.mark.long
def test_the_lease_of_a_killed_run_is_taken_over_at_once(tmp_path: Path) -> None:
    control = Control(tmp_path)
    alice = control.hold("alice")
    os.killpg(alice.pid, signal.SIGKILL)
    alice.communicate()
    assert read(control.lease)
    failed, words = said(control.start("bob"))
    owner = f"alice on {os.uname().nodename} (process {alice.pid})"
    assert not failed and f"The lease of {owner} on this host was taken over: that run has ended." in words
    assert read(control.lease) is None


@pytest.mark.long
def test_a_run_that_is_killed_while_it_waits_does_not_acquire_the_lease(tmp_path: Path) -> None:
    control = Control(tmp_path)
    acquire(control.lease, OTHER)
    bob = control.start("bob", wait=600)
    waiting(bob)
    os.killpg(bob.pid, signal.SIGKILL)
    bob.communicate()
    release(control.lease, OTHER.run)
    time.sleep(host_lease.POLL_INTERVAL + 3)
    assert read(control.lease) is None


@pytest.mark.long
def test_runs_with_several_hosts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """The first run has gpu-1 and waits for gpu-2; so must the second, whose inventory begins with gpu-2."""
    control = Control(tmp_path)
    acquire(f"{control.lease}.gpu-2", OTHER)
    first = control.start("alice", wait=600, hosts="gpu-1,gpu-2")
    waiting(first)
    second = control.start("bob", wait=600, hosts="gpu-2,gpu-1")
    assert f"for alice on {os.uname().nodename} (process {first.pid}), who is changing this host" in waiting(second)
    release(f"{control.lease}.gpu-2", OTHER.run)
    assert said(first)[0] == said(second)[0] == 0


def test_a_run_that_lost_its_lease_stops_and_leaves_the_other_in_peace(tmp_path: Path) -> None:
    control = Control(tmp_path)
    alice = control.hold("alice")
    mine = read(control.lease)
    assert mine
    acquire(control.lease, OTHER, ended=[mine.owner.run])
    control.end()
    failed, words = said(alice)
    assert failed and "bob on control-2 (process 8) took it over" in words
    left = read(control.lease)
    assert left and left.owner == OTHER
