# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a bundle is not trusted when its signature is verified, so it is not read if it is too large."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import LARGEST_MANIFEST
from ansible_collections.tritonops.trtllm.tests.unit.support.rendered_roles import Role, tasks_of

FILES = ("manifest.json", "manifest.json.asc")


def large(*sizes: int | None) -> Any:
    """Which of the files are refused; None for a file that does not exist."""
    stats = [
        {"exists": size is not None, "path": name, **({} if size is None else {"size": size})}
        for name, size in zip(FILES, sizes, strict=True)
    ]
    role = Role("bundle", "debian-12", __bundle_sizes={"results": [{"stat": stat} for stat in stats]})
    task = next(task for task in tasks_of(role.folder / "tasks/signature.yml") if "ansible.builtin.fail" in task)
    return role.render(task["vars"]["__bundle_large"])


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ((LARGEST_MANIFEST, 800), []),
        ((LARGEST_MANIFEST + 1, 800), ["manifest.json"]),
        ((1 << 20, 1 << 40), ["manifest.json.asc"]),
        ((1 << 20, None), []),
    ],
)
def test_files_that_are_too_large_are_not_read(sizes: tuple[int | None, ...], refused: list[str]) -> None:
    assert large(*sizes) == refused
