# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rehearsed site, served once for all tests of this folder. They run in the order of their files."""

from __future__ import annotations

import pytest
from site_under_test import Site


@pytest.fixture(scope="session")
def site() -> Site:
    return Site()
