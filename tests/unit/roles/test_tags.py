# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`site --tags` selects whole roles. A tag within a role would select nothing, or tasks without what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import PROJECT, ROLES, tasks_of


def tags_of(role: Path) -> set[str]:
    return {tag for file in role.glob("tasks/*.yml") for task in tasks_of(file) for tag in task.get("tags", [])}


PARTS = tags_of(ROLES / "deployment") - {"always"}


@pytest.mark.parametrize("role", sorted(role.name for role in ROLES.iterdir() if role.name != "deployment"))
def test_roles_have_no_tags_of_their_own(role: str) -> None:
    assert tags_of(ROLES / role) <= {"always"}


def test_every_tag_is_the_name_of_a_role() -> None:
    assert not PARTS - {role.name for role in ROLES.iterdir()}


@pytest.mark.parametrize("part", ["trtllm_backend", "model_weights", "engine_build", "model_repo", "triton_service"])
def test_a_part_has_the_python_environment_below_its_root_folder(part: str) -> None:
    """Otherwise the role creates one in the default folder."""
    tasks = [task for task in tasks_of(ROLES / "deployment/tasks/host.yml") if "python.yml" in str(task)]
    assert [part in task["tags"] for task in tasks] == [True]


def test_tags_in_the_documentation_exist() -> None:
    texts = [file.read_text() for file in [PROJECT / "README.md", *PROJECT.glob("docs/*.md")]]
    named = {tag for text in texts for tags in re.findall(r"--tags ([a-z_,]+)", text) for tag in tags.split(",")}
    assert named and not named - PARTS


def test_the_documentation_lists_every_tag() -> None:
    item = re.search(
        r"`site --tags ROLE` runs a part: (.*?)\.", (PROJECT / "docs/operations.md").read_text(), re.DOTALL
    )
    assert item and set(re.findall(r"[a-z_]+", item.group(1))) - {"or"} == PARTS
