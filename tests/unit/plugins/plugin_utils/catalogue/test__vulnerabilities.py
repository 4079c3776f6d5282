# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known vulnerabilities of images that are exposed to a network."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._vulnerabilities import older
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import (
    CATALOGUE,
    IMAGE,
    accepted,
    plan_for,
    waivable,
    warned,
)


# 1.3.0 fixes the last known one.
@pytest.mark.parametrize("release", [name for name in CATALOGUE.releases if older(name, "1.3.0")])
@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.2.3", "::", "2001:db8::1"])
def test_a_vulnerable_version_is_not_exposed_unless_that_is_waived(release: str, address: str) -> None:
    request: dict[str, Any] = {"release": release, "image": IMAGE, "server": {"address": address}}
    plan = plan_for(**request)
    assert waivable(plan) == {"exposed_vulnerable_release": "trtllm_server.address"}
    assert "CVE-" in plan["refusals"][0]["message"] and "127.0.0.1" in plan["refusals"][0]["message"]
    assert warned("no authentication", waive=["exposed_vulnerable_release"], **request)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1"])
def test_loopback_is_not_exposed(address: str) -> None:
    assert not warned("no authentication", server={"address": address})


def test_the_worst_vulnerability_is_first_and_fixed_ones_are_omitted() -> None:
    oldest, newest = accepted(release="0.8.0")["vulnerabilities"], accepted()["vulnerabilities"]
    worst = {entry["id"]: entry.get("cvss") or 0 for entry in CATALOGUE.vulnerabilities}
    assert [worst[name] for name in oldest] == sorted((worst[name] for name in oldest), reverse=True)
    assert set(newest) < set(oldest)
    assert "CVE-2025-23254" in oldest and "CVE-2025-23254" not in accepted(release="0.18.2")["vulnerabilities"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("1.2.1", "1.3.0rc17"), ("1.3.0rc9", "1.3.0rc17"), ("1.3.0rc17", "1.3.0"), ("25.10", "26.06")],
)
def test_a_release_candidate_is_between_two_versions(earlier: str, later: str) -> None:
    assert older(earlier, later)
    assert not older(later, earlier) and not older(later, later)
