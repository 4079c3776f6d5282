# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier tests have left is found and removed, and what is served goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from site_under_test import Site

pytestmark = pytest.mark.long

REMOVE = {"trtllm_prune": "remove", "trtllm_prune_keep": 1}


def kept(site: Site, pattern: str) -> set[str]:
    return set(site.read("sh", "-c", f"ls -d {site.root}/{pattern}/ 2>/dev/null").split())


def test_the_state_of_the_host_is_shown(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    played = site.play("status", variables={"trtllm_status_file": str(file)})
    assert played.returncode == 0
    row = next(row for row in json.loads(file.read_text())["rows"] if row["deployment"] == "default")
    assert row["release"] == Path(site.served()).name and row["release"][:8] in played.output
    assert row["proved"] and row["drift"] == []


def test_what_no_release_needs_is_removed(site: Site) -> None:
    current, started = site.served(), site.starts()
    releases = kept(site, "deployments/default/releases/*")
    # There may be no previous one.
    needed = {f"{site.served(link)}/" for link in ("current", "previous")} & releases
    listed = site.play("prune", variables={"trtllm_prune_keep": 1})
    assert listed.returncode == 0 and kept(site, "deployments/default/releases/*") == releases
    removed = site.play("prune", variables=REMOVE)
    assert removed.returncode == 0 and re.search(r"[0-9.]+ [kMG]?B were freed", removed.output)
    left = kept(site, "deployments/default/releases/*")
    assert f"{current}/" in needed
    assert needed <= left < releases
    assert site.starts() == started and site.play("verify").returncode == 0
    again = site.play("prune", variables=REMOVE)
    assert again.returncode == 0 and "there is nothing to remove" in again.output
