# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Keys that depend on a few variables only, so they are known even if the rest of a request is wrong."""

from __future__ import annotations

from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights._hf_hub import DEFAULT_ALLOW, DEFAULT_IGNORE


def snapshot_inputs(repository: str, commit: str, allow_patterns: list[str]) -> dict[str, Any]:
    """What identifies the files of a repository on a hub, as recorded by hf_snapshot."""
    return {
        "repository": repository,
        "commit": commit,
        "allow_patterns": allow_patterns,
        "ignore_patterns": DEFAULT_IGNORE,
    }


def weights_key(repository: str, revision: str, path: str) -> str:
    """`path` is a folder on the host that is used instead of the repository."""
    return artifact_key({"src": path} if path else snapshot_inputs(repository, revision, DEFAULT_ALLOW))


def pulled_image(reference: str, digest: str) -> str:
    """The name to run an image from a registry by."""
    return f"{reference}@{digest}" if digest else reference


def image_key(run: str, recipe: dict[str, Any] | None = None) -> str:
    return artifact_key({"image": run, **(recipe or {})})
