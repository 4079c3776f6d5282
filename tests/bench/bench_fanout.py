# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The time until hosts have copied an artifact from one that has it, compared with the time of a single host.

Each host is a network namespace with a link of its own, whose rate tc limits in both directions; a bridge connects
them. It needs root. A host has received the artifact when its progress says so, and is ready when it is in place.
`--write` writes the table to docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import torrent_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import NAME
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.authority._certificates import (
    Wanted,
    issue,
    new_authority,
    read_authority,
)
from report import machine, table, write_section

BRIDGE, PREFIX, NETWORK = "trtllm-bench", "trtllm-b", "10.213.77"
PORT, HTTPS_PORT = 7880, 7881
# At most these times of a single host.
MOST_RECEIVED, MOST_READY = 1.4, 1.8
INTERVAL = 0.05
HOST = """
import base64, json, sys
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._part import Part, take_part
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer
given = json.load(open(sys.argv[1]))
given["torrent"] = base64.b64decode(given["torrent"])
given["own"], given["maker"] = Peer(*given["own"]), Peer(*given["maker"])
given["others"] = tuple(Peer(*peer) for peer in given["others"])
print(json.dumps(take_part(Part(**given))))
"""


def command(*argv: str) -> None:
    subprocess.run(argv, check=True)


@contextmanager
def network(hosts: int, rate: int) -> Iterator[None]:
    """Namespaces trtllm-b0 and so on, with links of `rate` bytes per second."""
    try:
        # The bridge has a namespace, too: Docker's firewall rules apply to bridges of the machine.
        command("ip", "netns", "add", BRIDGE)
        command("ip", "-n", BRIDGE, "link", "add", "bridge", "type", "bridge")
        command("ip", "-n", BRIDGE, "link", "set", "bridge", "up")
        for number in range(hosts):
            name, outer = f"{PREFIX}{number}", f"{PREFIX}v{number}"
            command("ip", "netns", "add", name)
            command("ip", "-n", BRIDGE, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            command("ip", "-n", BRIDGE, "link", "set", outer, "master", "bridge", "up")
            inside = ("ip", "netns", "exec", name)
            command(*inside, "ip", "address", "add", f"{address(number)}/24", "dev", "eth0")
            command(*inside, "ip", "link", "set", "lo", "up")
            command(*inside, "ip", "link", "set", "eth0", "up")
            limit = ("root", "tbf", "rate", f"{rate * 8}bit", "burst", "256kb", "latency", "50ms")
            command("ip", "netns", "exec", BRIDGE, "tc", "qdisc", "add", "dev", outer, *limit)
            command(*inside, "tc", "qdisc", "add", "dev", "eth0", *limit)
        yield
    finally:
        for name in (*(f"{PREFIX}{number}" for number in range(hosts)), BRIDGE):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


def address(number: int) -> str:
    return f"{NETWORK}.{number + 1}"


def make_artifact(folder: Path, size: int) -> dict[str, Any]:
    draft = Draft(str(folder), {"bench": size})
    progress = draft.begin()
    numbers = random.Random(size)
    for number in range(4):
        with open(os.path.join(draft.payload, f"model-{number}.safetensors"), "wb") as stream:
            for _block in range(size // 4 >> 20):
                stream.write(numbers.randbytes(1 << 20))
    return draft.publish({}, progress)


def measure(folder: Path, receivers: int, size: int) -> tuple[float, float]:
    """The seconds until the last host has received the artifact, and until the last one has it in place."""
    now = datetime.now(timezone.utc)
    authority = new_authority("bench", now)
    record = make_artifact(folder / "0" / "artifact", size)
    peers = [[address(number), PORT] for number in range(receivers + 1)]
    certificate = folder / "certificate.pem"
    certificate.write_bytes(issue(read_authority(*authority), Wanted(NAME, "transfer", (NAME,), 2, 0), now))
    common = {
        "record": record,
        "torrent": base64.b64encode(torrent_of(str(folder / "0" / "artifact"), authority[1].decode())).decode(),
        "certificate": str(certificate),
        "authority": authority[1].decode(),
        "maker": [address(0), HTTPS_PORT],
        "deadline": 600,
    }
    processes = []
    for number in range(receivers + 1):
        own = {"own": peers[number], "others": [peer for peer in peers if peer != peers[number]]}
        own.update(dest=str(folder / str(number) / "artifact"), is_maker=number == 0)
        (folder / f"{number}.json").write_text(json.dumps({**common, **own}))
        argv = ["ip", "netns", "exec", f"{PREFIX}{number}", sys.executable, "-c", HOST, str(folder / f"{number}.json")]
        processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
    times = watch([folder / str(number) / "artifact" for number in range(1, receivers + 1)], processes)
    for number, process in enumerate(processes):
        result = json.loads(process.communicate(timeout=300)[0])
        if number and result["method"] != "torrent":
            raise SystemExit(f"host {number} received by {result['method']}")
    return times


def watch(dests: Sequence[Path], processes: Sequence[subprocess.Popen[str]]) -> tuple[float, float]:
    """From the first byte that any of them receives, so that the start of Python does not count."""
    began, received, ready = 0.0, 0.0, 0.0
    while not ready:
        if any(process.poll() for process in processes):
            raise SystemExit("a host failed")
        states = [state(dest) for dest in dests]
        now = time.monotonic()
        if not began and set(states) != {"waiting"}:
            began = now
        if not received and set(states) <= {"received", "ready"}:
            received = now
        if set(states) == {"ready"}:
            ready = now
        time.sleep(INTERVAL)
    return received - began, ready - began


def state(dest: Path) -> str:
    if (dest / "artifact.json").exists():
        return "ready"
    try:
        progress = json.loads(Path(f"{dest}.partial", "progress.json").read_text())
    except (OSError, ValueError):
        return "waiting"
    # A host stays for the others when it has everything.
    if progress["phase"] != "receive" or progress["done"] >= progress["total"]:
        return "received"
    return "receiving" if progress["done"] else "waiting"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4, 8], help="numbers of hosts that receive")
    parser.add_argument("--mib", type=int, default=256, help="size of the artifact in MiB")
    parser.add_argument("--rate", type=int, default=12_000_000, help="rate of each link in bytes per second")
    parser.add_argument("--rounds", type=int, default=3, help="number of transfers for each")
    parser.add_argument("--write", action="store_true", help="write the table to docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.hosts[0] != 1:
        parser.error("--hosts must begin with 1, which the others are compared with")
    rows: list[list[str]] = []
    single = (0.0, 0.0)
    exceeded = False
    for hosts in arguments.hosts:
        found = []
        for _round in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder, network(hosts + 1, arguments.rate):
                found.append(measure(Path(folder), hosts, arguments.mib << 20))
            print(
                f"{hosts} hosts: received {found[-1][0]:.1f} s, ready {found[-1][1]:.1f} s", file=sys.stderr, flush=True
            )
        received, ready = (statistics.median(times) for times in zip(*found))
        if hosts == 1:
            single = received, ready
        ratios = received / single[0], ready / single[1]
        exceeded = exceeded or ratios[0] > MOST_RECEIVED or ratios[1] > MOST_READY
        rows.append([str(hosts), f"{received:.1f}", f"{ratios[0]:.2f}", f"{ready:.1f}", f"{ratios[1]:.2f}"])
    head = ["hosts", "received, s", "ratio", "in place, s", "ratio"]
    what = f"{arguments.mib} MiB, links of {arguments.rate / 1e6:g} MB/s"
    text = f"{table(head, rows)}\n\n{what}. On {machine()}; median of {arguments.rounds}."
    print(text)
    if arguments.write:
        write_section("fanout", text)
    if exceeded:
        raise SystemExit(f"more than {MOST_RECEIVED} times, or {MOST_READY} times until it is in place")


if __name__ == "__main__":
    main()
