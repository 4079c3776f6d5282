# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolls of three hosts on this machine behind a real gateway, with stand-ins for systemctl and model servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import Lease, Moment, Owner
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, ModelServer, _Answer
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

# About fifteen runs of ansible-playbook, with real HAProxy and clients.
pytestmark = pytest.mark.long

HOSTS = ("gpu1", "gpu2", "gpu3")
USAGE = {"prompt_tokens": 5, "completion_tokens": 20, "total_tokens": 25}
NAME = "chat"
SYSTEMCTL = """\
#!/bin/sh
folder=$(dirname "$0")/..
case "$*" in
  restart*) echo "$(basename "$(readlink "$folder/root/deployments/chat/current")")" > "$folder/running"
            echo "$(basename "$(cd "$folder" && pwd)") $(cat "$folder/running")" >> "$folder/../restarts" ;;
  stop*) : > "$folder/running" ;;
  show*) printf 'Id=trtllm@chat.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\nMainPID=0\\n' ;;
esac
"""
PYTHON = """\
#!/bin/sh
PATH="{folder}/bin:$PATH" exec {python} "$@"
"""


class Served(_Answer):
    """What trtllm-serve answers to those who prove it. Which release runs is in a file of the host."""

    server: RunningServer

    def do_GET(self) -> None:
        if self.server.is_broken:
            return self._answer(503, b"")
        if self.path == "/v1/models":
            return self._answer(200, json.dumps({"object": "list", "data": [{"id": NAME}]}).encode())
        return super().do_GET()

    def do_POST(self) -> None:
        if self.server.is_broken:
            self._body()
            return self._answer(500, b"{}")
        self.asked: dict[str, Any] = {}
        try:
            return super().do_POST()
        except json.JSONDecodeError:
            return self._answer(400, json.dumps({"message": "Invalid JSON: EOF while parsing an object"}).encode())

    def _body(self) -> bytes:
        text = super()._body()
        self.asked = json.loads(text)
        # An answer to a proof need not be long.
        return json.dumps({**self.asked, "max_tokens": min(self.asked.get("max_tokens") or 3, 20)}).encode()

    def _event(self, data: str) -> None:
        """A restart ends the streams of the server that ran before."""
        if not hasattr(self, "_began"):
            self._began = self.server.restarted
        if self.server.restarted != self._began:
            raise ConnectionError("the server was restarted")
        if data == "[DONE]":
            end = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
            if self.asked.get("stream_options"):
                end.append({"choices": [], "usage": USAGE})
            for part in end:
                super()._event(json.dumps({"id": "1", "object": "chat.completion.chunk", "created": 1, **part}))
        super()._event(data)

    def _answer(self, status: int, content: bytes) -> None:
        if "no_such_field" in getattr(self, "asked", ()):
            refused = {"object": "error", "message": "no_such_field: Extra inputs are not permitted", "code": 400}
            super()._answer(400, json.dumps(refused).encode())
            return
        if b'"choices"' in content:
            answer = json.loads(content)
            for choice in answer["choices"]:
                choice.update(text=choice["message"]["content"], finish_reason="stop")
            answer["usage"] = USAGE
            content = json.dumps(answer).encode()
        super()._answer(status, content)


class RunningServer(ModelServer):
    """`broken` are the releases that do not work."""

    def __init__(self, folder: Path, broken: set[str]) -> None:
        super().__init__(0.1)
        self.RequestHandlerClass = Served
        self.running = folder / "running"
        self.broken = broken

    @property
    def is_broken(self) -> bool:
        return self.running.read_text().strip() in self.broken

    @property
    def restarted(self) -> int:
        return self.running.stat().st_mtime_ns


class Rolled(Fleet):
    """Hosts with the releases `new`, which is served, and `old`."""

    HOSTS = HOSTS

    def __init__(self, folder: Path) -> None:
        self.own = folder / "own"
        self.own.mkdir()
        self.broken: dict[str, set[str]] = {host: set() for host in HOSTS}
        models = {(host, NAME): self._host(host) for host in HOSTS}
        super().__init__(folder, models=models)
        self.inventory: dict[str, Any] = {"trtllm": {"hosts": {}, "vars": {}}, "gateway": {"hosts": {"gateway1": {}}}}
        self.inventory["gateway"]["hosts"]["gateway1"] = {"ansible_python_interpreter": sys.executable}
        for host in HOSTS:
            python = str(self.own / host / "python")
            variables = {"trtllm_root": str(self.own / host / "root"), "host_python_executable": python}
            variables.update(ansible_python_interpreter=python, lease=str(self.own / host / "lease"))
            self.inventory["trtllm"]["hosts"][host] = variables
        self.inventory["all"] = {"vars": {"ansible_connection": "local"}}
        self.record_routes()

    def _host(self, host: str) -> RunningServer:
        folder = self.own / host
        root = RootFolder(folder / "root")
        (folder / "bin").mkdir()
        for path, text in (("bin/systemctl", SYSTEMCTL), ("python", PYTHON)):
            (folder / path).write_text(text.replace("{folder}", str(folder)).replace("{python}", sys.executable))
            (folder / path).chmod(0o755)
        (folder / "running").write_text("new\n")
        server = RunningServer(folder, self.broken[host])
        service = {"api": "openai", "endpoint": {"http_port": server.port, "model": NAME}, "proof": {"chat": True}}
        for release in ("old", "new"):
            root.release(release, NAME, service=service)
        root.serve("new", "old", NAME)
        return server

    def gateway_role(self, folder: Path, **options: Any) -> Any:
        role = super().gateway_role(folder, **options)
        route = {**role.variables["gateway_routes"][0], "name": "openai-chat"}
        role.variables["gateway_routes"] = [route]
        return role

    def record_routes(self) -> None:
        """As the role deployment does."""
        body = {"model": NAME, "prompt": "What is cloud computing?", "max_tokens": 3}
        route = {"name": "openai-chat", "path": "/v1/completions", "body": body}
        other = {"name": "openai-gone", "path": "/v1/completions", "body": {**body, "model": "gone"}}
        requests = {"url": f"https://localhost:{self.port}", "verified": True, "routes": [route, other]}
        (self.gateway.folder / "requests.json").write_text(json.dumps(requests))

    # --- what has happened ---

    @property
    def running(self) -> dict[str, str]:
        return {host: (self.own / host / "running").read_text().strip() for host in HOSTS}

    @property
    def restarts(self) -> list[str]:
        file = self.own / "restarts"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def states(self) -> dict[str, str]:
        return {server.name.split(":")[0]: server.state for server in self.gateway.runtime.servers()}

    def marks(self) -> list[str]:
        return [host for host in HOSTS if (self.own / host / "root/deployments" / NAME / "rolling").exists()]

    # --- runs ---

    def play(self, playbook: str = "rollback", *options: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Of the playbook with a lease for each of the hosts, which are one machine."""
        return run(self.playbook(playbook), self.inventory, self.own, *options, **self.paths(), **variables)

    def playbook(self, name: str) -> Path:
        folder = self.own / "playbooks"
        folder.mkdir(exist_ok=True)
        for part in ("tasks", "vars"):
            if not (folder / part).exists():
                (folder / part).symlink_to(PROJECT / "playbooks" / part)
        defaults = {"tritonops.trtllm.host_lease": {"path": "{{ lease }}"}}
        plays = yaml.safe_load((PROJECT / "playbooks" / f"{name}.yml").read_text())
        file = folder / f"{name}.json"
        file.write_text(json.dumps([{**play, "module_defaults": defaults} for play in plays]))
        return file

    def paths(self) -> dict[str, Any]:
        folder = str(self.gateway.folder)
        return {"__gateway_folder": folder, "__gateway_socket": f"{folder}/socket", "release_service_deadline": 4}

    @contextmanager
    def load(self) -> Iterator[dict[str, list[str]]]:
        """Clients that stream one answer after the other while the block runs, with what failed."""
        counted: dict[str, list[str]] = {"answered": [], "failed": []}
        ended = threading.Event()

        def ask() -> None:
            client = self.client()
            while not ended.is_set():
                try:
                    stream = client.chat.completions.create(model=NAME, messages=[], max_tokens=20, stream=True)
                    parts = [part.choices[0].delta.content or "" for part in stream]
                    complete = "".join(parts) == "".join(f"{number} " for number in range(20))
                    counted["answered" if complete else "failed"].append("".join(parts))
                except Exception as exc:
                    counted["failed"].append(f"{type(exc).__name__}: {exc}")

        threads = [threading.Thread(target=ask) for _number in range(3)]
        for thread in threads:
            thread.start()
        try:
            yield counted
        finally:
            ended.set()
            for thread in threads:
                thread.join(30)


def run(
    playbook: Path, inventory: Mapping[str, Any], folder: Path, *options: str, **variables: Any
) -> subprocess.CompletedProcess[str]:
    (folder / "inventory").mkdir(exist_ok=True)
    (folder / "inventory/hosts.json").write_text(json.dumps(inventory))
    common = {"ansible_become": False, **variables}
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            *("-i", str(folder / "inventory"), str(playbook), *options, "-e", json.dumps(common)),
        ],
        text=True,
        capture_output=True,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "4000",
        },
        cwd=folder,
    )
    print(done.stdout + done.stderr)
    return done


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path) -> Iterator[Rolled]:
    fleet = Rolled(tmp_path)
    yield fleet
    fleet.close()


def test_hosts_roll_one_by_one_and_no_request_is_lost(fleet: Rolled) -> None:
    with fleet.load() as counted:
        time.sleep(1)
        done = fleet.play()
    assert done.returncode == 0, done.stdout
    assert fleet.restarts == ["gpu1 old", "gpu2 old", "gpu3 old"]
    assert fleet.states == dict.fromkeys(HOSTS, "ready") and fleet.marks() == []
    assert counted["failed"] == [] and len(counted["answered"]) > 10


def test_the_roll_stops_at_the_first_host_that_fails_and_goes_on_later(fleet: Rolled) -> None:
    fleet.broken["gpu2"].add("old")
    with fleet.load() as counted:
        done = fleet.play()
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and counted["failed"] == [] and len(counted["answered"]) > 10
    assert "The roll stopped at gpu2. old could not be proved; new is served again and was proved." in said
    assert "Switched: gpu1. Not switched: gpu2, gpu3." in said
    assert fleet.running == {"gpu1": "old", "gpu2": "new", "gpu3": "new"}
    assert fleet.states == dict.fromkeys(HOSTS, "ready") and fleet.marks() == []
    assert not list(fleet.own.glob("*/lease"))
    # Without a limit, gpu1 would serve again what it has left.
    done = fleet.play()
    assert done.returncode == 2 and "the other way: an earlier rollback has ended early" in done.stdout
    fleet.broken["gpu2"].clear()
    done = fleet.play("rollback", "--limit", "gpu2,gpu3")
    assert done.returncode == 0 and fleet.running == dict.fromkeys(HOSTS, "old")
    assert fleet.restarts == ["gpu1 old", "gpu2 old", "gpu2 new", "gpu2 old", "gpu3 old"]


def test_a_host_that_another_run_changes_stops_the_roll(fleet: Rolled) -> None:
    now = Moment.now()
    lease = Lease(Owner("run", "bob", "control-2", 4711, "elsewhere"), now.boot, now.seconds, now.seconds)
    _lease._write(str(fleet.own / "gpu1/lease"), lease)
    done = fleet.play()
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and "bob on control-2 (process 4711) is changing this host" in said
    assert "The roll stopped at gpu1." in said and fleet.restarts == [] and fleet.marks() == []
    assert fleet.states == dict.fromkeys(HOSTS, "ready")
    assert [path.parent.name for path in fleet.own.glob("*/lease")] == ["gpu1"]


def test_a_rollback_to_another_route_is_refused(fleet: Rolled) -> None:
    """Only site configures the gateways and what the endpoint asks the server for its health."""
    for record in fleet.own.glob("*/root/**/old/release.json"):
        kept = json.loads(record.read_text())
        record.write_text(json.dumps({**kept, "service": {"api": "triton", "endpoint": {}, "proof": {}}}))
    done = fleet.play()
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and fleet.restarts == [] and fleet.states == dict.fromkeys(HOSTS, "ready")
    assert "the previous release of gpu1 has the route triton-chat and not openai-chat, which only" in said


# --- the plays of site, with hosts that say when they switch --------------------------------------------------------

PREPARE = {
    "name": "Prepare",
    "hosts": "trtllm",
    "gather_facts": False,
    "tasks": [
        {"ansible.builtin.ping": {}},
        {"ansible.builtin.set_fact": {"deployment_pending": [NAME]}, "when": "pending | default(true)"},
    ],
}
LAST = {
    "name": "Last",
    "hosts": "trtllm",
    "gather_facts": False,
    "tasks": [{"ansible.builtin.debug": {"msg": "=last="}}],
}
SWITCH = [
    {
        "ansible.builtin.lineinfile": {
            "path": "{{ log }}",
            "line": "{{ ansible_play_batch | join(',') }}: {{ inventory_hostname }} {{ __deployment_current }}",
            "create": True,
        },
        "throttle": 1,
    },
    {"ansible.builtin.fail": {"msg": "it does not work"}, "when": "bad | default(false)"},
]


class Simple:
    """The plays of site after the first, for hosts of this machine that only write a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: dict[str, dict[str, Any]] = {host: {} for host in HOSTS}
        (folder / "switch.json").write_text(json.dumps(SWITCH))
        (folder / "inventory/group_vars").mkdir(parents=True)

    def of_group(self, **variables: Any) -> None:
        (self.folder / "inventory/group_vars/trtllm.json").write_text(json.dumps(variables))

    def play(self, *options: str, gateway: Rolled | None = None) -> subprocess.CompletedProcess[str]:
        plays = yaml.safe_load((PROJECT / "playbooks/site.yml").read_text())
        rolls = [play for play in plays if "roll'" in play["hosts"]]
        defaults = {"tritonops.trtllm.host_lease": {"path": "{{ lease }}"}}
        wait: Any = rolls[0]["tasks"][0].pop("vars")
        assert "answer_timeout" in wait["deployment_roll_wait"]
        playbook = self.folder / "site.json"
        playbook.write_text(json.dumps([PREPARE, *({**play, "module_defaults": defaults} for play in rolls), LAST]))
        hosts = {
            name: {"lease": str(self.folder / f"{name}.lease"), "trtllm_root": str(self.root(name)), **own}
            for name, own in self.hosts.items()
        }
        for name in hosts:
            (self.root(name) / "deployments" / NAME / "releases").mkdir(parents=True, exist_ok=True)
        groups = {"trtllm": {"hosts": hosts}, **({"gateway": {"hosts": {"gateway1": {}}}} if gateway else {})}
        (self.folder / "log").write_text("")
        return run(
            playbook,
            {**groups, "all": {"vars": {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"}}},
            self.folder,
            *options,
            log=str(self.folder / "log"),
            deployment_roll_tasks=str(self.folder / "switch.json"),
            **(gateway.paths() if gateway else {}),
        )

    def root(self, host: str) -> Path:
        return self.folder / "roots" / host

    @property
    def turns(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture(name="simple")
def fixture_simple(tmp_path: Path) -> Simple:
    return Simple(tmp_path)


def test_batches_come_from_group_vars(simple: Simple) -> None:
    """Also with a template. An unreachable host has no turn, and the others have theirs."""
    simple.hosts["gpu4"] = {}
    simple.hosts["gpu2"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    simple.of_group(trtllm_roll={"batch": "{{ size }}", "canary": 1}, size=2)
    done = simple.play()
    assert done.returncode == 4
    assert simple.turns == ["gpu1: gpu1 chat", "gpu3,gpu4: gpu3 chat", "gpu3,gpu4: gpu4 chat"]
    simple.hosts["gpu2"] = {}
    for host in ("gpu1", "gpu3", "gpu4"):
        simple.hosts[host] = {"pending": False}
    done = simple.play()
    assert done.returncode == 0 and simple.turns == ["gpu2: gpu2 chat"] and "=last=" in done.stdout


def test_three_hosts_and_only_group_vars_are_three_batches_and_the_second_fails(simple: Simple) -> None:
    simple.of_group(trtllm_roll={"batch": 1})
    simple.hosts["gpu2"] = {"bad": True}
    done = simple.play()
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and simple.turns == ["gpu1: gpu1 chat", "gpu2: gpu2 chat"]
    assert (
        "The roll stopped at gpu2. it does not work Switched: gpu1. Not switched: gpu2, gpu3. The gateways keep" in said
    )
    assert "=last=" not in said and not list(simple.folder.glob("*.lease"))
    simple.hosts = {"gpu1": {"pending": False}, "gpu2": {}, "gpu3": {}}
    done = simple.play()
    assert done.returncode == 0 and simple.turns == ["gpu2: gpu2 chat", "gpu3: gpu3 chat"] and "=last=" in done.stdout


def test_nothing_to_switch_takes_no_task(simple: Simple) -> None:
    simple.hosts = {host: {"pending": False} for host in HOSTS}
    done = simple.play()
    assert done.returncode == 0 and "=last=" in done.stdout
    recap = done.stdout.split("PLAY RECAP")[1]
    assert recap.count("ok=2 ") == 3, recap


def test_what_a_person_has_drained_stays_drained_and_a_killed_roll_goes_on(fleet: Rolled, simple: Simple) -> None:
    """All three are out of rotation, so that nothing is taken from clients."""
    runtime = fleet.gateway.runtime
    for server in runtime.servers():
        runtime.set_state(server, "drain")
    mark = simple.root("gpu1") / "deployments" / NAME / "rolling"
    mark.parent.mkdir(parents=True)
    mark.touch()
    done = simple.play(gateway=fleet)
    assert done.returncode == 0 and len(simple.turns) == 3
    assert fleet.states == {"gpu1": "ready", "gpu2": "drain", "gpu3": "drain"} and not mark.exists()
    # Now gpu1 is the only one with requests, and has to stay.
    done = simple.play(gateway=fleet)
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and simple.turns == []
    assert (
        "without gpu1, 0 of the 1 hosts that trtllm_roll.min_ready asks for" in said and "gpu2, gpu3 are not in" in said
    )
    assert fleet.states["gpu1"] == "ready" and not mark.exists()


def test_a_gateway_that_cannot_be_reached_stops_the_roll_before_a_host_is_drained(
    simple: Simple, fleet: Rolled
) -> None:
    file = simple.folder / "inventory/gone.json"
    # Not the address of the host that asks.
    lost = {"ansible_connection": "ssh", "ansible_host": "{{ inventory_hostname }}.invalid"}
    file.write_text(json.dumps({"gateway": {"hosts": {"gateway2": lost}}}))
    done = simple.play(gateway=fleet)
    assert done.returncode == 2 and simple.turns == []
    assert "Gateway gateway2 cannot be reached, and may still send requests to this host" in done.stdout
    assert "gateway2.invalid" in done.stdout and "gpu1.invalid" not in done.stdout
    assert fleet.states == dict.fromkeys(HOSTS, "ready")


def test_a_host_that_is_removed_is_drained_and_not_contacted(fleet: Rolled) -> None:
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    fleet.inventory["trtllm"]["hosts"]["gpu3"].update(gone)
    (play, *_plays) = json.loads(fleet.playbook("site").read_text())
    playbook = fleet.own / "playbooks/leave.json"
    playbook.write_text(json.dumps([play]))
    with fleet.load() as counted:
        time.sleep(1)
        done = run(playbook, fleet.inventory, fleet.own, **fleet.paths(), trtllm_remove="gpu3")
    assert done.returncode == 0 and counted["failed"] == []
    assert fleet.states == {"gpu1": "ready", "gpu2": "ready", "gpu3": "drain"}
    done = run(playbook, fleet.inventory, fleet.own, **fleet.paths())
    assert done.returncode == 0 and "ok=" not in done.stdout
