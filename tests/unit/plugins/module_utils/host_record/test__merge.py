# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of others are applied to the original content, changes of the collection are not."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._merge import (
    patch_json,
    patch_lines,
    patch_mapping,
)
from hypothesis import given
from hypothesis import strategies as st

OURS: dict[str, t.Any] = {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}


@pytest.mark.parametrize(
    ("before", "ours", "now", "after"),
    [
        pytest.param(
            {"labels": ["a"]}, {"labels": ["a"], **OURS}, {"labels": ["a"], **OURS}, {"labels": ["a"]}, id="no change"
        ),
        pytest.param({}, OURS, {**OURS, "dns": ["10.0.0.1"]}, {"dns": ["10.0.0.1"]}, id="others added a key"),
        pytest.param({"debug": True}, {"debug": True, **OURS}, OURS, {}, id="others removed their key"),
        pytest.param({"log": 1}, {"log": 2}, {"log": 3}, {"log": 3}, id="both changed a key"),
        pytest.param(
            {},
            OURS,
            {"runtimes": {**OURS["runtimes"], "kata": {}}},
            {"runtimes": {"kata": {}}},
            id="others added a key beside ours",
        ),
        pytest.param({}, OURS, {}, {}, id="others removed our key"),
        pytest.param({}, OURS, {"runtimes": None}, {"runtimes": None}, id="others set another type"),
    ],
)
def test_keys(before: t.Any, ours: t.Any, now: t.Any, after: t.Any) -> None:
    assert patch_mapping(before, ours, now) == after


def test_the_original_text_is_restored_if_others_changed_nothing() -> None:
    before = '{"labels":   ["a"]}'
    assert patch_json(before, '{"labels": ["a"], "debug": true}', '{"debug": true, "labels": ["a"]}') == before


def test_only_objects_are_merged() -> None:
    with pytest.raises(ValueError):
        patch_json("{}", "{}", "[1]")


def test_lines() -> None:
    before = "UUID=1 / ext4\n# by hand\n"
    ours = before + "UUID=2 /mnt xfs nofail\n"
    now = "# by hand\nUUID=1 / ext4 noatime\nUUID=2 /mnt xfs nofail\nUUID=3 /data xfs\n"
    assert patch_lines(before, ours, now) == "# by hand\nUUID=1 / ext4 noatime\nUUID=3 /data xfs\n"


values = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6)
mappings = st.dictionaries(st.sampled_from("abc"), values)


@given(mappings, mappings)
def test_without_changes_of_others_or_of_ours(before: dict[str, t.Any], ours: dict[str, t.Any]) -> None:
    assert patch_mapping(before, ours, ours) == before
    assert patch_mapping(before, before, ours) == ours
    texts = [json.dumps(side) for side in (before, ours)]
    assert patch_json(*texts, texts[1]) == texts[0]
