# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of modules that are tested with the Docker of this machine."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.images import Images, client_or_skip, images


@pytest.fixture(name="client", scope="module")
def fixture_client() -> t.Iterator[t.Any]:
    yield from client_or_skip()


@pytest.fixture(name="image")
def fixture_image(client: t.Any) -> t.Iterator[Images]:
    yield from images(client)
