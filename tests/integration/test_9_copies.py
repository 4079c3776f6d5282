# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hosts that get new weights from each other, with clients that stream: a host or the network fails meanwhile.

`--write-figures` writes what became of the requests to docs/benchmarks.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES, load
from figures import Figures, Load
from fleet_under_test import ALL_UP, GPU_HOSTS, MODEL, FleetUnderTest, serving_fleet
from played import Played
from site_under_test import Site, another_hub

pytestmark = pytest.mark.drill

DRILLS = ("maker-dies", "flipped-bits", "liar")
# A file of the tokenizer that nobody reads, and how fast a host sends, in bytes per second: it takes about 15 s.
PADDING, SIZE, RATE = "vocab.txt", 48_000_000, 4_000_000
PROXY = Path(__file__).with_name("flipping_proxy.py")
# The port where the proxy listens, and those from which it connects.
PROXY_PORT, FIRST, LAST = 17880, 50000, 50999
PORT = load(ROLES / "fanout/defaults/main.yml")["fanout_port"]
RULES = (
    # All connections of the host are then its own.
    f"INPUT -p tcp --dport {PORT} -j DROP",
    f"OUTPUT -t nat -p tcp --dport {PORT} ! --sport {FIRST}:{LAST} -j REDIRECT --to-ports {PROXY_PORT}",
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """It serves weights that each host has."""
    with serving_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model for each drill, with other padding, so that its weights are another artifact."""
    folder = tmp_path_factory.mktemp("models")
    for name in DRILLS:
        shutil.copytree(MODEL, folder / "rehearsal" / name)
        (folder / "rehearsal" / name / PADDING).write_bytes(os.urandom(SIZE))
    return folder


@pytest.fixture(scope="module")
def hub(fleet: FleetUnderTest, models: Path) -> Iterator[str]:
    fleet.gateway.script("hub")
    with another_hub(models, 3) as endpoint:
        fleet.gateway.wait(60, lambda: is_answering(endpoint))
        yield endpoint


def is_answering(hub: str) -> bool:
    try:
        return bool(revision_of(hub, f"rehearsal/{DRILLS[0]}"))
    except OSError:
        return False


def revision_of(hub: str, repository: str) -> str:
    # Not through a proxy of this machine.
    with build_opener(ProxyHandler({})).open(f"{hub}/api/models/{repository}", timeout=60) as answer:
        return str(json.load(answer)["sha"])


class Copy:
    """A run of the site with new weights, which one host fetches from the hub and the others copy."""

    def __init__(self, fleet: FleetUnderTest, hub: str, models: Path, drill: str) -> None:
        self.fleet = fleet
        self.before = fleet.served()
        repository = f"rehearsal/{drill}"
        self.sum = hashlib.sha256((models / repository / PADDING).read_bytes()).hexdigest()
        revision = revision_of(hub, repository)
        variables = {
            "trtllm_model": {"repository": repository, "revision": revision, "config": str(MODEL / "config.json")},
            "trtllm_weights": {"endpoint": hub},
            "trtllm_fanout": {"rate": RATE},
        }
        (fleet.folder / "group_vars/trtllm/4.json").write_text(json.dumps(variables))
        self.began = time.monotonic()
        self.process = fleet.gateway.start("site")

    def wait_until_received(self, host: Site, share: float) -> str:
        """Until the host has this share of the padding; returns the file."""
        found = ["find", f"{host.root}/weights", "-path", f"*/transfer/*/{PADDING}"]

        def has_it() -> bool:
            assert self.process.poll() is None, self.process.communicate()[0]
            # The file is sparse.
            blocks = host.run(*found, "-printf", "%b\n", check=False).stdout
            return bool(blocks.strip()) and int(blocks) * 512 >= share * SIZE

        self.fleet.gateway.wait(240, has_it)
        return host.read(*found).strip()

    def end(self) -> Played:
        return self.fleet.gateway.finish(self.process, self.began)

    def check(self, played: Played, load: Load) -> None:
        """All hosts serve the weights as they are on the hub, and no request was lost meanwhile."""
        assert played.returncode == 0
        after = self.fleet.served()
        assert len(set(after.values())) == 1 and after["gpu1"] != self.before["gpu1"]
        for host in self.fleet.gpu_hosts.values():
            sums = host.read("sh", "-c", f"sha256sum {host.root}/weights/*/{PADDING}")
            assert self.sum in sums, host.host
            assert not host.exists(f"{host.root}/weights/*.partial")
        assert load.is_without_failure, load
        assert self.fleet.rotation == ALL_UP and self.fleet.marks() == []


def test_the_maker_of_the_weights_dies(fleet: FleetUnderTest, hub: str, models: Path, figures: Figures) -> None:
    """What the others lack, they fetch themselves."""
    maker = fleet.hosts["gpu1"]
    with fleet.load() as load:
        copy = Copy(fleet, hub, models, "maker-dies")
        copy.wait_until_received(fleet.hosts["gpu2"], 0.3)
        maker.run("pkill", "--signal", "KILL", "--full", "[a]rtifact_transfer.py")
        played = copy.end()
    figures.add("the maker of the weights dies", load, played.seconds, "the others fetched them themselves")
    copy.check(played, load)
    assert all(f"{host}: /opt/trtllm/weights/" in played.output for host in GPU_HOSTS), played.output


def test_bits_are_flipped_in_transit(fleet: FleetUnderTest, hub: str, models: Path, figures: Figures) -> None:
    """Each connection of a host is broken off at the first damaged record of TLS, and it goes on with another one."""
    host, program, flips = fleet.hosts["gpu2"], "/opt/flipping_proxy.py", "/opt/flips"
    subprocess.run(["docker", "cp", PROXY, f"{host.host}:{program}"], check=True)
    host.run("sh", "-c", f"setsid python3 {program} {PROXY_PORT} {FIRST}-{LAST} {flips} >/opt/proxy.log 2>&1 &")
    for rule in RULES:
        host.run("iptables", "--append", *rule.split())
    try:
        with fleet.load() as load:
            copy = Copy(fleet, hub, models, "flipped-bits")
            played = copy.end()
    finally:
        for rule in RULES:
            host.run("iptables", "--delete", *rule.split())
        host.run("pkill", "--full", "[f]lipping_proxy.py")
    count = len(host.read("cat", flips).splitlines())
    figures.add("bits flipped in transit", load, played.seconds, f"{count} connections broken off")
    copy.check(played, load)
    assert count > 0


def test_a_host_sends_other_content(fleet: FleetUnderTest, hub: str, models: Path, figures: Figures) -> None:
    """What a host has received is damaged on its disk while it sends it to the others."""
    host = fleet.hosts["gpu2"]
    with fleet.load() as load:
        copy = Copy(fleet, hub, models, "liar")
        file = copy.wait_until_received(host, 0.3)
        host.run("dd", "if=/dev/urandom", f"of={file}", "bs=1M", f"count={SIZE >> 20}", "conv=notrunc")
        played = copy.end()
    figures.add("a host sends other content", load, played.seconds, "its own check failed, so it fetched them itself")
    copy.check(played, load)
    assert f"gpu2: {host.root}/weights/" in played.output
    assert "is not what the maker recorded" in " ".join(played.output.split())
