# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fails when a role's defaults and its argument_specs do not name the same variables."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROLES = Path(__file__).parents[1] / "roles"


def names(role: Path) -> tuple[set[str], dict[str, dict]]:
    """The variables in defaults/main.yml, and the options of every entry point."""
    defaults_file = role / "defaults/main.yml"
    defaults = yaml.safe_load(defaults_file.read_text()) if defaults_file.exists() else {}
    entry_points = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]
    options = {name: spec for entry in entry_points.values() for name, spec in entry.get("options", {}).items()}
    return set(defaults or {}), options


def problems(role: Path) -> list[str]:
    if not (role / "meta/argument_specs.yml").exists():
        return [f"{role.name}: no meta/argument_specs.yml"]
    defaults, options = names(role)
    # What has to be given cannot have a default.
    optional = {name for name, spec in options.items() if not spec.get("required")}
    return [
        *(f"{role.name}: {name} has a default but no argument_specs" for name in sorted(defaults - set(options))),
        *(f"{role.name}: {name} is optional and has no default" for name in sorted(optional - defaults)),
        *(f"{role.name}: {name} is required and has a default" for name in sorted(defaults & set(options) - optional)),
        *(
            f"{role.name}: {name} lacks the role's name as prefix"
            for name in sorted(options)
            if not name.startswith(f"{role.name}_")
        ),
    ]


if __name__ == "__main__":
    sys.exit("\n".join(line for role in sorted(ROLES.iterdir()) if role.is_dir() for line in problems(role)) or None)
