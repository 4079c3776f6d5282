# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hosts behind a gateway, with clients that stream: rolls, a bad release, a server that hangs, a killed run.

The tests build on each other. The releases have numbers: each serves the same model with another option.
`--write-figures` writes what became of the requests to docs/benchmarks.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from figures import Figures
from fleet_under_test import ALL_UP, GPU_HOSTS, FleetUnderTest, serving_fleet

pytestmark = pytest.mark.long

# The planner cannot know that the rehearsal's server does not support it, so it is found when the server starts.
BAD = {"trtllm_serve_config": {"speculative_config": {"decoding_type": "NGram", "max_draft_len": 3}}}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetUnderTest]:
    """It serves the first release."""
    with serving_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def test_a_good_roll_loses_no_request(fleet: FleetUnderTest, figures: Figures) -> None:
    before, started = fleet.served(), {name: host.starts() for name, host in fleet.gpu_hosts.items()}
    fleet.choose_release(2)
    with fleet.load() as load:
        played = fleet.gateway.play("site")
    figures.add("good roll", load, played.seconds, "three hosts, one by one")
    assert played.returncode == 0
    assert load.is_without_failure, load
    after = fleet.served()
    assert len(set(before.values())) == len(set(after.values())) == 1 and after["gpu1"] != before["gpu1"]
    assert {name: host.starts() - started[name] for name, host in fleet.gpu_hosts.items()} == dict.fromkeys(
        GPU_HOSTS, 1
    )
    assert fleet.rotation == ALL_UP and fleet.marks() == []


def test_a_bad_release_on_the_second_host_goes_back_and_stops_the_roll(fleet: FleetUnderTest, figures: Figures) -> None:
    before = fleet.served()
    fleet.choose_release(3, **BAD)
    with fleet.load() as load:
        played = fleet.gateway.play("site")
    figures.add(
        "bad release on the second host", load, played.seconds, "the second host went back, the third did not begin"
    )
    assert played.returncode != 0
    said = " ".join(played.output.split())
    assert "The roll stopped at gpu2." in said and "is served again and was proved" in said
    assert "Switched: gpu1. Not switched: gpu2, gpu3." in said
    assert load.is_without_failure, load
    after = fleet.served()
    assert after["gpu1"] != before["gpu1"] and after == {**before, "gpu1": after["gpu1"]}
    assert fleet.rotation == ALL_UP and fleet.marks() == []


def test_a_stopped_rank_is_out_of_rotation_restarted_and_back(fleet: FleetUnderTest, figures: Figures) -> None:
    host = fleet.hosts["gpu2"]

    def state() -> dict[str, Any]:
        found: dict[str, Any] = host.json(f"{host.deployment}/watchdog.json")
        return found

    host.wait(60, lambda: state()["phase"] == "healthy")
    with fleet.load() as load:
        began = time.time()
        # The brackets keep pgrep from being found.
        ranks = host.read("pgrep", "--full", "[m]pi4py.futures.server").split()
        host.run("kill", "-STOP", ranks[-1])
        fleet.gateway.wait(60, lambda: fleet.rotation["gpu2"] == "DOWN")
        out = time.time()
        fleet.gateway.wait(180, lambda: state()["phase"] == "healthy" and fleet.rotation == ALL_UP)
        back = time.time()
        # With requests for the server that is back.
        time.sleep(5)
    what = f"out of rotation after {out - began:.0f} s, back after {back - began:.0f} s"
    figures.add("stopped rank", load, time.time() - began, what)
    assert out - began <= 30
    assert len(state()["restarts"]) == 1 and not state()["out"]
    # Only requests that the hung server had. The gateway learns it when its health check fails.
    assert load.of_others_than("gpu2", out) == [] and load.failed == len(load.lines), load
    assert load.answered > load.failed and load.gap < 30
    assert set(ranks).isdisjoint(host.read("pgrep", "--full", "[m]pi4py.futures.server").split())


def test_a_roll_that_is_killed_goes_on_where_it_was(fleet: FleetUnderTest, figures: Figures) -> None:
    """The release that the second host did not get, now without the option that it could not serve."""
    (first, host, _last), before = fleet.gpu_hosts.values(), fleet.served()
    release, started = first.served(), first.starts()
    fleet.choose_release(3)
    with fleet.load() as load:
        began = time.monotonic()
        # Written after the host was drained.
        host.play_and_kill("site", f"{release}/run")
        killed = time.monotonic()
        assert fleet.rotation == {**ALL_UP, "gpu2": "DRAIN"} and fleet.marks() == ["gpu2"]
        played = fleet.gateway.play("site")
    figures.add("killed run, and run again", load, time.monotonic() - began, f"killed after {killed - began:.0f} s")
    assert played.returncode == 0
    assert load.is_without_failure, load
    assert fleet.served() == dict.fromkeys(GPU_HOSTS, release) != before
    assert first.starts() == started
    assert fleet.rotation == ALL_UP and fleet.marks() == []
