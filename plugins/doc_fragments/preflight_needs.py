# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load

ROLE = Path(__file__).parents[2] / "roles/preflight/meta/argument_specs.yml"


def _as_plugins_write_it(option: Mapping[str, Any]) -> dict[str, Any]:
    """An option of a role as an option of a plugin, where nested `options` are called `suboptions`."""
    rest = {key: value for key, value in option.items() if key != "options"}
    nested = {name: _as_plugins_write_it(entry) for name, entry in option.get("options", {}).items()}
    return {**rest, "suboptions": nested} if nested else rest


def _documentation() -> str:
    role = yaml_load(ROLE.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return json.dumps({"options": {"needs": _as_plugins_write_it(role["preflight_needs"])}})


class ModuleDocFragment:
    """The option `needs`, whose only description is in the argument spec of the role preflight."""

    # Annotated, because ansible-test only accepts a literal in a plain assignment.
    DOCUMENTATION: str = _documentation()
