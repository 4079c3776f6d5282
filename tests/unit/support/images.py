# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a test in the Docker of this machine, which the fixture `image` makes."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.tests.unit.support.root_folders import SIZE

LAYER = 3 * SIZE
Images = t.Callable[[str], str]


def has(client: t.Any, name: str) -> bool:
    """Whether Docker has an image of this name, which includes the tag."""
    return any(name in image.tags for image in client.images.list())
