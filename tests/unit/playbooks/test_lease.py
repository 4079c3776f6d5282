# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks that change hosts do so with the lease of the host. The others neither need it nor have to wait."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import PROJECT
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import ROLES

ROLE = ROLES / "deployment/tasks"
PLAYBOOKS = {file.stem: file for file in (PROJECT / "playbooks").glob("*.yml")}
# Before the lease is acquired, these change nothing but the Python that the module needs.
HARMLESS = (
    *("Check ", "Find a Python that Ansible can use", "Skip hosts without Python"),
    *("End the roll ", "Wait before the next batch", "Begin the turn"),
)


def block_of(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [task for task in tasks if "always" in task and "acquire_lease.yml" in str(task["block"])]
    return found


def plays_of(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load(PLAYBOOKS[name].read_text()))


CHANGING = [
    pytest.param(yaml.safe_load((ROLE / "main.yml").read_text()), id="deployment"),
    pytest.param(yaml.safe_load((ROLE / "gateway.yml").read_text()), id="gateway"),
    pytest.param(yaml.safe_load((ROLE / "roll.yml").read_text()), id="roll"),
    pytest.param(yaml.safe_load((PROJECT / "playbooks/tasks/teardown.yml").read_text()), id="teardown"),
    pytest.param(plays_of("prune")[0]["tasks"], id="prune"),
]


@pytest.mark.parametrize("tasks", CHANGING)
def test_the_lease_is_acquired_first_and_always_released(tasks: list[dict[str, Any]]) -> None:
    block = block_of(tasks)
    order = [task["name"] for task in [*tasks[: tasks.index(block)], *block["block"]]]
    assert all(name.startswith(HARMLESS) for name in order[: order.index("Acquire the lease of the host")])
    assert block["always"][-1]["ansible.builtin.import_tasks"].endswith("release_lease.yml")
    # Gateways do not have the lease of a host.
    (changes,) = [task for task in [block, *block["block"]] if "environment" in task]
    assert "__deployment_lease.environment | default({})" in changes["environment"]


@pytest.mark.parametrize("tasks", CHANGING)
def test_tasks_after_the_release_need_no_lease(tasks: list[dict[str, Any]]) -> None:
    after = [task["name"] for task in tasks[tasks.index(block_of(tasks)) + 1 :] if "tritonops.trtllm.show" not in task]
    # No module can run without Python, and so none can release the lease.
    assert after in ([], ["Remove the Python that was installed for Ansible"])


@pytest.mark.parametrize("name", ["site", "rollback", "teardown", "prune"])
def test_hosts_are_locked_in_one_order(name: str) -> None:
    """A roll takes the order of its batches, which is the same for all runs with the same variables."""
    assert {play["order"] for play in plays_of(name) if "roll'" not in play["hosts"]} == {"sorted"}


def test_hosts_are_locked_one_by_one_only_if_the_run_may_wait() -> None:
    (acquire,) = yaml.safe_load((ROLE / "acquire_lease.yml").read_text())
    assert acquire["throttle"] == "{{ 1 if trtllm_lease_wait | default(0) | int > 0 else 0 }}"


def test_what_only_reads_does_not_use_the_lease() -> None:
    files = [*PLAYBOOKS.values(), *PROJECT.glob("playbooks/tasks/*.yml"), *ROLES.glob("*/tasks/*.yml")]
    using = {str(file.relative_to(PROJECT)) for file in files if "acquire_lease.yml" in file.read_text()}
    own = {f"roles/deployment/tasks/{name}.yml" for name in ("main", "gateway", "roll", "release_lease")}
    assert using == {"playbooks/prune.yml", "playbooks/tasks/teardown.yml", *own}
