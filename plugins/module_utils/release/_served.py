# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Which release of a deployment is served: the links `current` and `previous`, and the mark of a proved release.

`previous` always leads to a release that has passed its proof.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import create_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import CURRENT, PREVIOUS, RELEASES, UNFINISHED

PROVED = "proved"
"""The file in a release's folder that says that it has passed its proof."""


class Links(t.NamedTuple):
    """Names of releases; empty for none."""

    current: str
    previous: str


def links(deployment: str) -> Links:
    return Links(_target(deployment, CURRENT), _target(deployment, PREVIOUS))


def is_proved(deployment: str, release: str) -> bool:
    return bool(release) and os.path.isfile(os.path.join(deployment, RELEASES, release, PROVED))


def mark_proved(deployment: str, release: str) -> None:
    create_regular(os.path.join(deployment, RELEASES, release, PROVED)).close()


def fallback(deployment: str, before: Links, release: str) -> Links:
    """The links to go back to if `release` fails its proof; without `current` there is nothing to go back to.

    A release that was current before, and had been proved, stays: its failure has another cause than the switch.
    """
    if before.current == release and is_proved(deployment, release):
        return before
    if before.current != release and is_proved(deployment, before.current):
        return before
    if before.previous != release and is_proved(deployment, before.previous):
        return Links(before.previous, "")
    return Links("", "")


def serving(deployment: str, before: Links, release: str) -> Links:
    """The links when `release` is made the current one."""
    if before.current == release:
        return before
    return Links(release, before.current if is_proved(deployment, before.current) else _other(before.previous, release))


def _other(name: str, release: str) -> str:
    return "" if name == release else name


def set_links(deployment: str, wanted: Links) -> None:
    """`previous` first: a run that is killed in between leaves the release that was served as both."""
    _set(deployment, PREVIOUS, wanted.previous)
    _set(deployment, CURRENT, wanted.current)


def _target(deployment: str, name: str) -> str:
    try:
        return os.path.basename(os.readlink(os.path.join(deployment, name)))
    except OSError:
        return ""


def _set(deployment: str, name: str, release: str) -> None:
    if _target(deployment, name) == release:
        return
    link = os.path.join(deployment, name)
    if not release:
        os.unlink(link)
        return
    new = link + UNFINISHED
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(os.path.join(RELEASES, release), new)
    os.replace(new, link)
