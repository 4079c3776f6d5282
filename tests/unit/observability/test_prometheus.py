# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus, configured by the role, scrapes a fleet under load: panels have data, and faults become alerts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import wait_for
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import (
    dashboard_queries,
    read_by,
    recorded,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.series import SYNTHETIC, TARGETS, labels_of, normal
from ansible_collections.tritonops.trtllm.tests.unit.observability.watched import Watched, watched

QUERIES = dashboard_queries()
# Only has data while an alert fires.
ALERTS = "fleet: Alerts that fire A"
# Their metrics need a GPU, Triton, systemd or a drive, so they are exported from healthy.yml.
NOT_REAL = {
    *(f"deployment: Time by step {query}" for query in "ABCD"),
    "deployment: Failures by reason A",
    "deployment: Restarts within an hour A",
    "fleet: Hosts by release A",
    "host: Utilisation A",
    "host: Memory in use A",
    "host: Power A",
    "host: Temperature A",
    "host: Last XID A",
    "host: Uncorrected memory errors A",
    "host: Traffic A",
    *(f"host: Errors {query}" for query in "ABCD"),
    "host: Free disk space A",
    "host: Disks A",
    "host: Disks B",
    "host: Services that have failed A",
}
UNDER_LOAD = 20

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("watched"), "1s") as fleet, fleet.load():
        time.sleep(UNDER_LOAD)
        yield fleet


def test_every_target_is_scraped(fleet: Watched) -> None:
    targets = fleet.api("targets", state="active")["activeTargets"]
    assert [target["lastError"] for target in targets if target["health"] != "up"] == []
    found = {(target["labels"]["job"], target["labels"].get("deployment")) for target in targets}
    known = [labels_of(target) for target in TARGETS if target != "node3"]
    assert found == {(labels["job"], labels.get("deployment")) for labels in known}


@pytest.mark.parametrize("place", sorted(QUERIES.keys() - {ALERTS}))
def test_a_panel_has_data(fleet: Watched, place: str) -> None:
    wait_for(lambda: fleet.query(QUERIES[place]), 60)


def test_the_panels_without_real_data_are_known() -> None:
    synthetic = {name.partition("{")[0] for name in SYNTHETIC if "@gateway" not in name} - {"up"}
    raw = {place: read_by(query) for place, query in QUERIES.items() if not read_by(query) & recorded()}
    assert {place for place, names in raw.items() if names <= synthetic} == NOT_REAL


def test_rules_have_series_of_real_servers(fleet: Watched) -> None:
    """Those that trtllm-serve has; the others are of Triton and of GPUs."""
    for name in (
        "requests_finished:rate5m",
        "first_token_seconds:p95",
        "between_tokens_seconds:p95",
        "queue_seconds:p95",
    ):
        found = fleet.query(f'trtllm:{name}{{profile="serve"}}')
        assert {one["metric"]["version"] for one in found} == {"1.3.0rc29", "1.2.1"}, name


def test_nothing_fires_in_a_healthy_fleet(fleet: Watched) -> None:
    assert fleet.query('ALERTS{alertstate="firing"}') == []


def test_a_fault_of_a_gpu_is_an_alert_at_once(fleet: Watched) -> None:
    fleet.processes["dcgm"].changes = {normal('DCGM_FI_DEV_XID_ERRORS{@dcgm,gpu="0",UUID="GPU-a"}'): "79x1"}
    wait_for(lambda: fleet.query('ALERTS{alertname="TrtllmGpuXid",alertstate="firing",xid="79"}'), 60)
    assert fleet.query(QUERIES[ALERTS])


def test_a_server_that_dies_becomes_an_alert(fleet: Watched) -> None:
    """Pending, because it fires after minutes. This is the last test: the server stays down."""
    # A request that the server has begun would fail.
    fleet.end_load()
    fleet.processes["servers"]["gpu2"].process.kill()
    wait_for(lambda: fleet.query('ALERTS{alertname="TrtllmTargetDown"}'), 60)
    (alert,) = fleet.query('ALERTS{alertname="TrtllmTargetDown"}')
    assert (alert["metric"]["alertstate"], alert["metric"]["deployment"]) == ("pending", "small")
