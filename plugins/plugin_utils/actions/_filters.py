# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's filters for the workers of Ansible."""

from __future__ import annotations

import pkgutil
from importlib import import_module

PACKAGE = "ansible_collections.tritonops.trtllm.plugins.filter"


def import_filters() -> None:
    """Import the filters, for an action that the main process loads before it starts the workers.

    Whoever uses a filter of a collection loads all of them. Each task on each host has a new worker, which would
    compile their sources again; a worker has what the main process has imported.
    """
    for module in pkgutil.iter_modules(import_module(PACKAGE).__path__):
        import_module(f"{PACKAGE}.{module.name}")
