# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The served release of a deployment: the links `current` and `previous`, and the marker of a proved release.

`previous` always points at a release that has passed its proof.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import sync, sync_files
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import create_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    CURRENT,
    PREVIOUS,
    RELEASES,
    ROLLING,
    UNFINISHED,
)

PROVED = "proved"
"""The file in the folder of a release that has passed its proof."""


class Links(t.NamedTuple):
    """Names of releases; empty for none."""

    current: str
    previous: str


def links(deployment: str) -> Links:
    return Links(_target(deployment, CURRENT), _target(deployment, PREVIOUS))


def is_proved(deployment: str, release: str) -> bool:
    return bool(release) and os.path.isfile(os.path.join(deployment, RELEASES, release, PROVED))


def mark_proved(deployment: str, release: str) -> None:
    folder = os.path.join(deployment, RELEASES, release)
    create_regular(os.path.join(folder, PROVED)).close()
    sync(folder)


def is_rolling(deployment: str) -> bool:
    """Whether a roll has taken the deployment out of rotation, and has not put it back."""
    return os.path.isfile(os.path.join(deployment, ROLLING))


def set_rolling(deployment: str, rolling: bool) -> None:
    path = os.path.join(deployment, ROLLING)
    if rolling:
        create_regular(path).close()
    else:
        os.unlink(path)
    sync(deployment)


def fallback(deployment: str, before: Links, release: str) -> Links:
    """The links to restore if `release` fails its proof; `current` is empty if there is no other proved release.

    A proved release that was already current is kept, because the switch did not cause its failure.
    """
    if before.current == release and is_proved(deployment, release):
        return before
    if before.current != release and is_proved(deployment, before.current):
        return before
    if before.previous != release and is_proved(deployment, before.previous):
        return Links(before.previous, "")
    return Links("", "")


def serving(deployment: str, before: Links, release: str) -> Links:
    """The links after `release` becomes the current one."""
    if before.current == release:
        return before
    return Links(release, before.current if is_proved(deployment, before.current) else _other(before.previous, release))


def _other(name: str, release: str) -> str:
    return "" if name == release else name


def set_links(deployment: str, wanted: Links) -> None:
    """Set `previous` first: if the run is killed in between, both point at the release that was served."""
    _set(deployment, PREVIOUS, wanted.previous)
    _set(deployment, CURRENT, wanted.current)
    sync(deployment)


def sync_release(deployment: str, release: str, unit: str) -> None:
    """Make the scripts and the record of a release survive a loss of power, and the file of its unit.

    The folders in it are synced when they are made. Empty scripts would keep the service from starting after a reboot.
    """
    releases = os.path.join(deployment, RELEASES)
    if os.path.isdir(os.path.join(releases, release)):
        sync_files(os.path.join(releases, release))
        sync(releases)
    if os.path.isfile(unit):
        sync(unit)
        sync(os.path.dirname(unit))


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
