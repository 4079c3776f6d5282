# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("580.95.05", (580, 95, 5)), ("1.18.0~rc.1", (1, 18, 0)), ("1.17.8-1", (1, 17, 8)), ("", ()), ("none", ())],
)
def test_versions_compare_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


def test_a_number_that_is_too_long_for_python_is_truncated() -> None:
    assert version("9" * 10000) == (999_999_999,)
