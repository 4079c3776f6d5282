# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that fetch something are repeated, and tasks that wait for a lock do not wait for ever."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import PROJECT, Role, tasks_of

APT, DNF = "ansible.builtin.apt", "tritonops.trtllm.dnf_packages"
FETCHING = ("ansible.builtin.get_url", "tritonops.trtllm.trtllm_image", "tritonops.trtllm.trtllm_sources")
HOME = {"retries": "{{ packages_retries }}", "delay": "{{ packages_retry_delay }}"}

FILES = sorted([*PROJECT.glob("roles/*/tasks/*.yml"), *PROJECT.glob("playbooks/tasks/*.yml")])
TASKS = [task for file in FILES for task in tasks_of(file)]


def is_pip(task: dict[str, Any]) -> bool:
    return "'pip'" in str(task.get("ansible.builtin.command")) and "'install'" in str(task)


def options(task: dict[str, Any]) -> dict[str, Any]:
    return task.get(APT) or task.get(DNF) or {}


def fetches(task: dict[str, Any]) -> bool:
    wanted = options(task).get("state") != "absent" and not task.get("check_mode")
    return (bool(options(task)) and wanted) or any(name in task for name in FETCHING) or is_pip(task)


def name_of(task: dict[str, Any]) -> str:
    return str(task["name"])


@pytest.mark.parametrize("task", [task for task in TASKS if fetches(task)], ids=name_of)
def test_a_task_that_fetches_is_repeated(task: dict[str, Any]) -> None:
    assert {name: task.get(name) for name in HOME} == HOME
    assert f"{task['register']} is succeeded" in task["until"]


@pytest.mark.parametrize("task", [task for task in TASKS if options(task) and not task.get("check_mode")], ids=name_of)
def test_a_task_waits_minutes_for_a_lock(task: dict[str, Any]) -> None:
    assert options(task)["lock_timeout"] == "{{ packages_lock_timeout }}"


def test_all_kinds_of_tasks_are_found() -> None:
    assert any(map(is_pip, TASKS)) and all(any(name in task for task in TASKS) for name in (APT, DNF, *FETCHING))


@pytest.mark.parametrize(
    ("message", "is_repeated"),
    [
        ("dnf cannot install git: Curl error (28): Timeout was reached", True),
        ("dnf cannot install git: Error: Error downloading packages: Cannot download x.rpm", True),
        ("dnf cannot install git: Error: Failed to download metadata for repo 'ours'", True),
        ("dnf cannot install gitty: Error: Unable to find a match: gitty", False),
        ("to install docker-ce, dnf would also have to remove runc. Nothing was changed.", False),
        ("dnf cannot install git: Error: GPG check FAILED", False),
    ],
)
def test_only_failed_downloads_of_dnf_are_repeated(message: str, is_repeated: bool) -> None:
    pattern = Role("packages", "oraclelinux-9")["packages_download_failed"]
    assert bool(re.search(pattern, message)) is is_repeated


@pytest.mark.parametrize(
    ("message", "is_repeated"),
    [
        ("cannot pull nvcr.io/x: Get https://nvcr.io/v2/: net/http: TLS handshake timeout", True),
        ("cannot pull nvcr.io/x: read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer", True),
        ("cannot pull nvcr.io/x: received unexpected HTTP status: 503 Service Unavailable", True),
        ("cannot fetch x: error: RPC failed; curl 56 GnuTLS recv error", True),
        ("cannot pull nvcr.io/x@sha256:5035025042: unauthorized. Remedy: set the registry's credentials", False),
        ("the tag x:1 was moved: it was sha256:1, and is sha256:2 now", False),
        ("no space left for the image x", False),
    ],
)
def test_only_broken_connections_of_docker_and_git_are_repeated(message: str, is_repeated: bool) -> None:
    pattern = Role("packages", "oraclelinux-9")["packages_connection_failed"]
    assert bool(re.search(pattern, message)) is is_repeated
