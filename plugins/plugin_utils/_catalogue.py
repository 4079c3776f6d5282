# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The catalogue: what is known of each backend release and model preset, read from catalogue/*.yml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import yaml

CATALOGUE = Path(__file__).resolve().parents[2] / "catalogue"


@dataclass(frozen=True)
class Catalogue:
    """Facts by name: `releases["0.17.0"]`, `models["mixtral-8x7b"]`."""

    releases: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]


def load_catalogue(folder: Path = CATALOGUE) -> Catalogue:
    """Read every file of `folder`; the file's own name field is its key."""
    return Catalogue(
        releases=_by_name(folder / "releases", "release"),
        models=_by_name(folder / "models", "name"),
    )


def _by_name(folder: Path, field: str) -> dict[str, Any]:
    entries = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yml")]
    return {entry[field]: entry for entry in sorted(entries, key=lambda entry: release_order(entry[field]))}


def release_order(name: str) -> tuple[tuple[int, ...], str]:
    """Sort key that puts 0.9.0 before 0.12.0."""
    digits = name.split(".")
    return (tuple(int(part) for part in digits) if all(part.isdigit() for part in digits) else (), name)
