# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins of the collection's modules."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[3]
PACKAGE = "ansible_collections.tritonops.trtllm.plugins.action"
ROUTING = yaml.safe_load((PROJECT / "meta" / "runtime.yml").read_text())["plugin_routing"]["modules"]


def action_of(module: str) -> Any:
    """The class of the module's action plugin: the one that meta/runtime.yml names, or the one of the same name."""
    plugin = ROUTING.get(module, {}).get("action_plugin", f"tritonops.trtllm.{module}")
    return import_module(f"{PACKAGE}.{plugin.rpartition('.')[2]}").ActionModule
