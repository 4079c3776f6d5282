# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests need of the process that they run in."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """The umask of a login on a hardened host."""
    umask = os.umask(0o077)
    yield
    os.umask(umask)
