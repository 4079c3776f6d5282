# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker stops, the network fails, the disk fills up: the message is clear, and the next run recovers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from site_under_test import Site

pytestmark = pytest.mark.long

SMALL = "/mnt/small"
ROOT = f"{SMALL}/trtllm"
# A root folder on a separate disk, for the steps up to the engine. The Python environment is not tested here.
ELSEWHERE: dict[str, Any] = {"trtllm_root": ROOT, "host_python_path": f"{Site.root}/venv"}
PARTS = ("--tags", "docker,host_python,trtllm_backend,model_weights,engine_build")


def test_the_service_starts_again_with_docker(site: Site) -> None:
    site.run("systemctl", "stop", "docker.socket", "docker.service")
    assert site.run("systemctl", "is-active", site.unit, check=False).stdout.strip() != "active"
    site.run("systemctl", "start", "docker.service")
    assert site.play("verify").returncode == 0


@pytest.fixture(scope="module")
def disk(site: Site) -> Iterator[None]:
    """A file system that can be filled at once, and enlarged again."""
    site.run("mkdir", "--parents", SMALL)
    site.run("mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", SMALL)
    yield
    site.run("umount", SMALL)
    site.run("rmdir", SMALL)


def finished(site: Site, stage: str) -> bool:
    return site.exists(f"{ROOT}/{stage}/????????????????")


def test_the_network_fails_during_the_download(site: Site, disk: None, slow_hub: str) -> None:
    hub = urlsplit(slow_hub).hostname
    variables = {**ELSEWHERE, "trtllm_weights": {"endpoint": slow_hub}}
    begun, size = f"{ROOT}/weights/*.partial/payload", f"du --bytes --summarize {ROOT}/weights"
    cut = f"until [ $({size} | cut --fields 1) -gt 2000000 ]; do sleep 0.1; done; ip route add unreachable {hub}"
    played = site.play_and_disrupt("site", *PARTS, pattern=begun, command=cut, variables=variables)
    site.run("ip", "route", "delete", "unreachable", f"{hub}")
    assert played.returncode != 0
    assert "cannot fetch" in played.output and "Traceback" not in played.output
    assert not finished(site, "weights")
    assert int(site.read(*size.split()).split()[0]) > 1_000_000
    # The next test waits for its own partial folder.
    site.run("sh", "-c", f"rm --recursive {ROOT}/weights/*.partial")


@pytest.mark.parametrize("stage", ["weights", "checkpoint", "engine"])
def test_the_disk_fills_up(site: Site, disk: None, stage: str) -> None:
    begun, used = f"{ROOT}/{stage}/*.partial/payload", f"df --output=used --block-size=1M {SMALL} | tail -n 1"
    # Remounting fails if more than the new size was written in the meantime, so it is repeated.
    fill = f"until mount -o remount,size=$(( $({used}) + 20 ))m {SMALL}; do :; done"
    played = site.play_and_disrupt("site", *PARTS, pattern=begun, command=fill, variables=ELSEWHERE)
    site.run("mount", "-o", "remount,size=3g", SMALL)
    assert played.returncode != 0
    assert "no space left" in played.output.lower() and ROOT in played.output and "Traceback" not in played.output
    assert not finished(site, stage)


def test_the_next_run_succeeds_with_enough_space(site: Site, disk: None) -> None:
    assert site.play("site", *PARTS, variables=ELSEWHERE).returncode == 0
    assert all(finished(site, stage) for stage in ("weights", "checkpoint", "engine"))
    assert not site.exists(f"{ROOT}/*/*.partial")
