# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three GPU hosts and gateways as containers with systemd on this machine, and clients that stream through them."""

from __future__ import annotations

import calendar
import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import HAPROXY, LIBRARIES
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from figures import Load
from jinja2 import Template
from site_under_test import PROJECT, REHEARSAL, STATE, Site

GPU_HOSTS = ("gpu1", "gpu2", "gpu3")
ALL_UP = dict.fromkeys(GPU_HOSTS, "UP")
MODEL = PROJECT / "rehearsal" / "mixtral" / "tiny-mixtral"
SOCKET = "/run/trtllm-gateway/haproxy.sock"
# One client with long answers and two with short ones. More would need the processors that Ansible runs on.
ANSWERS = ("400", "40", "40")
CLIENT = "drill"
# The address that clients use. A forward by `docker exec`, as for the rehearsal, takes too long for each connection.
FORWARD = """
defaults
    mode tcp
    timeout connect 2s
    timeout client 600s
    timeout server 600s

listen gateways
    bind 127.0.0.1:{port}
    option redispatch 1
"""
FORWARD_SERVER = "    server {name} {address}:443 check inter 1s fall 1\n"


def container(name: str) -> str:
    # rehearsal/bin/clean removes these.
    return f"trtllm-fleet-drill-{name}"


def address(host: Site) -> str:
    return host.read("hostname", "--ip-address").strip()


class FleetUnderTest:
    """The hosts of the inventory, and what its group variables say."""

    def __init__(self, folder: Path, gateways: int) -> None:
        self.folder = folder
        self.gpu_hosts = {name: Site(container(name), folder / "hosts.json") for name in GPU_HOSTS}
        names = [f"gateway{number}" for number in range(1, gateways + 1)]
        self.gateways = {name: Site(container(name), folder / "hosts.json") for name in names}
        self.hosts = {**self.gpu_hosts, **self.gateways}
        # Its view of the hosts is that of the others, too.
        self.gateway = self.gateways["gateway1"]

    def create(self) -> None:
        for step in (["docker"], ["images", "host", "serve"], ["model"], ["wheelhouse"]):
            self.gateway.script(*step)
        for name in self.hosts:
            self.gateway.script("host", container(name), "--rm")
            image = ["--image", "tritonops/rehearsal-host:bookworm-docker"] if name in GPU_HOSTS else []
            self.gateway.script("host", container(name), *image)
        self._write_inventory()
        self._prepare()

    def remove(self) -> None:
        for name in self.hosts:
            self.gateway.script("host", container(name), "--rm")

    def _write_inventory(self) -> None:
        """Like inventories/rehearsal/fleet.yml, with another model and other hosts."""
        known = yaml.safe_load((REHEARSAL / "fleet.yml").read_text())["all"]["vars"]
        own: dict[str, Any] = {"rehearsal_fleet": str(self.folder)}
        # The clients use all gateways at the same time.
        own["trtllm_gateway"] = {**known["trtllm_gateway"], "share": len(self.gateways)}
        hosts = {
            name: {"ansible_host": host.host, "trtllm_endpoint": {"address": address(host)}}
            for name, host in self.hosts.items()
        }
        inventory = {
            "trtllm": {"hosts": {name: hosts[name] for name in GPU_HOSTS}},
            "gateway": {"hosts": {name: hosts[name] for name in self.gateways}},
            "all": {"vars": {**known, **own}},
        }
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        of_group = self.folder / "group_vars" / "trtllm"
        of_group.mkdir(parents=True)
        (self.folder / "host_vars").mkdir()
        (of_group / "1.yml").symlink_to(REHEARSAL / "group_vars" / "trtllm.yml")
        (of_group.parent / "all.yml").symlink_to(REHEARSAL / "group_vars" / "all.yml")
        variables = {
            "rehearsal_state": str(STATE),
            "trtllm_model": {"repository": "rehearsal/tiny-mixtral", "config": str(MODEL / "config.json")},
            "trtllm_weights": {"path": "/var/cache/rehearsal/models/rehearsal/tiny-mixtral"},
            "trtllm_profile": "serve",
            "trtllm_served_model_name": "chat",
            "trtllm_parallelism": {"tensor": 1},
            "trtllm_docker_source": "existing",
            "trtllm_wheelhouse": "/var/cache/wheelhouse",
            # How soon a server is out of rotation is that of the defaults.
            "trtllm_watchdog": {"patience": 20},
            "trtllm_roll": {"batch": 1, "min_ready": 2},
        }
        (of_group / "2.json").write_text(json.dumps(variables))
        self.choose_release(1)

    def choose_release(self, number: int, **of_gpu2: Any) -> None:
        """Another release of the same model: each number is another option of the server. gpu2 may have more."""
        limits = {"max_input_len": 256, "max_seq_len": 512, "max_num_tokens": 4096 + 256 * number}
        (self.folder / "group_vars/trtllm/3.json").write_text(json.dumps({"trtllm_limits": limits}))
        (self.folder / "host_vars/gpu2.json").write_text(json.dumps(of_gpu2))

    def _prepare(self) -> None:
        """HAProxy on all hosts, a key for the clients, and the address that they use."""
        tasks: list[dict[str, Any]] = [
            {"ansible.builtin.import_tasks": str(PROJECT / "playbooks/tasks/rehearse_haproxy.yml")},
            {
                "tritonops.trtllm.api_key": {"path": "{{ trtllm_gateway_keys }}", "name": CLIENT},
                "register": "issued",
                "run_once": True,
            },
            {"ansible.builtin.debug": {"msg": "key={{ issued.key }}="}, "run_once": True},
        ]
        playbook = self.folder / "prepare.json"
        playbook.write_text(json.dumps([{"hosts": "trtllm:gateway", "gather_facts": False, "tasks": tasks}]))
        played = self.gateway.play(str(playbook))
        assert played.returncode == 0
        port = free_port()
        variables = {
            "rehearsal_port": port,
            "rehearsal_key": played.output.split("key=")[1].split("=")[0],
            "rehearsal_ca": str(self.folder / "authority" / "ca.pem"),
        }
        example = Template((PROJECT / "rehearsal/fleet/ask.py.j2").read_text())
        (self.folder / "ask.py").write_text(example.render(variables))
        servers = [FORWARD_SERVER.format(name=name, address=address(host)) for name, host in self.gateways.items()]
        (self.folder / "forward.cfg").write_text(FORWARD.format(port=port) + "".join(servers))

    @contextmanager
    def forward(self) -> Iterator[None]:
        environment = {**os.environ, "LD_LIBRARY_PATH": LIBRARIES}
        with subprocess.Popen([HAPROXY, "-f", str(self.folder / "forward.cfg")], env=environment) as process:
            try:
                yield
            finally:
                process.terminate()

    # --- the hosts ----------------------------------------------------------------------------------------------------

    def served(self) -> dict[str, str]:
        return {name: host.served() for name, host in self.gpu_hosts.items()}

    def marks(self) -> list[str]:
        """The hosts whose turn in a roll has not ended."""
        return [name for name, host in self.gpu_hosts.items() if host.exists(f"{host.deployment}/rolling")]

    # --- the gateway ------------------------------------------------------------------------------------------------

    def _servers(self, gateway: Site) -> dict[str, dict[str, str]]:
        """What the gateway knows about the host's server, by host."""
        text = gateway.read("sh", "-c", f"echo show stat | socat - {SOCKET}")
        rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        return {row["svname"].split(":")[0]: row for row in rows if ":" in row["svname"]}

    @property
    def rotation(self) -> dict[str, str]:
        """UP, DOWN, DRAIN or another status of HAProxy, by host."""
        return {host: row["status"].split()[0] for host, row in self._servers(self.gateway).items()}

    def _failures(self, since: float) -> list[dict[str, Any]]:
        """The lines of the access log for requests of the clients that have failed, with the time when they began."""
        command = ("journalctl", "-t", "trtllm-gateway", "-o", "cat", f"--since=@{since:.0f}")
        logged = [line for gateway in self.gateways.values() for line in gateway.read(*command).splitlines()]
        lines = [json.loads(line) for line in logged if line.startswith('{"time"')]
        failed = [line for line in lines if line["key"] == CLIENT and (line["status"] != 200 or line["end"] != "--")]
        for line in failed:
            ended = calendar.timegm(time.strptime(line["time"], "%Y-%m-%dT%H:%M:%SZ"))
            line["began"] = ended - line["total_ms"] / 1000
        return failed

    # --- clients ----------------------------------------------------------------------------------------------------

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Clients that stream while the block runs. What became of their requests is known afterwards."""
        began, load = time.time(), Load()
        answered = self._answered()
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, str(PROJECT / "rehearsal/fleet/load.py"), "3600", *ANSWERS]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as clients:
            try:
                self.gateway.wait(180, lambda: self._answered() > answered)
                yield load
            finally:
                clients.terminate()
                output = clients.communicate()[0]
        figures = json.loads(output)
        load.sent, load.answered, load.gap = figures["sent"], figures["answers"], figures["longest_gap_seconds"]
        load.causes, load.failed = figures["failed"], sum(figures["failed"].values())
        load.lines = self._failures(began)
        print(load)

    def _answered(self) -> int:
        rows = [row for gateway in self.gateways.values() for row in self._servers(gateway).values()]
        return sum(int(row["hrsp_2xx"] or 0) for row in rows)


@contextmanager
def serving_fleet(folder: Path, gateways: int = 1) -> Iterator[FleetUnderTest]:
    """It serves the first release."""
    fleet = FleetUnderTest(folder, gateways)
    try:
        fleet.create()
        played = fleet.gateway.play("site")
        assert played.returncode == 0
        fleet.gateway.wait(30, lambda: fleet.rotation == ALL_UP)
        with fleet.forward():
            yield fleet
    finally:
        fleet.remove()
