# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the requests of clients during a drill, and the table of all drills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tritonops.trtllm.tests.bench.report import machine, table, write_section


@dataclass
class Load:
    """What became of the requests of the clients, and what the gateway logged of those that failed."""

    sent: int = 0
    answered: int = 0
    failed: int = 0
    gap: float = 0.0
    causes: dict[str, int] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_without_failure(self) -> bool:
        """Also, the service did not stop in between."""
        return self.failed == 0 and self.lines == [] and self.sent == self.answered > 0 and self.gap < 30

    def of_others_than(self, host: str, until: float) -> list[dict[str, Any]]:
        """The failed requests that another host had, or that began later."""
        return [line for line in self.lines if f"/{host}:" not in line["server"] or line["began"] > until]


class Figures:
    """The rows of a table in docs/benchmarks.md."""

    HEAD = ("drill", "seconds", "sent", "answered", "failed", "longest gap, s", "what happened")

    def __init__(self) -> None:
        self.rows: list[tuple[object, ...]] = []

    def add(self, drill: str, load: Load, seconds: float, what: str) -> None:
        self.rows.append((drill, f"{seconds:.0f}", load.sent, load.answered, load.failed, load.gap, what))

    def show(self, section: str, write: bool) -> None:
        text = f"{table(self.HEAD, self.rows)}\n\nOn {machine()}."
        print(text)
        if write:
            write_section(section, text)
