# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hosts behind two gateways, with clients that stream: something dies, is unplugged or is restarted.

`--write-figures` writes what became of the requests to docs/benchmarks.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from figures import Figures
from fleet_under_test import ALL_UP, FleetUnderTest, serving_fleet

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """It serves the first release."""
    with serving_fleet(tmp_path_factory.mktemp("fleet"), gateways=2) as fleet:
        yield fleet


def check_fault(
    fleet: FleetUnderTest,
    figures: Figures,
    drill: str,
    host: str,
    begin: Callable[[], object],
    end: Callable[[], object] = lambda: None,
) -> None:
    """With this fault of a host, only requests that it had may fail, and it is out of rotation in time."""
    with fleet.load() as load:
        began = time.time()
        begin()
        fleet.gateway.wait(60, lambda: fleet.rotation[host] == "DOWN")
        out = time.time()
        end()
        fleet.gateway.wait(240, lambda: fleet.rotation == ALL_UP)
        back = time.time()
        # With requests for the host that is back.
        time.sleep(5)
    what = f"out of rotation after {out - began:.0f} s, back after {back - began:.0f} s"
    figures.add(drill, load, time.time() - began, what)
    assert out - began <= 30
    assert load.of_others_than(host, out) == [] and load.failed == len(load.lines), load
    assert load.answered > load.failed and load.gap < 30


def test_a_server_is_killed(fleet: FleetUnderTest, figures: Figures) -> None:
    host = fleet.hosts["gpu2"]
    pid = str(host.container()["State"]["Pid"])
    check_fault(fleet, figures, "server killed", "gpu2", lambda: host.run("kill", "-KILL", pid))


def test_docker_is_restarted(fleet: FleetUnderTest, figures: Figures) -> None:
    host = fleet.hosts["gpu3"]
    before = host.container()["Id"]
    with fleet.load() as load:
        began = time.time()
        host.run("systemctl", "restart", "docker")
        time.sleep(20)
        fleet.gateway.wait(240, lambda: fleet.rotation == ALL_UP)
    stayed = host.container()["Id"] == before
    what = "the container went on" if stayed else f"a new container, in rotation after {time.time() - began:.0f} s"
    figures.add("dockerd restarted", load, time.time() - began, what)
    assert load.of_others_than("gpu3", time.time()) == [] and load.failed == len(load.lines), load
    assert load.gap < 30


def test_a_host_is_unplugged_and_comes_back(fleet: FleetUnderTest, figures: Figures) -> None:
    host = fleet.hosts["gpu2"]
    route = host.read("ip", "route", "show", "default").split()

    def plug() -> None:
        # Longer than connections to it may be silent.
        time.sleep(20)
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "route", "add", *route)

    check_fault(fleet, figures, "host unplugged", "gpu2", lambda: host.run("ip", "link", "set", "eth0", "down"), plug)


def test_one_of_two_gateways_is_restarted(fleet: FleetUnderTest, figures: Figures) -> None:
    gateway = fleet.gateways["gateway2"]
    with fleet.load() as load:
        began = time.time()
        for verb in ("restart", "reload"):
            gateway.run("systemctl", verb, "trtllm-haproxy@gateway")
            time.sleep(10)
    figures.add("one of two gateways restarted, and reloaded", load, time.time() - began, "clients use both")
    assert load.is_without_failure, load


def test_two_control_nodes_at_once(fleet: FleetUnderTest, figures: Figures) -> None:
    """If they begin within a second, each may get the leases of some hosts, and is refused by the others."""
    before = fleet.served()
    fleet.choose_release(2)
    with fleet.load() as load:
        began = time.monotonic()
        runs = [fleet.gateway.start("site") for _number in range(2)]
        outputs = [run.communicate()[0] for run in runs]
        refused = [output for run, output in zip(runs, outputs) if run.returncode]
        again = fleet.gateway.play("site")
    what = f"{len(refused)} of the 2 runs refused, and then another run"
    figures.add("two control nodes at once", load, time.monotonic() - began, what)
    assert refused and all("is changing this host" in " ".join(output.split()) for output in refused), outputs
    assert again.returncode == 0 and load.is_without_failure, load
    after = fleet.served()
    assert len(set(after.values())) == 1 and after["gpu1"] != before["gpu1"] and fleet.rotation == ALL_UP
