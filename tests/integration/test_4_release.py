# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new release takes over only when it is proved, and the one before it is always a step away."""

from __future__ import annotations

from site_under_test import Site

LARGER_QUEUE = {"trtllm_repository_parameters": {"tensorrt_llm": {"max_queue_size": "16"}}}


def current(site: Site) -> str:
    return site.read("readlink", f"{site.root}/current").strip()


def test_a_release_that_cannot_be_proved_is_rolled_back(site: Site) -> None:
    before = current(site)
    overrides = {"tensorrt_llm": {"parameters": {"gpt_model_path": "/nowhere"}}}
    played = site.play("site", variables={"trtllm_repository_overrides": overrides})
    assert played.returncode != 0
    assert "is served again and was proved" in " ".join(played.output.split())
    assert "/nowhere" in played.output
    assert current(site) == before
    assert not site.exists(f"{site.root}/previous")
    assert site.play("verify").returncode == 0


def running(site: Site) -> str:
    return site.read("docker", "inspect", "--format", "{{(index .Mounts 0).Source}}", "trtllm").strip()


def test_a_new_release_leaves_the_old_one_a_step_away(site: Site) -> None:
    before = current(site)
    played = site.play("site", variables=LARGER_QUEUE)
    assert played.returncode == 0
    after = current(site)
    assert after != before
    assert "max_queue_size: 16" in site.read("cat", f"{after}/model_repository/tensorrt_llm/config.pbtxt")

    assert site.play("rollback").returncode == 0
    assert current(site) == before
    assert site.read("readlink", f"{site.root}/previous").strip() == after
    assert running(site) == before


def test_a_run_that_was_killed_between_switch_and_restart_is_finished(site: Site) -> None:
    before, after = current(site), site.read("readlink", f"{site.root}/previous").strip()
    site.run("ln", "--symbolic", "--force", "--no-dereference", after, f"{site.root}/current")
    assert site.play("site", variables=LARGER_QUEUE).returncode == 0
    assert running(site) == after != before
