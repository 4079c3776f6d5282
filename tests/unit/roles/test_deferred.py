# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to a roll, with stand-ins for systemctl and for a server that runs a release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.openai_stub import OpenAiStub
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES, Role, tasks_of
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
  show*) printf 'Id=trtllm@default.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\n'
         printf 'MainPID={pid}\\nUnitFileState=enabled\\nNeedDaemonReload=no\\n' ;;
esac
"""


class Host:
    """It serves the release `old`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deployment = folder / "root/deployments/default"
        root = RootFolder(folder / "root")
        for release in ("old", "new"):
            root.release(release)
        root.serve("old")
        self.server = OpenAiStub()
        # The command line of a container has the folder of its release.
        sleep = ["import time; time.sleep(600)", f"{self.deployment}/releases/old:/release"]
        self.process = subprocess.Popen([sys.executable, "-c", *sleep])
        (folder / "bin").mkdir()
        (folder / "bin/systemctl").write_text(SYSTEMCTL.replace("{pid}", str(self.process.pid)))
        (folder / "bin/systemctl").chmod(0o755)

    def switch(self, release: str, *, scripts_change: bool = False, **variables: Any) -> str:
        """What the play says about what is left to the roll."""
        port = int(self.server.url.rsplit(":", 1)[1])
        files = [f"{self.deployment}/releases/{release}/run"] if scripts_change else []
        given = {
            "release_service_root": str(self.folder / "root"),
            "release_service_release_dir": str(self.deployment / "releases" / release),
            "release_service_container": {},
            "release_service_api": "openai",
            "release_service_endpoint": {"http_port": port, "model": "smol"},
            "release_service_deadline": 5,
            "release_service_python": sys.executable,
            "release_service_deferred": True,
            "ansible_python_interpreter": sys.executable,
            "__release_service_files": {"files": files},
            **variables,
        }
        role = {"name": "tritonops.trtllm.release_service", "tasks_from": "switch.yml"}
        says = {"ansible.builtin.debug": {"msg": "left={{ release_service_pending | default([]) | join(',') }}="}}
        tasks = [{"name": "Switch", "ansible.builtin.include_role": role}, says]
        play = {"name": "Play", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
        playbook = self.folder / "play.json"
        playbook.write_text(json.dumps([{**play, "vars": given}]))
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-v", "-i", "localhost,", str(playbook)],
            capture_output=True,
            text=True,
            check=False,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.split("left=")[1].split("=")[0]

    @property
    def restarts(self) -> list[str]:
        asked = (self.folder / "bin/asked").read_text().splitlines()
        return [line for line in asked if line.startswith(("start", "restart", "stop"))]


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    with host.server:
        yield host
    host.process.kill()
    host.process.wait()


def test_a_new_release_is_left_to_the_roll(host: Host) -> None:
    assert host.switch("new") == "default"
    assert os.readlink(host.deployment / "current") == "releases/old" and host.restarts == []


def test_new_scripts_of_the_running_release_are_left_to_the_roll(host: Host) -> None:
    assert host.switch("old", scripts_change=True) == "default" and host.restarts == []


@pytest.mark.long
def test_a_release_that_runs_is_proved_at_once(host: Host) -> None:
    assert host.switch("old") == "" and host.restarts == []


def test_a_roll_that_was_killed_after_the_switch_goes_on(host: Host) -> None:
    (host.deployment / "rolling").touch()
    assert host.switch("old") == "default"


@pytest.mark.long
def test_without_a_roll_the_switch_is_made_at_once(host: Host) -> None:
    assert host.switch("new", release_service_deferred=False) == ""
    assert os.readlink(host.deployment / "current") == "releases/new"
    assert host.restarts == ["restart trtllm@default.service"]


@pytest.mark.parametrize(
    ("serving", "roll", "expected"),
    [
        ({"default": "old"}, True, True),
        ({"default": ""}, True, False),
        ({}, True, False),
        ({"default": "old"}, False, False),
    ],
)
def test_a_host_that_serves_nothing_yet_does_not_wait(serving: dict[str, str], roll: bool, expected: bool) -> None:
    found = {"host_facts": {"deployments": serving}}
    role = Role(
        "deployment", "debian-12", __deployment_found=found, deployment_roll=roll, __deployment_current="default"
    )
    assert role["__deployment_deferred"] is expected


def test_scripts_of_a_deployment_that_waits_are_only_compared() -> None:
    (write,) = tasks_of(ROLES / "release_service/tasks/install.yml")
    role = Role("release_service", "debian-12", release_service_deferred=True)
    scripts = write["tritonops.trtllm.service_files"]["scripts"]
    compared = {script["content"]: role.render(script.get("predict", False)) for script in scripts}
    assert compared == {"run.j2": True, "stop.j2": False, "rules.j2": True}
