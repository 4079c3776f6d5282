# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows and the table of a fleet, from what the module returned on its hosts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._status import status_of, status_table_of

DIGEST = "sha256:" + "0123456789abcdef" * 4
GPU = {"name": "NVIDIA A100-SXM4-40GB", "memory_mib": 40960, "memory_used_mib": 36864}


def deployment(name: str = "default", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "release": "mixtral-1.2.1-0f1e2d3c",
        "version": "1.2.1",
        "profile": "engine",
        "image": f"registry.example/backend@{DIGEST}",
        "gpus": None,
        "since": "2026-11-28T17:55:03+00:00",
        "proved": "2026-11-28T17:58:41+00:00",
        "service": "active",
        "in_rotation": None,
        **changes,
    }


def host(*deployments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "deployments": list(deployments),
        "gpus": [{"index": index, **GPU} for index in range(8)],
        "gpu_error": None,
        "disk": {"free_bytes": 10**12, "total_bytes": 6 * 10**12},
        "certificates": [],
        "gateway": None,
        **changes,
    }


def server(
    name: str, state: str = "ready", status: str = "UP", in_flight: int = 0, backend: str = "a"
) -> dict[str, Any]:
    return {
        "host": name,
        "deployment": "default",
        "backend": backend,
        "state": state,
        "status": status,
        "in_flight": in_flight,
    }


def test_the_table_has_everything_about_a_host() -> None:
    found = {
        "gpu1": host(deployment(), certificates=[{"path": "a", "days_left": 364}, {"path": "b", "days_left": None}]),
        "gateway1": host(gpus=[], gateway=[server("gpu1", in_flight=3)], disk={}),
    }
    head, first, second = (line.split("  ") for line in status_table_of(status_of(found)))
    cells = [[cell.strip() for cell in line if cell.strip()] for line in (head, first, second)]
    assert dict(zip(*cells[:2])) == {
        "host": "gpu1",
        "deployment": "default",
        "profile": "engine",
        "version": "1.2.1",
        "release": "mixtral-1.2.1-0f1e2d3c",
        "image": "0123456789ab",
        "since": "2026-11-28 17:55",
        "proof": "2026-11-28 17:58",
        "service": "active",
        "rotation": "in",
        "in flight": "3",
        "GPUs": "8 x A100-SXM4-40GB: 288 of 320 GiB",
        "disk free": "1 TB of 6 TB",
        "cert days": "364",
        "drift": "-",
    }
    assert cells[2] == ["gateway1", *["-"] * 14]


def test_what_a_host_cannot_say_is_none() -> None:
    (row,) = status_of({"gpu1": host()})
    assert row["drift"] == [] and row["gpus"] and row["disk_total_bytes"] == 6 * 10**12
    unknown = [key for key, value in row.items() if value is None]
    assert {"deployment", "release", "rotation", "in_flight", "certificate_days", "proved"} <= set(unknown)


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ([server("gpu1")], "in"),
        ([server("gpu1", status="no check")], "in"),
        ([server("gpu1", status="UP 1/2")], "in"),
        ([server("gpu1", state="drain")], "drain"),
        ([server("gpu1", state="maint", status="MAINT")], "maint"),
        ([server("gpu1", status="DOWN")], "down"),
        ([server("gpu1"), server("gpu1", backend="b")], "in"),
        ([server("gpu1"), server("gpu1", state="drain"), server("gpu1")], "drain (2 of 3 in)"),
        ([server("gpu2")], None),
    ],
)
def test_what_gateways_say_about_a_host(servers: list[dict[str, Any]], expected: str | None) -> None:
    # One gateway for each server.
    gateways = {f"gateway{number}": host(gpus=[], gateway=[one]) for number, one in enumerate(servers)}
    row = status_of({"gpu1": host(deployment()), **gateways})[0]
    assert row["rotation"] == expected


def test_requests_of_all_gateways_are_in_flight() -> None:
    gateways = {
        name: host(gateway=[server("gpu1", in_flight=2), server("gpu1", in_flight=1, backend="b")]) for name in "ab"
    }
    assert [row["in_flight"] for row in status_of({"gpu1": host(deployment()), **gateways})] == [6, None, None]


def test_each_deployment_has_its_servers() -> None:
    other = {**server("gpu1", state="drain", in_flight=5), "deployment": "small"}
    rows = status_of({"gpu1": host(deployment(), deployment("small"), gateway=[server("gpu1", in_flight=1), other])})
    assert [(row["rotation"], row["in_flight"]) for row in rows] == [("in", 1), ("drain", 5)]


@pytest.mark.parametrize(("days", "first"), [([364, 0, None], 0), ([3, -2], -2), ([None], None), ([], None)])
def test_the_first_certificate_to_expire(days: list[int | None], first: int | None) -> None:
    found = host(deployment(), certificates=[{"path": "x", "days_left": entry} for entry in days])
    (row,) = status_of({"gpu1": found})
    assert row["certificate_days"] == first
    assert f" {'-' if first is None else first} " in status_table_of([row])[1]


def test_each_deployment_has_its_gpus() -> None:
    rows = status_of({"gpu1": host(deployment(gpus=[0, 1, 2, 3]), deployment("small", gpus=[5]))})
    assert [[gpu["index"] for gpu in row["gpus"]] for row in rows] == [[0, 1, 2, 3], [5]]


def test_hosts_that_differ_from_the_others_drift() -> None:
    other = deployment(release="mixtral-1.3.0-1", version="1.3.0")
    found = {f"gpu{number}": host(other if number == 2 else deployment()) for number in range(4)}
    found["gpu4"] = host(deployment("small", release="llama-1", version="1.0.0"))
    found["gpu5"] = host(deployment(release=None, version=None, image=None))
    rows = status_of(found)
    assert [row["drift"] for row in rows] == [[], [], ["version", "release"], [], [], []]
    lines = status_table_of(rows)
    assert lines[-2:] == [
        "deployment default differs: 1.2.1, mixtral-1.2.1-0f1e2d3c, 0123456789ab on gpu0, gpu1, gpu3",
        "deployment default differs: 1.3.0, mixtral-1.3.0-1, 0123456789ab on gpu2",
    ]


def test_without_a_majority_all_hosts_drift() -> None:
    rows = status_of({"gpu1": host(deployment()), "gpu2": host(deployment(image="sha256:" + "f" * 64))})
    assert [row["drift"] for row in rows] == [["image"], ["image"]]


def test_hosts_with_a_problem_have_a_row_and_a_line() -> None:
    found = {
        "gpu1": host(deployment(), gpu_error="Failed to initialize NVML\nDriver mismatch"),
        "gpu2": {"unreachable": True, "msg": "Connection timed out"},
        "gpu3": {"msg": "the file system at /nfs did not respond \x1b[31mwithin 30 s " + "x" * 300, "failed": True},
        "gateway1": host(gateway=[server("gpu2", status="DOWN")]),
    }
    rows = status_of(found)
    assert [row["host"] for row in rows] == list(found)
    lines = status_table_of(rows)
    assert lines[-3:-1] == [
        "gpu1: nvidia-smi: Failed to initialize NVML Driver mismatch",
        "gpu2: unreachable: Connection timed out",
    ]
    assert (
        lines[-1].startswith("gpu3: the file system at /nfs did not respond ?[31mwithin 30 s xxx")
        and len(lines[-1]) < 220
    )


def test_an_image_without_a_digest_is_shown_as_it_is() -> None:
    found = {"gpu1": host(deployment(image="build:0123456789abcdef")), "gpu2": host(deployment("other", image=None))}
    lines = status_table_of(status_of(found))
    assert "build:0123456789abcdef" in lines[1] and " build" not in lines[2]
