# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._rotary import (
    normalised,
    positions,
    unsupported,
)

YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}


@pytest.mark.parametrize(
    "scaling, computed",
    [
        (None, "0.8 0.11 0.12 0.19 1.2"),
        ({"type": "linear", "factor": 2}, "0.8 0.11 0.12 0.19 1.2"),
        ({"rope_type": "linear", "factor": 2}, "0.8 0.11 0.12 0.19 1.2"),
        ({"type": "dynamic", "factor": 2}, "0.8 0.11 0.12 0.19 1.2"),
        ({"rope_type": "llama3", "factor": 8}, "0.12 0.19 1.2"),
        ({"type": "llama3", "factor": 8}, "0.12 0.19 1.2"),
        (YARN, "1.2"),
        ({"rope_type": "longrope", "factor": 2}, ""),
        ({"type": "su", "short_factor": [1.0], "long_factor": [4.0]}, ""),
        ({"rope_type": "totally_new", "factor": "x"}, ""),
        ({"rope_type": ["linear"], "factor": 2}, ""),
        ({"factor": 2}, ""),
        ({"full_attention": {"rope_type": "default"}}, ""),
    ],
)
def test_versions_that_compute_a_type(scaling, computed):
    found, problems = normalised(scaling, 2048)
    assert problems == []
    versions = {name: tuple(map(int, name.split("."))) for name in ("0.8", "0.11", "0.12", "0.19", "1.2")}
    assert [name for name, number in versions.items() if not unsupported(found, number)] == computed.split()


@pytest.mark.parametrize(
    "scaling, words",
    [
        ({"type": "yarn", "factor": 4}, "use release 0.20.0 or later"),
        ({"type": "llama3", "factor": 4}, "use release 0.12.0 or later"),
        ({"type": "longrope"}, "no release computes it for this architecture: use another model"),
    ],
)
def test_a_release_is_only_named_if_it_computes_the_type(scaling, words):
    assert unsupported(scaling, (0, 9)) == words


@pytest.mark.parametrize(
    "scaling",
    [
        {},
        {"rope_type": "default"},
        {"type": "default", "factor": 4},
        {"rope_theta": 1e6},
        {"type": "linear", "factor": 1.0},
        {**YARN, "factor": 1},
        {"type": None, "rope_type": None},
    ],
)
def test_neutral_scaling_is_left_out(scaling):
    assert normalised(scaling, 2048) == (None, [])


@pytest.mark.parametrize(
    "scaling, words",
    [
        (7, "must be a mapping"),
        ({"type": "linear"}, "has no factor"),
        ({"type": "linear", "factor": 0.5}, "factor must be greater than 1, not 0.5"),
        ({"type": "dynamic", "factor": 1}, "factor must be greater than 1, not 1"),
        ({"type": "linear", "factor": True}, "factor must be a number"),
        ({"type": "linear", "factor": float("nan")}, "factor must be a number"),
        ({"type": "linear", "factor": 10**400}, "factor must be a number"),
        ({"type": "linear", "rope_type": "yarn", "factor": 2}, "type and rope_type differ"),
        ({"type": "linear", "factor": 2, "alpha": 1000}, "alpha is not computed"),
        ({"type": "dynamic", "factor": 2, "original_max_position_embeddings": 512}, "original_max_position_embeddings"),
        ({"type": "llama3", "factor": 8, "low_freq_factor": "1"}, "low_freq_factor must be a number"),
        ({"type": "yarn", "factor": 4}, "has no original_max_position_embeddings"),
        ({**YARN, "mscale": 0.707}, "only one of mscale and mscale_all_dim"),
        ({**YARN, "attention_factor": 1.0}, "attention_factor 1.0 is not computed"),
        ({**YARN, "truncate": False}, "truncate is not computed"),
    ],
)
def test_what_is_not_computed_is_refused(scaling, words):
    found, problems = normalised(scaling, 2048)
    assert found is None and len(problems) == 1 and words in problems[0]


@pytest.mark.parametrize(
    "scaling",
    [
        {**YARN, "attention_factor": 1.1386294361119891, "finetuned": True, "truncate": True},
        {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0, "attention_factor": 1.0},
        {**YARN, "beta_fast": 32, "beta_slow": 1, "rope_type": "yarn"},
    ],
)
def test_further_parameters_of_yarn_that_are_computed(scaling):
    assert normalised(scaling, 2048) == (scaling, [])


@pytest.mark.parametrize(
    "scaling, most, longest",
    [
        (None, 2048, 2048),
        ({"type": "linear", "factor": 4.0}, 4096, 16384),
        ({"rope_type": "dynamic", "factor": 1.5}, 2048, 3072),
        ({"rope_type": "llama3", "factor": 8.0}, 131072, 131072),
        ({**YARN, "original_max_position_embeddings": 32768}, 32768, 131072),
        # The factor is already in the model's positions.
        ({"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096}, 65536, 65536),
    ],
)
def test_positions_with_scaling(scaling, most, longest):
    assert positions(scaling, most) == longest
