# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first deployment is killed in each of its long steps, and then completed."""

from __future__ import annotations

import re

import pytest
from site_under_test import Site

STAGES = ("image", "weights", "checkpoint", "engine")
# dpkg uses this name until the file is complete; dockerd is large enough to be seen.
UNPACKING = "/usr/*bin/dockerd.dpkg-new"
STOP_DOCKER = "systemctl stop docker.socket docker.service"
PACKAGE_MANAGER = "(^|/)(apt-get|dpkg|dpkg-deb|python3)( |$)"


def finished(site: Site, stage: str) -> bool:
    return site.exists(f"{site.root}/{stage}/????????????????")


def test_check_mode_on_a_bare_host_predicts_and_changes_nothing(site: Site) -> None:
    site.make_bare()
    before = site.snapshot()
    played = site.play("site", "--check", "--diff")
    assert played.returncode == 0
    assert played.changed > 0
    assert site.snapshot() == before


@pytest.mark.long
def test_an_interrupted_package_installation_is_finished_by_the_next_run(site: Site) -> None:
    site.play_and_kill("site", UNPACKING, victims=PACKAGE_MANAGER)
    assert site.read("dpkg", "--audit") != ""
    # An incomplete Python environment is not used, either.
    site.play_and_kill("site", f"{site.root}/venv-*/lib/python3*/site-packages/requests", victims=f"{site.root}/venv-")
    assert site.read("dpkg", "--audit") == ""
    assert not site.exists(f"{site.root}/venv")


@pytest.mark.long
def test_docker_is_stopped_while_it_loads_the_image(site: Site) -> None:
    played = site.play_and_disrupt("site", pattern=f"{site.root}/image/*.partial", command=STOP_DOCKER)
    assert played.returncode != 0
    assert "docker" in played.output.lower() and "Traceback" not in played.output
    assert not finished(site, "image")
    # The next test waits for its own partial folder.
    site.run("sh", "-c", f"rm --recursive {site.root}/image/*.partial")


@pytest.mark.long
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_step_leaves_nothing_under_a_final_name(site: Site, stage: str) -> None:
    site.play_and_kill("site", f"{site.root}/{stage}/*.partial/payload")
    assert not finished(site, stage)
    for earlier in STAGES[: STAGES.index(stage)]:
        assert finished(site, earlier)


def test_the_next_run_succeeds_and_shows_its_progress(site: Site, slow_hub: str) -> None:
    # Slow enough to show progress on any machine.
    site.run("sh", "-c", f"rm --recursive --force {site.root}/weights/*")
    played = site.play("rehearse", variables={"trtllm_weights": {"endpoint": slow_hub}})
    assert played.returncode == 0
    assert played.recap["failed"] == 0
    assert all(finished(site, stage) for stage in STAGES)
    assert not site.exists(f"{site.root}/*/*.partial")
    assert re.search(r"rehearsal \| download: +\d+ % of \d+ MB, [\d.]+ MB/s, \d+ s left", played.output)
