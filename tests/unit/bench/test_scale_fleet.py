# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.bench.calls import (
    Call,
    Recording,
    UnknownCall,
    plain,
    recorded,
    unwrapped,
)
from ansible_collections.tritonops.trtllm.tests.bench.scale_fleet import (
    PROJECT,
    RECORDING,
    ROLL,
    Memory,
    family,
    fleet,
)

PLAY = """---
- hosts: all
  gather_facts: false
  become: "{{ becomes | default(false) }}"
  tasks:
    - ansible.builtin.raw: echo "a   b" && hostname
      register: said
    - ansible.builtin.command:
        argv: [hostname]
      register: name
    - ansible.builtin.stat:
        path: /{{ folder | default('etc') }}
      register: found
    - ansible.builtin.debug:
        msg: "{{ inventory_hostname }}: {{ said.stdout_lines }} {{ name.stdout }} {{ found.stat.isdir }}"
"""


def played(folder: Path, inventory: dict[str, Any], *options: str) -> str:
    (folder / "hosts.json").write_text(json.dumps(inventory))
    (folder / "play.yml").write_text(PLAY)
    own = {
        "ANSIBLE_CONNECTION_PLUGINS": str(PROJECT / "tests/bench/connections"),
        "ANSIBLE_INVENTORY_ENABLED": "yaml",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    command = [
        Path(sys.executable).parent / "ansible-playbook",
        "-i",
        folder / "hosts.json",
        folder / "play.yml",
        *options,
    ]
    done = subprocess.run(command, env={**os.environ, **own}, text=True, capture_output=True, check=False, cwd=PROJECT)
    return done.stdout + done.stderr


@pytest.fixture(name="file", scope="module")
def fixture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine said."""
    folder = tmp_path_factory.mktemp("recorded")
    lines = folder / "calls.jsonl"
    variables = {
        "ansible_connection": "record",
        "record_file": str(lines),
        "ansible_python_interpreter": sys.executable,
    }
    played(folder, {"all": {"hosts": {"one": variables}}})
    calls = recorded(lines.read_text())
    assert [(call["module"], call["arguments"].get("path")) for call in calls] == [
        ("raw", None),
        ("command", None),
        ("stat", "/etc"),
    ]
    assert "invocation" not in calls[1]["result"]
    calls[1]["result"]["stdout"] = calls[0]["result"]["stdout"] = "one at 192.0.2.1\n"
    content = {"host": "one", "address": "192.0.2.1", "variables": {"trtllm_release": "1.2.1"}, "calls": calls}
    (folder / "site.json").write_text(json.dumps(content))
    return folder / "site.json"


def replaying(file: Path) -> dict[str, Any]:
    inventory: dict[str, Any] = {"all": json.loads(fleet(file.parent, 2, file).read_text())["trtllm"]}
    return inventory


@pytest.mark.long
def test_other_hosts_say_the_same_with_their_names(file: Path) -> None:
    output = played(file.parent, replaying(file))
    assert "gpu000: ['gpu000 at 10.0.0.1'] gpu000 at 10.0.0.1" in output, output
    assert "gpu001: ['gpu001 at 10.0.0.2'] gpu001 at 10.0.0.2" in output and "True" in output


def test_become_makes_no_difference(file: Path) -> None:
    assert "gpu001: ['gpu001 at 10.0.0.2']" in played(file.parent, replaying(file), "-e", "becomes=true")


@pytest.mark.long
def test_an_unknown_call_fails(file: Path) -> None:
    output = played(file.parent, replaying(file), "-e", "folder=usr")
    assert 'there is no recorded result for: stat {"path": "/usr"}' in output and "failed=1" in output


def test_a_digest_can_be_another_one(file: Path) -> None:
    recording = Recording(file)
    with pytest.raises(UnknownCall):
        recording.answer(Call("stat", {"path": "/opt/0f1e2d3c"}), "two", "")
    assert plain("/opt/trtllm/engine/0f1e2d3c4b5a6978") == plain("/opt/trtllm/engine/aaaaaaaaaaaaaaaa")
    assert plain("/opt/trtllm/engine/one") != plain("/opt/trtllm/engine/two")


def test_what_a_module_predicts_is_another_call(tmp_path: Path) -> None:
    def line(check_mode: bool, state: str) -> str:
        identity = Call("systemd_service", {"name": "docker", "enabled": True}, check_mode).identity
        return json.dumps({"module": "systemd_service", "arguments": identity, "stdout": json.dumps({"state": state})})

    calls = recorded("\n".join([line(True, "predicted"), line(False, "done")]))
    file = tmp_path / "calls.json"
    file.write_text(json.dumps({"calls": calls}))
    for check_mode, state in ((True, "predicted"), (False, "done")):
        call = Call("systemd_service", {"name": "docker", "enabled": False}, check_mode)
        assert Recording(file).answer(call, "one", "") == {"state": state}


def test_a_failed_module_is_not_recorded() -> None:
    line = {"module": "stat", "arguments": {}, "rc": 1, "stdout": '{"failed": true, "msg": "no"}', "stderr": ""}
    with pytest.raises(UnknownCall, match="stat failed on the host that is recorded"):
        recorded(json.dumps(line))


def test_facts_about_the_machine_are_not_recorded() -> None:
    facts = {
        "ansible_env": {"TOKEN": "x"},
        "ansible_cmdline": {},
        "ansible_machine_id": "1",
        "ansible_os_family": "Debian",
    }
    said = {"ansible_facts": facts, "changed": False, "invocation": {}}
    line = {"module": "setup", "arguments": {}, "rc": 0, "stdout": json.dumps(said), "stderr": ""}
    (call,) = recorded(json.dumps(line))
    assert call["result"] == {"ansible_facts": {"ansible_os_family": "Debian"}, "changed": False}


def test_shells_around_a_command_are_removed() -> None:
    script = "echo 'a  b'; exit 1"
    inner = "'\"'\"'".join(script.split("'"))
    assert unwrapped(f"/bin/sh -c '{inner}'") == script == unwrapped(script)
    sudo = "sudo -H -S -n  -u root /bin/sh -c 'echo BECOME-SUCCESS-abc ; id'"
    assert unwrapped(sudo) == "id"


def test_memory_is_that_of_the_process_and_its_descendants() -> None:
    """Also of those with a session of their own, as Ansible's workers."""
    allocate = "import time; x = bytes(range(256)) * 400000; print(len(x), flush=True); time.sleep(60)"
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", start, allocate], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        memory = Memory(process.pid)
        memory.look()
        for folder in family(process.pid):
            os.kill(int(folder.name), signal.SIGKILL)
    assert 90 * 1024 < memory.peak < 200 * 1024


@pytest.mark.parametrize("recording", [RECORDING, ROLL])
def test_the_recording_names_no_machine(recording: Path) -> None:
    text = recording.read_text(encoding="utf-8")
    assert str(PROJECT) not in text and "/root/" not in text and "http_proxy" not in text.lower()
