# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new release only takes over after its proof, and a rollback returns to the previous one."""

from __future__ import annotations

import json

import pytest
from site_under_test import Site

pytestmark = pytest.mark.long

LARGER_QUEUE = {"trtllm_repository_parameters": {"tensorrt_llm": {"max_queue_size": "16"}}}
NOWHERE = {"trtllm_repository_overrides": {"tensorrt_llm": {"parameters": {"gpt_model_path": "/nowhere"}}}}


LEASE = "/run/trtllm-lease.json"
OWNER = {"run": "ansible-local-4711a", "user": "bob", "node": "control-2", "pid": 4711, "place": "elsewhere"}


def running(site: Site) -> str:
    return str(site.container()["Mounts"][0]["Source"])


def let_bob_acquire_the_lease(site: Site, ago: float) -> None:
    now = float(site.read("cat", "/proc/uptime").split()[0])
    boot = site.read("cat", "/proc/sys/kernel/random/boot_id").strip()
    lease = {"owner": OWNER, "boot": boot, "acquired": now - ago, "renewed": now - ago, "expiry": 1800}
    site.run("sh", "-c", f"echo '{json.dumps(lease)}' > {LEASE}")


def is_refused(site: Site, playbook: str) -> bool:
    played = site.play(playbook)
    said = " ".join(played.output.split())
    return played.returncode != 0 and "bob on control-2 (process 4711) is changing this host" in said


def test_a_host_that_another_control_node_changes_is_left_alone(site: Site) -> None:
    before = site.starts()
    let_bob_acquire_the_lease(site, ago=60)
    for playbook in ("site", "teardown"):
        assert is_refused(site, playbook)
    assert site.json(LEASE)["owner"] == OWNER and site.starts() == before
    # Whoever only reads does not have to wait.
    assert site.play("verify").returncode == 0
    site.run("rm", LEASE)


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
    """Two runs serve the new release at once: one is refused, and the other restarts the service."""
    before, started = site.served(), site.starts()
    let_bob_acquire_the_lease(site, ago=3600)
    processes = [site.start("site", variables=LARGER_QUEUE) for _control_node in range(2)]
    ended = [(" ".join(process.communicate()[0].split()), process.returncode) for process in processes]
    (refused, failed), (done, succeeded) = sorted(ended, key=lambda run: run[1] == 0)
    assert failed != 0 == succeeded, ended
    assert "is changing this host" in refused
    assert "lease of bob on control-2 (process 4711) on this host was taken over: it was not renewed for" in done
    assert site.starts() == started + 1 and not site.exists(LEASE)
    after = site.served()
    assert after != before
    assert "max_queue_size: 16" in site.read("cat", f"{after}/model_repository/tensorrt_llm/config.pbtxt")

    let_bob_acquire_the_lease(site, ago=60)
    assert is_refused(site, "rollback") and site.starts() == started + 1
    site.run("rm", LEASE)
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
