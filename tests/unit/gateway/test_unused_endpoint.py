# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site does with the endpoint of a host when the last gateway has left the inventory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES, load, tasks_of

REMOVED = "gpu1: the endpoint is removed, because the inventory has neither a gateway nor a host that reads metrics."
# Stands in for systemd. The unit runs while its HAProxy does, and a stop waits for the last stream.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{folder}/calls
case "$1" in
  show) kill -0 {pid} && state=active || state=inactive
        printf 'LoadState=loaded\\nUnitFileState=enabled\\nActiveState=%s\\n' "$state" ;;
  is-enabled) [ ! -e {folder}/disabled ] ;;
  disable) touch {folder}/disabled ;;
  stop) kill -USR1 {pid}; while kill -0 {pid}; do sleep 0.1; done ;;
esac
"""


class Site:
    """Runs the task of site that removes an endpoint, with the endpoint of gpu1."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        self.configuration = folder / "etc/endpoint"
        self.configuration.parent.mkdir()
        self.configuration.symlink_to(fleet.folder / "gpu1")
        self.endpoint = fleet.endpoints["gpu1"]
        # A child that has ended exists until it is waited for.
        threading.Thread(target=self.endpoint.process.wait, daemon=True).start()
        program = folder / "systemctl"
        program.write_text(SYSTEMCTL.format(folder=folder, pid=self.endpoint.process.pid))
        program.chmod(0o755)
        (task,) = [one for one in tasks_of(ROLES / "deployment/tasks/after_host.yml") if "nobody uses" in one["name"]]
        include = task["ansible.builtin.include_tasks"]
        include["file"] = str(ROLES / "deployment/tasks" / include["file"])
        variables = load(ROLES / "deployment/vars/main.yml")
        conditions = {name: value for name, value in variables.items() if name.startswith("__deployment_endpoint_")}
        play = {
            "hosts": "trtllm",
            "gather_facts": False,
            "vars": {
                **conditions,
                "__deployment_found": {"instances": ["endpoint"]},
                "__deployment_host": {"endpoint": {}},
            },
            "tasks": [task],
        }
        (folder / "play.json").write_text(json.dumps([play]))

    def run(self, *options: str, **groups: Any) -> str:
        inventory = {name: {"hosts": {host: {}}} for name, host in {"trtllm": "gpu1", **groups}.items()}
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "__haproxy_folder": str(self.configuration.parent),
            "__haproxy_settings": {"endpoint": str(self.folder / "settings")},
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), "play.json", "-i", "hosts.json"]
        done = subprocess.run(
            [*map(str, command), *options, "-e", json.dumps(variables)],
            text=True,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
                "COLUMNS": "400",
                "PATH": f"{self.folder}:{os.environ['PATH']}",
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "fleet").mkdir()
    fleet = Fleet(tmp_path / "fleet")
    site = Site(fleet, tmp_path)
    yield site
    fleet.close()


@pytest.mark.long
def test_the_endpoint_is_removed_after_its_last_stream(site: Site) -> None:
    with site.fleet.streams(2, 100):
        began = time.monotonic()
        assert REMOVED in site.run("--check")
        assert site.configuration.exists() and site.endpoint.runtime.is_running()
        said = site.run()
        assert time.monotonic() - began > 4
    assert REMOVED in said and "changed=2" in said
    assert not site.configuration.is_symlink() and (site.folder / "disabled").exists()
    calls = (site.folder / "calls").read_text()
    again = site.run()
    assert "changed=0" in again and REMOVED not in again
    assert (site.folder / "calls").read_text() == calls


@pytest.mark.parametrize("group", ["gateway", "monitoring"])
def test_an_endpoint_that_is_used_stays(site: Site, group: str) -> None:
    assert REMOVED not in site.run(**{group: "other"})
    assert site.endpoint.runtime.is_running() and site.configuration.exists()
