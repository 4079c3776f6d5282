# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Comparison of versions."""

from __future__ import annotations

import re

# At most nine digits, because Python refuses to convert thousands of digits.
_NUMBERS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")


def version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (1, 18, 0) for 1.18.0~rc.1; () if there are none."""
    match = _NUMBERS.match(text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
