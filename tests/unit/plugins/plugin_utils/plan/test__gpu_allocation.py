# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution of GPUs to deployments, and the messages if there are not enough."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_allocation import allocate

EIGHT = range(8)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ({"a": None}, {"a": tuple(EIGHT)}),
        ({"a": 2}, {"a": (0, 1)}),
        ({"a": (3, 1)}, {"a": (3, 1)}),
        ({"a": 2, "b": 3, "c": None}, {"a": (0, 1), "b": (2, 3, 4), "c": (5, 6, 7)}),
        # Listed GPUs are assigned first, in any order of the deployments, then numbers of GPUs, then the rest.
        ({"a": None, "b": 2, "c": (0, 2)}, {"a": (4, 5, 6, 7), "b": (1, 3), "c": (0, 2)}),
        ({"a": 8}, {"a": tuple(EIGHT)}),
        ({}, {}),
    ],
)
def test_gpus_are_distributed(wanted: dict[str, Any], given: dict[str, Any]) -> None:
    found = allocate(wanted, EIGHT)
    assert (found.gpus, found.refused) == (given, {})


def test_indexes_are_those_of_the_host() -> None:
    assert allocate({"a": 1, "b": None}, [2, 5, 7]).gpus == {"a": (2,), "b": (5, 7)}


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        ({"a": (7, 8, 9)}, {"a": "the host has no GPUs 8-9; it has GPUs 0-7"}),
        ({"a": (0, 1), "b": (1, 2)}, {"b": "GPU 1 is used by a"}),
        ({"a": (0, 1), "b": (2, 3), "c": (1, 2, 4)}, {"c": "GPUs 1-2 are used by a, b"}),
        ({"a": 9}, {"a": "9 GPUs requested, 8 of 8 are free"}),
        ({"a": (0, 1, 2, 3, 4, 5, 6), "b": 2}, {"b": "2 GPUs requested, 1 of 8 is free (a has 0-6)"}),
        ({"a": 8, "b": None}, {"b": "must be a number of GPUs or their indexes: 0 of 8 are free (a has 0-7)"}),
        ({"a": 8, "b": 1}, {"b": "1 GPU requested, 0 of 8 are free (a has 0-7)"}),
        (
            {"a": None, "b": None},
            dict.fromkeys("ab", "must be a number of GPUs or their indexes: 8 of 8 are free"),
        ),
        (
            {"a": None, "b": None, "c": 2},
            dict.fromkeys("ab", "must be a number of GPUs or their indexes: 6 of 8 are free (c has 0-1)"),
        ),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_and_gets_none(wanted: dict[str, Any], refused: dict[str, str]) -> None:
    found = allocate(wanted, EIGHT)
    assert found.refused == refused
    assert {name for name, gpus in found.gpus.items() if not gpus} == set(refused)


def test_a_refused_request_does_not_affect_the_others() -> None:
    found = allocate({"a": (0, 9), "b": 8}, EIGHT)
    assert list(found.refused) == ["a"] and found.gpus["b"] == tuple(EIGHT)


def test_without_gpus_nobody_is_refused_here() -> None:
    """The plan of each deployment reports that there are none."""
    found = allocate({"a": 2, "b": (0,), "c": None}, [])
    assert (found.gpus, found.refused) == ({"a": (), "b": (), "c": ()}, {})
