# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a playbook."""

from __future__ import annotations

import re
from dataclasses import dataclass

RECAP = re.compile(r"^\S+ +: (ok=.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Played:
    """The result on the only host. `recap` has the host's counters: ok, changed, failed, …"""

    returncode: int
    output: str
    seconds: float

    @property
    def recap(self) -> dict[str, int]:
        line = RECAP.search(self.output)
        assert line, self.output[-3000:]
        return {name: int(count) for name, count in (pair.split("=") for pair in line.group(1).split())}

    @property
    def changed(self) -> int:
        return self.recap["changed"]
