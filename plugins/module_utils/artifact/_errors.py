# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.
"""The error of all code that creates or reads artifacts."""

from __future__ import annotations

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure


class ArtifactError(ModuleFailure):
    """An artifact cannot be created or used."""
