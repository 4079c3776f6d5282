# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The format of quantised weights."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._checkpoint_format import checkpoint_format_of


def compressed(**weights: Any) -> dict[str, Any]:
    groups = {"group_0": {"weights": weights}} if weights else None
    return {"quant_method": "compressed-tensors", "config_groups": groups}


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (None, ""),
        ({"quant_method": "fp8"}, "FP8"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8_BLOCK_SCALES"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "NVFP4"),
        ({"quant_method": "modelopt"}, ""),
        ({"quant_method": "mxfp4"}, "MXFP4"),
        ({"quant_method": "gptq"}, ""),
        (compressed(type="float", num_bits=8, strategy="tensor"), "FP8"),
        (compressed(type="float", num_bits=8, strategy="channel"), "FP8_PER_CHANNEL_PER_TOKEN"),
        (compressed(type="float", num_bits=8, strategy="block"), "FP8_BLOCK_SCALES"),
        (compressed(type="int", num_bits=4, strategy="group"), "compressed-tensors int4"),
        (compressed(), ""),
        ("fp8", "FP8"),
    ],
)
def test_the_format_is_that_of_config_json(quantization: Any, expected: str) -> None:
    assert checkpoint_format_of({"quantization_config": quantization}) == expected
