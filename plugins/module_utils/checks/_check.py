# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a check of a host is, what it reads, and what it finds."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs

FactKind = t.TypeVar("FactKind", bound="Fact")


class Finding(t.NamedTuple):
    """`O(hub.endpoint)` in a remedy stands for the name of that option, or of the variable that it is set by."""

    severity: str
    message: str
    remedy: str


def error(message: str, remedy: str) -> Finding:
    """Something that will stop the deployment."""
    return Finding("error", message, remedy)


def warning(message: str, remedy: str) -> Finding:
    """Something that may stop or spoil it."""
    return Finding("warning", message, remedy)


class Fact:
    """One thing that is known of a host, as a frozen dataclass: looked up now, or recorded earlier."""

    @classmethod
    def look(cls: type[FactKind], host: LiveHost) -> FactKind | None:
        """What the host says now; None if it does not say."""
        raise NotImplementedError

    def shown(self, needs: Needs) -> dict[str, t.Any]:
        """The part of it that preflight_info returns in its facts."""
        return {}


@dataclass(frozen=True)
class Check:
    """A function whose name is the id of the findings that it returns.

    It takes the value of `need`, a field of Needs, and the facts. It is not called without the need, and not where one
    of the facts is not known. What cannot be waived is a fact that nothing works in spite of.
    """

    find: t.Callable[..., t.Iterable[Finding]]
    need: str
    facts: tuple[type[Fact], ...]
    waivable: bool = True

    @property
    def id(self) -> str:
        return self.find.__name__


def ranges(numbers: t.Iterable[int]) -> str:
    """C(0-3, 6) for 0, 1, 2, 3 and 6."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def on_gpus(indexes: t.Collection[int]) -> str:
    """C(GPU 3) or C(GPUs 0-7)."""
    return f"GPU{'s' if len(set(indexes)) > 1 else ''} {ranges(indexes)}"
