# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What a host that does not exist yet needs: its shape has disks, but nothing is on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT


def storage_warnings(shape: Mapping[str, Any], storage: Any, disk: Iterable[Disk]) -> Iterator[str]:
    """If the root file system must be grown, or the local drives mounted. `storage`: the variable trtllm_storage."""
    asked = storage if isinstance(storage, Mapping) else {}
    root_bytes, drives = shape.get("root_bytes"), bool(shape["disk_bytes"])
    if root_bytes is None or asked.get("grow_root"):
        return
    mount = asked.get("mount", DEFAULT_ROOT) if drives and asked.get("drives") else None
    needed = sum(part.bytes for part in disk if mount is None or not f"{part.path}/".startswith(f"{mount}/"))
    if needed <= root_bytes:
        return
    other = ""
    if drives and mount is None:
        other = f", or {{drives: [empty_nvme]}} to use its local drives of {human_bytes(shape['disk_bytes'])}"
    yield (
        f"trtllm_storage: {human_bytes(needed)} is needed on the root file system, but that of a new {shape['name']} "
        f"has {human_bytes(root_bytes)}: set grow_root: true, with a boot volume that is large enough{other}"
    )
