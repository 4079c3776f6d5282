# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs playbooks against the rehearsal's host, and commands on the host."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import testinfra
import yaml
from host_comparison import state_of
from played import Played

PROJECT = Path(__file__).resolve().parents[2]
STATE = PROJECT / ".cache" / "rehearsal"
HOST = "trtllm-rehearsal"
REHEARSAL = PROJECT / "inventories" / "rehearsal"
# The state of the host when it was created.
FOUND = STATE / "host-found.json"
# The server, through the port that rehearsal/bin/forward opens, and the models of Triton.
SERVER = f"http://localhost:{os.environ.get('TRTLLM_FORWARD_PORT', '8000')}"
MODELS = f"{SERVER}/v2/models"
# This machine may use a proxy, which cannot reach the port.
_DIRECT = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "localhost", "127.0.0.1"]
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, _DIRECT))
# Assembled here so that no file of the project contains it, and a search only finds leaks.
CANARY = "hf_" + "canary" * 4


@dataclass(frozen=True)
class GatedHub:
    """A hub with one repository that requires a token; `variables` make the site use it."""

    variables: dict[str, object]
    token: Path


@contextmanager
def another_hub(models: Path, offset: int, *options: str) -> Iterator[str]:
    """Start another hub with the port of the rehearsal's plus `offset`, and yield its endpoint."""
    address, port = yaml.safe_load((STATE / "hub.yml").read_text())["endpoint"].removeprefix("http://").rsplit(":", 1)
    port = str(int(port) + offset)
    command = [sys.executable, str(PROJECT / "rehearsal/hub/server.py"), "--root", str(models)]
    command += ["--address", address, "--port", port, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield f"http://{address}:{port}"
        finally:
            server.terminate()


class Site:
    """A host, by default `trtllm-rehearsal`, and the playbooks that are run against its inventory."""

    root = "/opt/trtllm"
    deployment = f"{root}/deployments/default"
    unit = "trtllm@default.service"

    def __init__(self, host: str = HOST, inventory: Path = REHEARSAL / "hosts.yml") -> None:
        """`host` is the name of its container."""
        self.host, self.inventory = host, inventory

    def make_bare(self) -> None:
        """Create a new host, and everything that it needs on this machine."""
        self.script("host", self.host, "--rm")
        for command in (["docker"], ["images"], ["model"], ["hub"], ["host", self.host], ["forward", self.host]):
            self.script(*command)
        FOUND.write_text(json.dumps(self.snapshot()))

    def script(self, name: str, *options: str) -> None:
        subprocess.run([PROJECT / "rehearsal" / "bin" / name, *options], check=True)

    def start(
        self,
        playbook: str,
        *options: str,
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        venv: Path = Path(sys.executable).parents[1],
    ) -> subprocess.Popen[str]:
        """Start a playbook in its own process group."""
        command = [
            str(venv / "bin" / "ansible-playbook"),
            *("-i", str(self.inventory)),
            playbook if "/" in playbook else f"tritonops.trtllm.{playbook}",
            *options,
            *(("-e", json.dumps(variables)) if variables else ()),
        ]
        # The output of Ansible is parsed, so settings of this machine's user, such as colours, are removed.
        ours = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        ours |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_INJECT_FACT_VARS": "false"}
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**ours, **(environment or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def play(self, playbook: str, *options: str, **keywords: Any) -> Played:
        began = time.monotonic()
        return self.finish(self.start(playbook, *options, **keywords), began)

    @staticmethod
    def finish(process: subprocess.Popen[str], began: float) -> Played:
        """Wait for a playbook that was started at this time."""
        output, _none = process.communicate()
        print(output)
        return Played(process.returncode, output, time.monotonic() - began)

    def plan(self, file: Path, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The plan of the default deployment with these variables."""
        played = self.play("plan", variables={**(variables or {}), "trtllm_plan_file": str(file)})
        assert played.returncode == 0
        plan: dict[str, Any] = json.loads(file.read_text())["hosts"]["rehearsal"]["deployments"]["default"]
        return plan

    def play_and_kill(self, playbook: str, pattern: str, victims: str = "", **keywords: Any) -> None:
        """Kill -9 the playbook and its processes on the host, as soon as a path there matches the shell pattern.

        `victims` is a regular expression for command lines; the default matches modules in their own Python.
        """
        victims = victims or f"{self.root}/venv/bin/python"
        # A module survives the end of its connection, unlike on a host that loses power. It may also be done before
        # this process notices the path, so it is killed on the host.
        process = self._play_until(playbook, pattern, f"pkill --signal KILL --full '{victims}'", **keywords)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        self.run("pkill", "--signal", "KILL", "--full", victims, check=False)
        self.wait(60, lambda: self.run("pgrep", "--full", victims, check=False).returncode != 0)

    def play_and_disrupt(self, playbook: str, *options: str, pattern: str, command: str, **keywords: Any) -> Played:
        """Run a shell command on the host while the playbook runs, as soon as a path there matches the pattern."""
        began = time.monotonic()
        return self.finish(self._play_until(playbook, pattern, command, *options, **keywords), began)

    def _play_until(
        self, playbook: str, pattern: str, then: str, *options: str, **keywords: Any
    ) -> subprocess.Popen[str]:
        watch = f"until ls -d {pattern}; do sleep 0.01; done; {then}"
        with subprocess.Popen(
            ["docker", "exec", self.host, "sh", "-c", watch], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as watcher:
            process = self.start(playbook, *options, **keywords)
            while watcher.poll() is None:
                if process.poll() is not None:
                    watcher.kill()
                    # That only ended the client of Docker.
                    self.run("pkill", "--full", "[u]ntil ls -d", check=False)
                    output = process.communicate()[0]
                    raise AssertionError(f"the play ended before {pattern} existed:\n{output[-3000:]}")
                time.sleep(0.01)
        return process

    def snapshot(self) -> dict[str, Any]:
        return state_of(testinfra.get_host(f"docker://{self.host}"))

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the host."""
        return subprocess.run(["docker", "exec", self.host, *command], text=True, capture_output=True, check=check)

    def read(self, *command: str) -> str:
        return self.run(*command).stdout

    def exists(self, pattern: str) -> bool:
        """Whether a path that matches the shell pattern is on the host."""
        return self.run("sh", "-c", f"ls -d {pattern}", check=False).returncode == 0

    def json(self, path: str) -> Any:
        return json.loads(self.read("cat", path))

    def container(self, deployment: str = "default") -> dict[str, Any]:
        """The output of docker inspect for the serving container."""
        described: dict[str, Any] = json.loads(self.read("docker", "inspect", f"trtllm-{deployment}"))[0]
        return described

    @staticmethod
    def command(container: Mapping[str, Any]) -> list[str]:
        """The command of a container as in the plan, without the key of closed APIs, which is new at each start."""
        words = [container["Path"], *container["Args"]]
        return [re.sub("(?<=:admin-key=)[0-9a-f]{32}$", "@ADMIN_KEY@", word) for word in words]

    def served(self, link: str = "current", deployment: str = "default") -> str:
        """The folder of the release that the deployment serves, or of the previous one."""
        return self.read("readlink", "--canonicalize", f"{self.root}/deployments/{deployment}/{link}").strip()

    def starts(self) -> int:
        """How often the service was started."""
        return self.read("journalctl", "--unit", self.unit, "--output", "cat", "--grep", "^Started ").count("Started ")

    def wait(self, seconds: float, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{condition} was not true within {seconds} s"
            time.sleep(0.2)
