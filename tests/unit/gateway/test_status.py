# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients would notice is what status shows: of a real gateway and a real endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.modules import deployment_info, haproxy_map, haproxy_server
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._status import status_of
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet, wait_for
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import RootFolder

Rows = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path / "fleet")
    yield fleet
    fleet.close()


@pytest.fixture(autouse=True)
def root(tmp_path: Path) -> RootFolder:
    """All hosts of the fleet have this one, with its two deployments."""
    (tmp_path / "fleet").mkdir()
    root = RootFolder(tmp_path / "trtllm")
    for name in ("chat", "triton"):
        root.release("current", name)
        root.serve("current", deployment=name)
    return root


@pytest.fixture
def rows(fleet: Fleet, root: RootFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Rows]:
    """The rows of status by host and deployment."""

    def look(host: str, with_gateway: bool) -> dict[str, Any]:
        configuration = tmp_path / f"etc-{host}"
        configuration.mkdir(exist_ok=True)
        place = configuration / ("gateway" if host == "gateway1" else "endpoint")
        if not place.is_symlink():
            place.symlink_to(fleet.folder / host)
        is_gateway = host == "gateway1" and with_gateway
        result = run_module(
            deployment_info,
            capsys,
            root=str(root.path if host != "gateway1" else tmp_path / "none"),
            configuration=str(configuration),
            gateway_socket=str(fleet.gateway.folder / "socket" if is_gateway else tmp_path / "none"),
        )
        assert not result.get("failed"), result
        return result

    def call(gateway: bool = True) -> Rows:
        found = status_of({host: look(host, gateway) for host in (*fleet.HOSTS, "gateway1")})
        return {(row["host"], row["deployment"]): row for row in found}

    return call


@pytest.mark.long
def test_streams_under_way_are_in_flight_and_a_drained_host_is_out(
    fleet: Fleet, rows: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    with fleet.streams(4, 300):
        before = rows()
        folder = fleet.gateway.folder
        options = {"socket": str(folder / "socket"), "states_file": str(folder / "states.map")}
        run_module(haproxy_server, capsys, host="gpu1", state="drain", **options)
        drained = rows()
    assert [(before[host, "chat"]["rotation"], before[host, "chat"]["in_flight"]) for host in fleet.HOSTS] == [
        ("in", 2)
    ] * 2
    assert [drained[host, "chat"]["rotation"] for host in fleet.HOSTS] == ["drain", "in"]
    assert drained["gpu1", "chat"]["in_flight"] == 2
    after = rows()
    assert (after["gpu1", "chat"]["in_flight"], after["gpu2", "triton"]["in_flight"]) == (0, 0)


@pytest.mark.long
def test_a_dead_server_is_down_and_without_a_gateway_the_endpoint_says_what_is_out(
    fleet: Fleet, rows: Callable[..., Rows], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fleet.folder / "gpu1"
    options = {"path": str(folder / "rotation.map"), "socket": str(folder / "socket"), "purge": False}
    run_module(haproxy_map, capsys, entries={"chat": "out"}, **options)
    wait_for(lambda: rows()["gpu1", "chat"]["rotation"] == "down", 60)
    assert rows()["gpu1", "triton"]["rotation"] == "in"
    without = rows(gateway=False)
    assert [without["gpu1", name]["rotation"] for name in ("chat", "triton")] == ["out", "in"]
    assert without["gpu1", "chat"]["in_flight"] is None


def test_the_first_certificate_to_expire_counts(fleet: Fleet, rows: Callable[..., Rows]) -> None:
    fleet.certificate(fleet.folder / "gpu2/certificate.pem", "gpu2", "server", days=12)
    fleet.certificate(fleet.folder / "gateway1/client.pem", "gateway1", "gateway", days=29)
    found = rows()
    days = [found[key]["certificate_days"] for key in (("gpu1", "chat"), ("gpu2", "triton"), ("gateway1", None))]
    # A certificate begins an hour ago.
    assert days in ([399, 11, 28], [400, 12, 29])
