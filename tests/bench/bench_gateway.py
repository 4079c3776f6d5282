# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gateway and a host's endpoint cost: time to the first byte, CPU time of a token, and throughput.

The same requests are sent to the model server directly and through both, in turn, over connections that are kept.
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
from pathlib import Path

import httpx2
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, HAProxy
from report import machine, table, write_section

STREAMS = 50
TOKENS = 100
TOKEN_SECONDS = 0.1
REQUESTS = 1000
CLOCK_TICKS = 100


class Way:
    """A URL to send requests to, directly or through the gateway."""

    def __init__(self, url: str, fleet: Fleet) -> None:
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

    def stream(self) -> int:
        """The number of tokens of one stream."""
        body = {"model": "chat", "max_tokens": TOKENS, "messages": [], "stream": True}
        with self.client.stream("POST", self.url, json=body, headers=self.headers) as answer:
            return sum(line.startswith("data: {") for line in answer.iter_lines())


def throughput(way: Way) -> float:
    """Tokens per second of all streams together."""
    tokens: list[int] = []
    threads = [threading.Thread(target=lambda: tokens.append(way.stream())) for _number in range(STREAMS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sum(tokens) != STREAMS * TOKENS:
        raise SystemExit(f"{STREAMS * TOKENS - sum(tokens)} tokens were lost")
    return sum(tokens) / (time.perf_counter() - began)


def cpu_seconds(*processes: HAProxy) -> float:
    """CPU time of the processes and their workers until now."""
    total = 0
    for process in processes:
        pids = subprocess.run(["pgrep", "-P", str(process.process.pid)], text=True, capture_output=True, check=True)
        for pid in (process.process.pid, *pids.stdout.split()):
            # utime and stime come after the command, which is in brackets.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / CLOCK_TICKS


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
    direct = Way(f"http://127.0.0.1:{fleet.models['gpu1', 'chat'].port}", fleet)
    through = Way(fleet.url, fleet)
    times: dict[Way, list[float]] = {direct: [], through: []}
    for _number in range(REQUESTS):
        for way, seconds in times.items():
            seconds.append(way.first_byte())
    print("first bytes are measured", file=sys.stderr, flush=True)
    percentiles = {way: statistics.quantiles(seconds, n=100) for way, seconds in times.items()}
    rates = {direct: throughput(direct)}
    proxies = (fleet.gateway, *fleet.endpoints.values())
    before = cpu_seconds(*proxies)
    rates[through] = throughput(through)
    cpu = (cpu_seconds(*proxies) - before) / (STREAMS * TOKENS)
    head = ["way", "first byte, ms (median)", "first byte, ms (p99)", "tokens/s", "CPU of a token, us"]
    rows = [
        [
            name,
            f"{percentiles[way][49] * 1e3:.2f}",
            f"{percentiles[way][98] * 1e3:.2f}",
            f"{rates[way]:.0f}",
            f"{cpu * 1e6:.0f}" if way is through else "",
        ]
        for name, way in (("direct", direct), ("gateway and endpoint", through))
    ]
    added = [percentiles[through][index] - percentiles[direct][index] for index in (49, 98)]
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


if __name__ == "__main__":
    main()
