# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/keys.yml with running gateways: keys are issued, limited, listed and revoked while streams go on."""

from __future__ import annotations

import grp
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import (
    ApiKey,
    as_content,
    hash_of,
    map_entries,
)
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port

CHAT = '{"model": "chat", "max_tokens": 2}'
APPLY = "TASK [Write the API keys, and apply them]"
NEXT = "TASK [Show the keys]"
# The role's variables. Only extra variables override those of a play.
ROLE = {
    "__gateway_folder": "{{ test_folder }}",
    "__gateway_socket": "{{ test_folder }}/socket",
    "__gateway_group": grp.getgrgid(os.getgid()).gr_name,
}
HERE = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable}


class Keys:
    """Runs the playbook for gateways on this machine, by their folders."""

    def __init__(self, folder: Path, *gateways: Path) -> None:
        folder.mkdir()
        self.folder, self.file, self.log = folder, folder / "keys.yml", folder / "ansible.log"
        # The key of the streams.
        self.file.write_text(yaml.safe_dump(as_content([ApiKey("all", hash_of(Fleet.KEY))])))
        hosts = {gateway.name: {"test_folder": str(gateway)} for gateway in gateways}
        (folder / "hosts.json").write_text(json.dumps({"gateway": {"hosts": hosts, "vars": HERE}}))
        self.said, self.times = "", {}

    def run(self, *options: str, file: str = "keys.yml", **key: Any) -> int:
        return self.play(
            PROJECT / "playbooks/keys.yml", *options, trtllm_gateway_keys=file, **({"trtllm_key": key} if key else {})
        )

    def play(self, playbook: Path, *options: str, **given: Any) -> int:
        """The exit status. `said` is the output, and `times` are those at which the headings of tasks were printed."""
        variables = {**ROLE, **given}
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [program, playbook, "-i", "hosts.json", "-v", "--diff", *options]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_LOG_PATH": str(self.log),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_NOCOLOR": "1",
        }
        self.said, self.times = "", {}
        with subprocess.Popen(
            [*map(str, command), "-e", json.dumps(variables)],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.folder,
        ) as process:
            assert process.stdout
            for line in process.stdout:
                self.times.setdefault(line.split(" *")[0], time.monotonic())
                self.said += line
        return process.returncode

    def issue(self, *options: str, **key: Any) -> str:
        assert self.run(*options, **key) == 0, self.said
        printed = re.findall(rf"^API key {key['name']}: (sk-\S+)$", self.said, re.MULTILINE)
        assert len(printed) == 1 and self.said.count(printed[0]) == 1, self.said
        return str(printed[0])


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, token_seconds=0.4)
    yield fleet
    fleet.close()


@pytest.fixture(name="keys")
def fixture_keys(fleet: Fleet) -> Keys:
    return Keys(fleet.folder / "control", fleet.gateway.folder)


@contextmanager
def proof(fleet: Fleet, folder: Path) -> Iterator[Keys]:
    """A run that proves two routes of the gateway. The block runs while the first answer is under way."""
    routes = [
        {"name": "chat", "path": "/v1/completions", "body": {"model": "chat", "prompt": "x", "max_tokens": 1}},
        {"name": "triton", "path": "/triton/v2/models/ensemble/generate", "body": {"text_input": "x", "max_tokens": 1}},
    ]
    requests = {"url": fleet.url, "verified": True, "routes": routes}
    (fleet.gateway.folder / "requests.json").write_text(json.dumps(requests))
    role = {"name": "tritonops.trtllm.deployment", "tasks_from": "gateway_prove"}
    play = {"hosts": "gateway", "gather_facts": False, "tasks": [{"import_role": role}]}
    run = Keys(folder, fleet.gateway.folder)
    (folder / "prove.json").write_text(json.dumps([play]))
    status: list[int] = []
    servers = [fleet.models[host, "chat"] for host in fleet.HOSTS]
    for server in servers:
        server.may_answer.clear()
    thread = threading.Thread(target=lambda: status.append(run.play(folder / "prove.json")))
    thread.start()
    try:
        wait_for(lambda: any(server.requests for server in servers) or status, 60)
        yield run
    finally:
        for server in servers:
            server.may_answer.set()
        thread.join()
    assert status == [0], run.said


@pytest.mark.long
def test_a_change_of_keys_does_not_disturb_a_run_that_proves_the_gateway(fleet: Fleet, keys: Keys) -> None:
    with proof(fleet, fleet.folder / "proof") as run:
        key = keys.issue(name="search")
    assert "gateway1: gateway: chat: 0" in run.said and "gateway1: gateway: triton: 0" in run.said
    assert fleet.chat(CHAT, key).status_code == 200
    # The key of the run is gone, and the file of keys has never had it.
    path = str(fleet.gateway.folder / "run_keys.map")
    assert Path(path).read_text() == "" and fleet.gateway.runtime.read_map(path) == {}
    assert "run-of-ansible" not in (fleet.gateway.folder / "keys.map").read_text()


def test_an_expired_key_of_a_run_is_refused(fleet: Fleet) -> None:
    """A killed run cannot remove its key."""
    path = str(fleet.gateway.folder / "run_keys.map")
    for expires, status in (("2099-01-01", 200), ("2020-01-01", 401)):
        record = ApiKey("run-of-ansible", hash_of("sk-run"), expires=expires)
        fleet.gateway.runtime.replace_map(path, map_entries([record]))
        assert fleet.chat(CHAT, "sk-run").status_code == status


@contextmanager
def watched(true: Callable[[], bool]) -> Iterator[list[float]]:
    """The time at which something has become true while the block runs, or soon after."""
    times: list[float] = []

    def watch() -> None:
        wait_for(true, 60)
        times.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    yield times
    thread.join()


@pytest.mark.long
def test_keys_change_within_two_seconds_and_no_stream_is_cut(fleet: Fleet, keys: Keys) -> None:
    def status(key: str) -> int:
        return fleet.chat(CHAT, key).status_code

    with fleet.streams(50, 40):
        key = keys.issue(name="search", models=["chat"])
        assert status(key) == 200
        with watched(lambda: status(key) == 429) as limited:
            assert keys.run(name="search", requests_per_minute=1) == 0
        delays = [limited[0] - keys.times[APPLY]]
        with watched(lambda: status(key) == 401) as revoked:
            assert keys.run(name="search", state="absent") == 0
        delays.append(revoked[0] - keys.times[APPLY])
        assert status(fleet.KEY) == 200
    # From the beginning of the task, which includes the start of the module.
    print(f"in force after {delays} s")
    assert max(delays) < 2


@pytest.mark.long
def test_keys_survive_a_reload_and_reach_all_gateways(fleet: Fleet) -> None:
    port = free_port()
    second = fleet.start_gateway("gateway2", port)
    try:
        keys = Keys(fleet.folder / "control", fleet.gateway.folder, second.folder, fleet.folder / "later")
        key = keys.issue(name="search")
        assert "later is not a gateway yet; site applies the keys to it." in keys.said
        for number in (fleet.port, port):
            assert fleet.chat(CHAT, key, number).status_code == 200
        fleet.gateway.reload()
        assert fleet.chat(CHAT, key).status_code == 200
        assert keys.run() == 0 and "changed=0" in keys.said, keys.said
    finally:
        second.stop()


@pytest.mark.long
def test_a_key_is_printed_once_and_is_nowhere_else(keys: Keys) -> None:
    key = keys.issue(name="search", models=["chat", "triton"], tokens_per_minute=5000, expires="2099-06-30")
    digest = hash_of(key)
    row = "\nsearch  -             5000        -        2099-06-30  chat, triton\n"
    assert row in keys.said and digest not in keys.said.split(NEXT)[1]
    assert key not in keys.log.read_text() and row.strip() in keys.log.read_text()
    found = subprocess.run(
        ["grep", "--recursive", "--files-with-matches", key, keys.folder.parent],
        text=True,
        capture_output=True,
        check=False,
    )
    assert found.stdout == ""
    assert keys.run() == 0 and row in keys.said and digest not in keys.said and "sk-" not in keys.said


@pytest.mark.long
def test_rotation_overlaps(fleet: Fleet, keys: Keys) -> None:
    old = keys.issue(name="search")
    new = keys.issue(name="search", rotate=True, overlap=3600)
    assert [fleet.chat(CHAT, key).status_code for key in (old, new)] == [200, 200]
    newest = keys.issue(name="search", rotate=True, overlap=0)
    assert [fleet.chat(CHAT, key).status_code for key in (old, new, newest)] == [401, 401, 200]
    assert len(re.findall(r"^search .*\(expired\)", keys.said, re.MULTILINE)) == 2


def test_check_mode_issues_no_key(fleet: Fleet, keys: Keys) -> None:
    before = keys.file.read_text()
    assert keys.run("--check", name="search") == 0 and "API key" not in keys.said.replace("API keys", "")
    assert keys.file.read_text() == before and fleet.chat(CHAT).status_code == 200


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "search", "model": ["chat"]}, "trtllm_key.model"),
        ({"name": "search", "at_once": -1}, "at_once must be a whole number"),
        ({"file": "missing.yml"}, "missing.yml does not exist: correct trtllm_gateway_keys, or issue a key"),
        ({"file": ""}, "Set trtllm_gateway_keys to the file of keys"),
    ],
)
def test_a_mistake_changes_nothing(fleet: Fleet, keys: Keys, options: dict[str, Any], says: str) -> None:
    before = keys.file.read_text()
    assert keys.run(**options) != 0 and says in " ".join(keys.said.split()), keys.said
    assert keys.file.read_text() == before and not (keys.folder / "missing.yml").exists()
    assert fleet.chat(CHAT).status_code == 200
