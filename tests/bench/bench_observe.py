# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs to be watched: CPU time of a scrape, and of a line in the access log.

The parts are those of the tests: real HAProxy, the rehearsal's trtllm-serve, Debian's node exporter; and the real
Triton. `--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx2
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.keys._api_keys import ApiKey, hash_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import HAProxy
from ansible_collections.tritonops.trtllm.tests.unit.observability.watched import Watched, watched
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port
from bench_gateway import cpu_seconds
from real_triton import Triton, real_triton
from report import machine, table, write_section

SCRAPES = 300
KEYS = 1000
REQUESTS = 6000
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
# Milliseconds.
SCRAPE_LIMIT, LINE_LIMIT = 20, 0.2
LOG = "    log stdout format raw daemon\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        triton = stack.enter_context(real_triton(folder))
        fleet = stack.enter_context(watched(folder, models={("gpu1", "triton"): triton}))
        for number in range(10):
            fleet.ask(number)
        text = measure(fleet, triton)
    print(text)
    if arguments.write:
        write_section("observe", text)


def measure(fleet: Watched, triton: Triton) -> str:
    endpoint, gateway = fleet.fleet.endpoints["gpu1"], fleet.fleet.gateway
    server, exporter = fleet.processes["servers"]["gpu1"].process.pid, fleet.processes["exporter"].pid
    host, metrics = fleet.fleet.ports["gpu1"], fleet.fleet.metrics_port("gateway1")
    ways: dict[str, tuple[int, str, HAProxy, list[int]]] = {
        "trtllm-serve 1.3, through the endpoint": (host, "/chat/metrics", endpoint, [server]),
        f"Triton {triton.version}, through the endpoint": (host, "/triton/metrics", endpoint, [triton.process.pid]),
        "node exporter, through the endpoint": (host, "/metrics/node", endpoint, [exporter]),
        "the endpoint": (host, "/metrics", endpoint, []),
        "the gateway": (metrics, "/metrics", gateway, []),
        f"the gateway's {KEYS} keys": (metrics, "/metrics/keys", gateway, []),
    }
    # Each has all four metrics.
    limited = [ApiKey(f"team-{number}", hash_of(str(number)), ("*",), 600, 100000) for number in range(KEYS - 1)]
    fleet.fleet.set_keys(*limited)
    rows: list[list[object]] = []
    certificate = fleet.fleet.folder / "monitoring.pem"
    with httpx2.Client(verify=fleet.fleet.context(certificate), timeout=30) as client:
        for name, (port, path, proxy, pids) in ways.items():
            milliseconds, size = scrape(client, f"https://localhost:{port}{path}", proxy, pids)
            within(name, milliseconds, SCRAPE_LIMIT)
            rows.append([f"a scrape of {name}", f"{milliseconds:.2f}", f"{size / 1024:.0f} KiB"])
    line = line_cost(fleet)
    within("a line in the access log", line, LINE_LIMIT)
    rows.append(["a line in the access log of the gateway", f"{line:.3f}", ""])
    about = f"mean of {SCRAPES} scrapes over one connection, and of {REQUESTS} refused requests with and without a log"
    return f"{table(['what', 'CPU time, ms', 'size'], rows)}\n\nOn {machine()}; {about}."


def scrape(client: httpx2.Client, url: str, proxy: HAProxy, pids: Sequence[int]) -> tuple[float, int]:
    """CPU milliseconds of everything that takes part, and the bytes of an answer."""
    size = len(client.get(url).raise_for_status().content)

    def seconds() -> float:
        return cpu_seconds(proxy) + sum(map(own_seconds, pids))

    before = seconds()
    for _number in range(SCRAPES):
        client.get(url).raise_for_status()
    return (seconds() - before) / SCRAPES * 1e3, size


def own_seconds(pid: int) -> float:
    # utime and stime come after the command, which is in brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def line_cost(fleet: Watched) -> float:
    """CPU milliseconds of a refused request to a gateway, less those without a log."""
    port = free_port()
    gateway = fleet.fleet.start_gateway("gateway2", port)
    try:
        logged = request_cost(fleet, gateway, port)
        text = gateway.config.read_text()
        if LOG not in text:
            raise SystemExit(f"the gateway's configuration has no line {LOG!r}")
        gateway.config.write_text(text.replace(LOG, ""))
        gateway.stop()
        gateway.start()
        return logged - request_cost(fleet, gateway, port)
    finally:
        gateway.stop()


def request_cost(fleet: Watched, gateway: HAProxy, port: int) -> float:
    with httpx2.Client(verify=fleet.fleet.context(), headers={"Authorization": "Bearer sk-wrong"}) as client:
        url = f"https://localhost:{port}/v1/models"
        client.get(url)
        before = cpu_seconds(gateway)
        for _number in range(REQUESTS):
            client.get(url)
        return (cpu_seconds(gateway) - before) / REQUESTS * 1e3


def within(name: str, milliseconds: float, limit: float) -> None:
    if milliseconds > limit:
        raise SystemExit(f"{name}: {milliseconds:.2f} ms of CPU time are more than {limit} ms")


if __name__ == "__main__":
    main()
