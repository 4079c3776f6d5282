# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new release only takes over after its proof, and a rollback returns to the previous one."""

from __future__ import annotations

from site_under_test import Site

LARGER_QUEUE = {"trtllm_repository_parameters": {"tensorrt_llm": {"max_queue_size": "16"}}}
NOWHERE = {"trtllm_repository_overrides": {"tensorrt_llm": {"parameters": {"gpt_model_path": "/nowhere"}}}}


def running(site: Site) -> str:
    return str(site.container()["Mounts"][0]["Source"])


def test_a_release_that_cannot_be_proved_is_rolled_back(site: Site) -> None:
    before = site.served()
    played = site.play("site", variables=NOWHERE)
    assert played.returncode != 0
    assert "is served again and was proved" in " ".join(played.output.split())
    assert "/nowhere" in played.output
    assert site.served() == before
    assert not site.exists(f"{site.deployment}/previous")
    assert site.play("verify").returncode == 0


def test_a_new_release_can_be_rolled_back(site: Site) -> None:
    before = site.served()
    played = site.play("site", variables=LARGER_QUEUE)
    assert played.returncode == 0
    after = site.served()
    assert after != before
    assert "max_queue_size: 16" in site.read("cat", f"{after}/model_repository/tensorrt_llm/config.pbtxt")

    assert site.play("rollback").returncode == 0
    assert (site.served(), site.served("previous")) == (before, after)
    assert running(site) == before


def test_a_run_killed_between_switch_and_restart_is_completed(site: Site) -> None:
    before, after = site.served(), site.served("previous")
    site.run("ln", "--symbolic", "--force", "--no-dereference", after, f"{site.deployment}/current")
    assert site.play("site", variables=LARGER_QUEUE).returncode == 0
    assert running(site) == after != before


def test_a_release_without_a_completed_proof_is_not_rolled_back_to(site: Site) -> None:
    """The current release has no proof, and the next one fails: the last proved release is served again."""
    proved = site.served()
    unproved = f"{site.deployment}/releases/unproved"
    site.run("cp", "--archive", "--link", proved, unproved)
    site.run("rm", f"{unproved}/proved")
    for link, target in (("current", unproved), ("previous", proved)):
        site.run("ln", "--symbolic", "--force", "--no-dereference", target, f"{site.deployment}/{link}")
    assert site.play("site", variables=NOWHERE).returncode != 0
    assert site.served() == running(site) == proved
    site.run("rm", "--recursive", unproved)
