# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The types of preflight: facts about a host, checks of them, and findings."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs

FactKind = t.TypeVar("FactKind", bound="Fact")


class Finding(t.NamedTuple):
    """`O(hub.endpoint)` in a remedy is replaced by the name of that option, or of the variable that sets it."""

    severity: str
    message: str
    remedy: str


def error(message: str, remedy: str) -> Finding:
    """A problem that makes the deployment fail."""
    return Finding("error", message, remedy)


def warning(message: str, remedy: str) -> Finding:
    """A problem that can make the deployment fail or affect the service."""
    return Finding("warning", message, remedy)


class Fact:
    """A fact about a host, as a frozen dataclass: gathered now, or recorded earlier."""

    @classmethod
    def gather(cls: type[FactKind], host: LiveHost) -> FactKind | None:
        """The current fact; None if it is unknown."""
        raise NotImplementedError

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        """The part of it that preflight_info returns in `facts`."""
        return {}


@dataclass(frozen=True)
class Check:
    """A function whose name is the id of its findings.

    Its arguments are the value of `need`, a field of Needs, and the facts. It is skipped if the need is empty or a fact
    is unknown. A check is not waivable if no deployment can work in spite of its finding.
    """

    find: t.Callable[..., t.Iterable[Finding]]
    need: str
    facts: tuple[type[Fact], ...]
    waivable: bool = True

    @property
    def id(self) -> str:
        return self.find.__name__


def ranges(numbers: t.Iterable[int]) -> str:
    """`0-3, 6` for 0, 1, 2, 3 and 6."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def on_gpus(indexes: t.Collection[int]) -> str:
    """`GPU 3` or `GPUs 0-7`."""
    return f"GPU{'s' if len(set(indexes)) > 1 else ''} {ranges(indexes)}"
