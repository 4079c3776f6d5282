# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gateway and a host's endpoint cost: time to the first byte, CPU time of a token, and throughput.

The same requests are sent to the model server directly and through both, in turn, over connections that are kept. What
HAProxy needs without requests, mostly for health checks, is measured before and subtracted from the CPU time of tokens.
Streams get their tokens at the same time, as from TensorRT-LLM: each iteration of its executor makes one token of every
request under way. HAProxy then wakes up once for several of them. What a token costs that comes at a time of its own is
measured as well.
For comparison, the streams are also sent through two HAProxies that do nothing but TLS on both legs. Like those of the
roles, they send each token at once: without `option http-no-delay` they need less than half, but tokens come in threes.
`--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, HAProxy, ModelServer, free_port
from report import machine, table, write_section

STREAMS = 50
TOKENS = 100
TOKEN_SECONDS = 0.1
REQUESTS = 1000
IDLE_SECONDS = 20

# The least that a gateway and an endpoint can be: TLS, and mutual TLS on the inner leg, without delay.
BARE = """
global
    nbthread 1
    stats socket {folder}/socket mode 0660 level admin
defaults
    mode http
    option http-no-delay
    timeout connect 2s
    timeout client 600s
    timeout server 600s
listen all
    bind 127.0.0.1:{port} ssl crt {folder}/certificate.pem alpn http/1.1 {clients}
    server next 127.0.0.1:{to} {tls}
"""
VERIFIED = "ca-file {folder}/ca.pem verify required"
INNER = f"ssl crt {{folder}}/client.pem {VERIFIED} alpn http/1.1 sni str(gpu1) verifyhost gpu1"


class Way:
    """A URL to send requests to, directly or through HAProxy, and the CPU time of the proxies."""

    def __init__(self, url: str, fleet: Fleet, *proxies: HAProxy) -> None:
        self.proxies = proxies
        self.url = f"{url}/v1/chat/completions"
        self.headers = {"Authorization": f"Bearer {fleet.KEY}"}
        self.client = httpx2.Client(verify=fleet.context(), timeout=60, limits=httpx2.Limits(max_connections=STREAMS))

    def first_byte(self) -> float:
        """Seconds from the request to the first byte of the answer."""
        body = {"model": "chat", "max_tokens": 1, "messages": []}
        began = time.perf_counter()
        with self.client.stream("POST", self.url, json=body, headers=self.headers) as answer:
            parts = answer.iter_raw()
            next(parts)
            seconds = time.perf_counter() - began
            # The connection is only kept if the whole answer is read.
            for _part in parts:
                pass
        return seconds

    def stream(self, tokens: int) -> int:
        """The number of tokens of one stream, for which so many are requested."""
        body = {"model": "chat", "max_tokens": tokens, "messages": [], "stream": True}
        with self.client.stream("POST", self.url, json=body, headers=self.headers) as answer:
            return sum(line.startswith("data: {") for line in answer.iter_lines())

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, self.proxies))


def cpu_seconds(proxy: HAProxy) -> float:
    """CPU time of the workers until now. The master process does nothing."""
    pids = subprocess.run(["pgrep", "-P", str(proxy.process.pid)], text=True, capture_output=True, check=True)
    threads = [thread for pid in pids.stdout.split() for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@dataclass(frozen=True)
class Streams:
    """What streams through a way need: CPU time of a token, of which `idle` is needed without streams as well."""

    rate: float
    cpu: float = 0.0
    idle: float = 0.0

    @property
    def net(self) -> float:
        return self.cpu - self.idle


def streams(way: Way) -> Streams:
    before = way.cpu_seconds()
    if way.proxies:
        time.sleep(IDLE_SECONDS)
    idle = (way.cpu_seconds() - before) / IDLE_SECONDS
    # Short streams make the connections of both legs, which are kept for the others.
    throughput(way, 1)
    before = way.cpu_seconds()
    rate = throughput(way)
    return Streams(rate, (way.cpu_seconds() - before) / (STREAMS * TOKENS), idle / rate)


@dataclass(frozen=True)
class Measured:
    """Streams whose tokens come at the same time, and streams whose tokens come one by one."""

    in_steps: Streams
    one_by_one: Streams


def both(way: Way, server: ModelServer) -> Measured:
    server.in_steps = True
    in_steps = streams(way)
    server.in_steps = False
    return Measured(in_steps, streams(way))


@contextmanager
def bare(fleet: Fleet) -> Iterator[Way]:
    """Through two HAProxies that do nothing but TLS."""
    port, inner = free_port(), free_port()
    proxies: list[HAProxy] = []
    try:
        for name, own, to, clients, tls in (
            ("inner", inner, fleet.models["gpu1", "chat"].port, VERIFIED, ""),
            ("outer", port, inner, "", INNER),
        ):
            folder = fleet.folder / name
            folder.mkdir()
            (folder / "ca.pem").write_bytes(fleet.ca.read_bytes())
            fleet.certificate(folder / "certificate.pem", "gpu1", "server")
            fleet.certificate(folder / "client.pem", "gateway1", "gateway")
            parts = {"clients": clients.format(folder=folder), "tls": tls.format(folder=folder)}
            proxies.append(HAProxy(folder, BARE.format(folder=folder, port=own, to=to, **parts)))
        yield Way(f"https://localhost:{port}", fleet, *proxies)
    finally:
        for proxy in proxies:
            proxy.stop()


def throughput(way: Way, length: int = TOKENS) -> float:
    """Tokens per second of all streams together."""
    tokens: list[int] = []
    threads = [threading.Thread(target=lambda: tokens.append(way.stream(length))) for _number in range(STREAMS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sum(tokens) != STREAMS * length:
        raise SystemExit(f"{STREAMS * length - sum(tokens)} tokens were lost")
    return sum(tokens) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder), token_seconds=TOKEN_SECONDS)
        try:
            text = measure(fleet)
        finally:
            fleet.close()
    print(text)
    if arguments.write:
        write_section("gateway", text)


def measure(fleet: Fleet) -> str:
    server = fleet.models["gpu1", "chat"]
    direct = Way(f"http://127.0.0.1:{server.port}", fleet)
    through = Way(fleet.url, fleet, fleet.gateway, *fleet.endpoints.values())
    # All ways lead to the same server.
    fleet.gateway.runtime.change("set server chat/gpu2:chat state drain")
    times: dict[Way, list[float]] = {direct: [], through: []}
    for _number in range(REQUESTS):
        for way, seconds in times.items():
            seconds.append(way.first_byte())
    print("first bytes are measured", file=sys.stderr, flush=True)
    percentiles = {way: statistics.quantiles(seconds, n=100) for way, seconds in times.items()}
    found = {way: both(way, server) for way in (direct, through)}
    with bare(fleet) as way:
        least = both(way, server)
    head = [
        "way",
        "first byte, ms (median)",
        "first byte, ms (p99)",
        "tokens/s",
        "CPU of a token, us",
        "one by one, us",
        "idle, us",
    ]
    rows = [
        [
            name,
            *(f"{percentiles[way][index] * 1e3:.2f}" for index in (49, 98)),
            *costs(found[way], way is through),
        ]
        for name, way in (("direct", direct), ("gateway and endpoint", through))
    ]
    rows.append(["TLS only", "", "", *costs(least)])
    added = [percentiles[through][index] - percentiles[direct][index] for index in (49, 98)]
    cpu, rates = found[through].in_steps.net, {way: entry.in_steps.rate for way, entry in found.items()}
    bounds = {
        f"first byte {added[0] * 1e3:.2f} ms later at the median (bound 2)": added[0] <= 2e-3,
        f"{added[1] * 1e3:.2f} ms at the 99th percentile (bound 10)": added[1] <= 10e-3,
        f"{cpu * 1e6:.0f} us of CPU for a token (bound 100)": cpu <= 100e-6,
        f"{rates[through] / rates[direct]:.0%} of the throughput (bound 95 %)": rates[through] >= 0.95 * rates[direct],
    }
    over = [text for text, kept in bounds.items() if not kept]
    verdict = f"{', '.join(bounds)}. " + (f"Exceeded: {', '.join(over)}." if over else "The bounds are kept.")
    where = f"On {machine()}; {REQUESTS} requests, then {STREAMS} streams of {TOKENS} tokens, 10 a second."
    return f"{table(head, rows)}\n\n{verdict}\n\n{where}"


def costs(found: Measured, has_proxies: bool = True) -> list[str]:
    """Tokens a second, and CPU time of a token in us."""
    times = (found.in_steps.net, found.one_by_one.net, found.in_steps.idle)
    return [f"{found.in_steps.rate:.0f}", *(f"{seconds * 1e6:.0f}" if has_proxies else "" for seconds in times)]


if __name__ == "__main__":
    main()
