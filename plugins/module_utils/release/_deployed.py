# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What the deployments of a host serve, from their folders. What cannot be read is None."""

from __future__ import annotations

import json
import os
import typing as t
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import read_artifact
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import open_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    CURRENT,
    DEPLOYMENTS,
    RELEASE_JSON,
    RELEASES,
    current_releases,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import PROVED

# A record has a few kilobytes.
LARGEST_RECORD = 1 << 20


def deployed(root: str) -> list[dict[str, t.Any]]:
    """The deployments, with the release that each one serves."""
    return [_deployed(root, name, release) for name, release in current_releases(root).items()]


def _deployed(root: str, name: str, release: str) -> dict[str, t.Any]:
    folder = os.path.join(root, DEPLOYMENTS, name)
    record = _record(os.path.join(folder, RELEASES, release, RELEASE_JSON)) if release else {}
    return {
        "name": name,
        "release": release or None,
        "version": _text(record, "release"),
        "profile": _text(record, "profile"),
        "image": _image(root, record),
        "gpus": _gpus(record),
        "since": _time(os.path.join(folder, CURRENT)) if release else None,
        "proved": _time(os.path.join(folder, RELEASES, release, PROVED)) if release else None,
    }


def _image(root: str, record: t.Mapping[str, t.Any]) -> str | None:
    """The digest of the image. The plan may only have known a tag or a recipe; the image's own record has more."""
    image, run = _text(record, "image"), _text(record, "run")
    if image and not image.startswith(("tag:", "build:")):
        return image
    folder = os.path.join(root, "image")
    for key in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        found = read_artifact(os.path.join(folder, key))
        if found and run and found["inputs"].get("image") == run:
            return _text(found, "image")
    return image


def _gpus(record: t.Mapping[str, t.Any]) -> list[int] | None:
    """The indexes of the GPUs; None for all of the host."""
    launch = record.get("launch")
    devices = launch.get("gpus") if isinstance(launch, dict) else None
    if not isinstance(devices, list) or not all(isinstance(name, str) and name.isdigit() for name in devices):
        return None
    return [int(name) for name in devices]


def _record(path: str) -> dict[str, t.Any]:
    try:
        with open_regular(path) as stream:
            record = json.loads(stream.read(LARGEST_RECORD))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _text(record: t.Mapping[str, t.Any], name: str) -> str | None:
    value = record.get(name)
    return value if isinstance(value, str) and value else None


def _time(path: str) -> str | None:
    """When the file was written, or the link was set."""
    try:
        seconds = os.lstat(path).st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
