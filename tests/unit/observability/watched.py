# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet under load that a real Prometheus scrapes as the role observability configures it.

The gateway, the endpoints, trtllm-serve, node exporter and blackbox exporter are real. What needs a GPU, Triton or
systemd is exported from healthy.yml.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests
from ansible.template import trust_as_template
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, ModelServer, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.observability.promtool import program
from ansible_collections.tritonops.trtllm.tests.unit.observability.series import SYNTHETIC, labels_of
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import Serve, serve

MODEL = PROJECT / "rehearsal/mixtral/tiny-mixtral"
SERVE_CONFIG = "return_perf_metrics: true\nenable_iter_perf_stats: true\n"
VERSIONS = {"gpu1": "1.3.0rc29", "gpu2": "1.2.1"}
# What every machine has in the same way, and systemd and drives from the text file.
COLLECTORS = (
    "--collector.disable-defaults",
    *(f"--collector.{name}" for name in ("cpu", "meminfo", "netdev", "textfile")),
    "--collector.netdev.device-exclude=^([^l].*|l[^o].*)$",
)
KEY = "sk-team"
WORKERS = 2
PAUSE = 2.0
"""Seconds between the requests of a worker."""


def exported(target: str, minutes: float = 0, changes: Mapping[str, str] | None = None) -> bytes:
    """The synthetic series of a target in the text format, as they are after some minutes, with changes."""
    lines = []
    for name, values in {**SYNTHETIC, **(changes or {})}.items():
        found = re.fullmatch(rf"(\w+){{@{target}(?:,(.*))?}}", name)
        if found and found[1] != "up":
            number = re.fullmatch(r"([\d.]+)(?:\+([\d.]+))?x\d+", values)
            assert number, values
            first, step = number.groups(default="0")
            # Prometheus renames labels that the target has as well.
            labels = (found[2] or "").replace("exported_", "")
            lines.append(f"{found[1]}{{{labels}}} {float(first) + float(step) * minutes}\n")
    assert lines, f"{target} has no series"
    return "".join(lines).encode()


class Synthetic(ModelServer):
    """Exports the synthetic series of a target, and answers requests."""

    def __init__(self, target: str) -> None:
        self.target, self.began = target, time.monotonic()
        self.changes: dict[str, str] = {}
        super().__init__(0)

    @property
    def metrics(self) -> bytes:
        return exported(self.target, (time.monotonic() - self.began) / 60, self.changes)

    @metrics.setter
    def metrics(self, _text: bytes) -> None:
        """The ones that a model server has by default are not needed."""


class Real:
    """trtllm-serve behind an endpoint."""

    metrics_path = "/prometheus/metrics"

    def __init__(self, server: Serve) -> None:
        self.port, self.metrics_port, self.process = server.port, server.port, server.process

    def shutdown(self) -> None:
        """The context that started it stops it."""


@contextlib.contextmanager
def running(name: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Prometheus' project while the block runs."""
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen([program(name), *arguments], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


class Watched:
    """The parts of the fleet, and what Prometheus knows."""

    def __init__(self, fleet: Fleet, port: int, **processes: Any) -> None:
        self.fleet, self.port, self.processes = fleet, port, processes
        self._clients: list[threading.Thread] = []
        self._end = threading.Event()

    def api(self, path: str, **parameters: Any) -> Any:
        answer = requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters, timeout=30).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def ask(self, number: int) -> None:
        """One request of a client. One of 20 has a wrong key."""
        if number % 20 == 19:
            assert self.fleet.chat("{}", "sk-wrong").status_code == 401
            return
        answer = self.fleet.client(KEY).completions.create(
            model="chat",
            prompt=f"Cloud computing {number}",
            max_tokens=6,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        assert list(answer)

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Requests of several clients while the block runs, or until end_load()."""
        errors: list[Exception] = []

        def work() -> None:
            number = 0
            while not self._end.wait(PAUSE):
                try:
                    self.ask(number)
                except Exception as exc:
                    errors.append(exc)
                number += 1

        self._clients = [threading.Thread(target=work) for _number in range(WORKERS)]
        for thread in self._clients:
            thread.start()
        try:
            yield
        finally:
            self.end_load()
        if errors:
            raise errors[0]

    def end_load(self) -> None:
        """Returns when the last request has its answer."""
        self._end.set()
        for thread in self._clients:
            thread.join(60)


@contextlib.contextmanager
def watched(
    folder: Path, interval: str = "15s", models: Mapping[tuple[str, str], Any] | None = None
) -> Iterator[Watched]:
    """Everything runs and is scraped; `interval` is that of scrapes and rules.

    `models` are model servers, by host and deployment, that replace others.
    """
    # Without --served_model_name, which 1.2.1 does not have, the folder is the model's name.
    (folder / "chat").symlink_to(MODEL)
    (folder / "serve.yml").write_text(SERVE_CONFIG, encoding="utf-8")
    options = ("--config", str(folder / "serve.yml"), "--max_batch_size", "4", "--max_seq_len", "256")
    node_port, blackbox_port, port = free_port(), free_port(), free_port()
    (folder / "text").mkdir()
    (folder / "text/synthetic.prom").write_bytes(exported("node"))
    node = (f"--web.listen-address=127.0.0.1:{node_port}", f"--collector.textfile.directory={folder}/text", *COLLECTORS)
    with contextlib.ExitStack() as stack:
        servers = {}
        for host, version in VERSIONS.items():
            (folder / version).mkdir()
            server = stack.enter_context(serve(folder / version, folder / "chat", *options, version=version))
            servers[host] = Real(server)
        dcgm = Synthetic("dcgm")
        triton = {"gpu1": Synthetic("engine"), "gpu2": Synthetic("llmapi")}
        running_models: dict[tuple[str, str], Any] = {(host, "chat"): server for host, server in servers.items()}
        running_models |= {(host, "triton"): server for host, server in triton.items()}
        running_models |= models or {}
        exporters = [{"name": "node", "port": node_port}, {"name": "dcgm", "port": dcgm.port}]
        exporter = stack.enter_context(running("prometheus-node-exporter", folder, *node))
        fleet = Fleet(folder, exporters=exporters, models=running_models, gateway_metrics_address="0.0.0.0")
        stack.callback(fleet.close)
        fleet.set_keys(ApiKey("team", hash_of(KEY), requests_per_minute=1000, tokens_per_minute=100000))
        role = _role(folder, fleet, port, blackbox_port, interval)
        stack.enter_context(running("prometheus-blackbox-exporter", folder, *_arguments(role, "blackbox-exporter")))
        prometheus = stack.enter_context(running("prometheus", folder, *_arguments(role, ""), *_storage(folder)))
        watched = Watched(fleet, port, servers=servers, dcgm=dcgm, exporter=exporter, prometheus=prometheus)
        wait_for(lambda: _is_ready(port), 60)
        yield watched


def _role(folder: Path, fleet: Fleet, port: int, blackbox_port: int, interval: str) -> Role:
    """The role's files, in the folder."""
    role = Role(
        "observability",
        "debian-12",
        ansible_managed="managed",
        observability_targets=_targets(fleet),
        observability_targets_folder=str(folder),
        observability_rules_folder=str(PROJECT / "roles/observability/files/rules"),
        observability_blackbox=f"127.0.0.1:{blackbox_port}",
        observability_port=port,
    )
    fleet.certificate(folder / "monitoring.pem", "prometheus", "monitoring")
    for job, groups in role["observability_targets"].items():
        (folder / f"{job}.json").write_text(json.dumps(groups), encoding="utf-8")
    templates = role.folder / "templates"
    role.variables["scrape"] = trust_as_template((templates / "scrape_configs.j2").read_text())
    text = (templates / "prometheus.yml.j2").read_text().replace("{% include 'scrape_configs.j2' %}", "{{ scrape }}")
    for name, content in (("prometheus", text), ("blackbox", (templates / "blackbox.yml.j2").read_text())):
        written = role.render(trust_as_template(content)).replace("15s", interval).replace("5m\n", f"{interval}\n")
        (folder / f"{name}.yml").write_text(written, encoding="utf-8")
    return role


def _arguments(role: Role, exporter: str) -> list[str]:
    """Those of the service, with the files in the folder."""
    arguments = role["__observability_arguments"]["-".join(filter(None, ["prometheus", exporter]))]
    return [argument.replace("/etc/prometheus", role["observability_targets_folder"]) for argument in arguments]


def _storage(folder: Path) -> list[str]:
    return [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]


def _is_ready(port: int) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=2).ok
    return False


def _targets(fleet: Fleet) -> dict[str, list[dict[str, Any]]]:
    """The targets of healthy.yml on this machine, in the form of the plan."""
    places = {
        "engine": (fleet.ports["gpu1"], "/triton/metrics"),
        "llmapi": (fleet.ports["gpu2"], "/triton/metrics"),
        "serve": (fleet.ports["gpu1"], "/chat/metrics"),
        "old": (fleet.ports["gpu2"], "/chat/metrics"),
        "endpoint": (fleet.ports["gpu1"], "/metrics"),
        "node": (fleet.ports["gpu1"], "/metrics/node"),
        "dcgm": (fleet.ports["gpu1"], "/metrics/dcgm"),
        "gateway": (fleet.metrics_port("gateway1"), "/metrics"),
        "gateway_keys": (fleet.metrics_port("gateway1"), "/metrics/keys"),
        "certificate": (fleet.port, ""),
    }
    found: dict[str, list[dict[str, Any]]] = {}
    for target, (port, path) in places.items():
        labels = labels_of(target)
        job = labels.pop("job")
        if path:
            labels["__metrics_path__"] = path
        found.setdefault(job, []).append({"targets": [f"localhost:{port}"], "labels": labels})
    return found
