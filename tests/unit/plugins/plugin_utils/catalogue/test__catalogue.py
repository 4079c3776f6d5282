# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue as the planner uses it."""

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import notes_on
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE

SHARED = [
    {"first": "0.8.0", "last": "0.10.0", "note": "Early."},
    {"first": "0.9.0", "last": "0.9.1", "note": "Short."},
    {"first": "0.10.0", "note": "Open."},
]


@pytest.mark.parametrize(
    ("release", "notes"),
    [
        ("0.8.0", ["Early."]),
        ("0.9.1", ["Early.", "Short."]),
        ("0.10.0", ["Early.", "Open."]),
        ("0.11.0", ["Open."]),
        ("2.0.0", ["Open."]),
    ],
)
def test_a_note_applies_to_its_range_of_versions(release: str, notes: list[str]) -> None:
    assert notes_on(release, SHARED) == notes


def test_a_version_has_its_own_notes_and_shared_ones() -> None:
    notes = CATALOGUE.releases["0.16.0"]["notes"]
    assert "V100 is no longer supported." in notes
    assert "The convert script does not support --load_by_shard for mixtures of experts." in notes
