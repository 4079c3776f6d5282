# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tag is one image on all hosts of a play."""

from __future__ import annotations

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from ansible import constants
from ansible_collections.tritonops.trtllm.plugins.action.trtllm_image import ActionModule
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._once import looked_up_once
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._progress import ProgressAction

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
REFERENCE = "nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3"
TAGGED = {"source": "registry", "reference": REFERENCE, "dest": "/opt/trtllm/image/0d9b95748a6f3c2e"}
THIS_PLAY = SimpleNamespace(_uuid="one")


class Fleet:
    """The hosts of a play, and a registry whose tag moves after the first look-up."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.digests = [OLD, NEW]
        self.asked: list[str] = []
        self.recorded: dict[str, str] = {}

    def run(self, host: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """The arguments of the module, or the result of the action."""
        task = SimpleNamespace(args={**TAGGED, **arguments}, check_mode=check, get_play=lambda: THIS_PLAY)
        unused = SimpleNamespace()
        action = ActionModule(task, unused, unused, unused, unused, unused)  # type: ignore[arg-type]

        def look_up(module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
            assert module_args["look_up"] and task_vars["inventory_hostname"] == host
            self.asked.append(host)
            return {"digest": self.digests.pop(0)} if self.digests else {"failed": True, "msg": "no route to host"}

        action._execute_module = look_up  # type: ignore[method-assign, assignment]
        images = {name: {"/data/image/0d9b95748a6f3c2e": f"nvcr.io/x@{own}"} for name, own in self.recorded.items()}
        hostvars = {name: {"trtllm_backend_images": images[name]} if name in images else {} for name in self.hosts}
        task_vars = {"inventory_hostname": host, "ansible_play_hosts_all": list(self.hosts), "hostvars": hostvars}
        result: dict[str, Any] = action.run(None, task_vars)
        return result


@pytest.fixture(name="fleet")
def fixture_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(ProgressAction, "run", lambda self, _tmp, _vars: dict(self._task.args))
    return Fleet("a", "b", "c")


def test_all_hosts_use_what_the_first_looked_up(fleet: Fleet) -> None:
    assert [fleet.run(host)["resolved"] for host in fleet.hosts] == [OLD, OLD, OLD]
    assert fleet.asked == ["a"]


def test_another_tag_is_looked_up_for_itself(fleet: Fleet) -> None:
    assert fleet.run("a")["resolved"] == OLD
    assert fleet.run("a", reference="nvcr.io/nvidia/tritonserver:26.03-trtllm-python-py3")["resolved"] == NEW


@pytest.mark.parametrize(
    "arguments",
    [
        {"digest": OLD},
        {"reference": f"{REFERENCE}@{OLD}"},
        {"source": "archive", "reference": None, "archive": "/image.tar", "digest": OLD},
        {"resolved": NEW},
        {"check": True},
    ],
)
def test_nothing_is_looked_up_without_need(fleet: Fleet, arguments: dict[str, Any]) -> None:
    assert fleet.run("a", **arguments).get("resolved") == arguments.get("resolved")
    assert fleet.asked == []


def test_a_new_host_of_a_fleet_is_refused_if_the_tag_was_moved(fleet: Fleet) -> None:
    fleet.recorded = {"a": NEW, "b": NEW}
    # The module of a host with a record compares the digests itself.
    assert fleet.run("a")["resolved"] == OLD
    refused = fleet.run("c")
    assert refused["failed"]
    for words in (f"the tag {REFERENCE} was moved", f"{OLD}: the registry", f"{NEW}: a, b", "trtllm_image.digest"):
        assert words in refused["msg"]


def test_a_new_host_gets_the_recorded_image_if_the_tag_was_not_moved(fleet: Fleet) -> None:
    fleet.recorded = {"a": OLD}
    assert fleet.run("c")["resolved"] == OLD


def test_with_keep_a_new_host_gets_the_recorded_image(fleet: Fleet) -> None:
    fleet.recorded = {"a": OLD}
    fleet.digests = [NEW]
    assert fleet.run("c", tag_moved="keep")["resolved"] == OLD
    assert fleet.asked == []


@pytest.mark.parametrize("tag_moved", ["refuse", "keep"])
def test_a_fleet_of_two_images_is_refused(fleet: Fleet, tag_moved: str) -> None:
    fleet.recorded = {"a": OLD, "b": NEW}
    for host in fleet.hosts:
        message = fleet.run(host, tag_moved=tag_moved)["msg"]
        assert f"{OLD}: a" in message and f"{NEW}: b" in message


def test_without_the_registry_the_module_reports_it(fleet: Fleet) -> None:
    fleet.digests = []
    assert fleet.run("a")["resolved"] == ""
    fleet.recorded = {"a": OLD}
    assert fleet.run("c")["resolved"] == OLD


def test_concurrent_hosts_look_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible runs the hosts of a task in processes."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    context = get_context("fork")
    answers = context.Queue()

    def ask(number: int) -> None:
        answers.put(looked_up_once(REFERENCE, lambda: f"sha256:{number}"))

    processes = [context.Process(target=ask, args=(number,)) for number in range(8)]
    for process in processes:
        process.start()
    found = {answers.get(timeout=30) for _process in processes}
    for process in processes:
        process.join()
    assert len(found) == 1


# --- in a play

PLAY = """
- hosts: all
  gather_facts: false
  connection: local
  vars: {ansible_python_interpreter: "%s"}
  tasks:
    - tritonops.trtllm.trtllm_image:
        source: registry
        reference: registry.invalid/backend:1
        dest: "%s/{{ inventory_hostname }}/image/0d9b95748a6f3c2e"
        docker_host: "tcp://127.0.0.1:%s"
"""


class DockerStub(BaseHTTPRequestHandler):
    """A Docker that has every image, and whose registry moves the tag after each look-up."""

    looked_up: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        body: dict[str, Any] = {}
        if self.path.endswith("/version"):
            body = {"ApiVersion": "1.43"}
        elif "/distribution/" in self.path:
            self.looked_up.append("sha256:" + str(len(self.looked_up)) * 64)
            body = {"Descriptor": {"digest": self.looked_up[-1]}}
        elif "/images/" in self.path:
            body = {"Id": OLD, "Size": 1}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: Any) -> None:
        pass


def test_a_tag_that_is_moved_during_a_play_is_one_image_on_all_hosts(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    server = ThreadingHTTPServer(("127.0.0.1", 0), DockerStub)
    Thread(target=server.serve_forever, daemon=True).start()
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY % (sys.executable, tmp_path, server.server_port))
    program = Path(sys.executable).with_name("ansible-playbook")
    try:
        done = subprocess.run(
            [str(program), "-i", "a,b,c", str(playbook)], capture_output=True, text=True, check=False, cwd=tmp_path
        )
    finally:
        server.shutdown()
        server.server_close()
    records = [tmp_path / host / "image/0d9b95748a6f3c2e/artifact.json" for host in "abc"]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len({json.loads(record.read_text())["image"] for record in records}) == 1
    assert len(DockerStub.looked_up) == 1
