# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The digest of an image's tag, which must be the same for all hosts of a play."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class TagMoved(Exception):
    """Hosts would use different images under the same tag."""


def has_tag(arguments: Mapping[str, Any]) -> bool:
    """Whether the image is identified by a tag only."""
    reference = str(arguments.get("reference") or "")
    return (
        arguments.get("source") == "registry"
        and "@" not in reference
        and bool(reference)
        and not arguments.get("digest")
    )


def recorded_digests(task_vars: Mapping[str, Any], dest: str) -> dict[str, str]:
    """The recorded digests of the play's hosts, by host. Role trtllm_backend reads them from the hosts."""
    # Root folders may differ from host to host.
    key, found = os.path.basename(dest.rstrip("/")), {}
    for host in task_vars.get("ansible_play_hosts_all") or []:
        images = (task_vars.get("hostvars") or {}).get(host, {}).get("trtllm_backend_images") or {}
        image = next((image for path, image in images.items() if os.path.basename(path) == key), "")
        if "@" in image:
            found[host] = image.partition("@")[2]
    return found


def agreed(reference: str, digests: Mapping[str, str]) -> str:
    """The only digest; empty if there is none. TagMoved if there are several."""
    distinct = sorted(set(digests.values()))
    if len(distinct) > 1:
        by = "; ".join(
            f"{digest}: {', '.join(who for who, own in digests.items() if own == digest)}" for digest in distinct
        )
        raise TagMoved(
            f"the tag {reference} was moved: the hosts of this play would use different images ({by}). Pin the digest"
            " of one of them (digest, trtllm_image.digest)"
        )
    return distinct[0] if distinct else ""
