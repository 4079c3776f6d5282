# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image's templates are upstream's in everything that Triton and the roles can see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

PROJECT = Path(__file__).parents[3]
OURS = PROJECT / "rehearsal/backend/all_models/inflight_batcher_llm"
UPSTREAM = PROJECT.parent / "shared/upstream/config/v0.16.0"
MODELS = ("ensemble", "preprocessing", "postprocessing", "tensorrt_llm", "tensorrt_llm_bls")
WITH_LOGITS = ("ensemble", "tensorrt_llm", "tensorrt_llm_bls")
VALUES = {
    "decoupled_mode": "true",
    "encoder_input_features_data_type": "TYPE_FP16",
    "logits_datatype": "TYPE_FP32",
    "max_queue_delay_microseconds": "1001",
    "max_queue_size": "1002",
    "triton_max_batch_size": "1003",
    "preprocessing_instance_count": "1004",
    "postprocessing_instance_count": "1005",
    "bls_instance_count": "1006",
}


def read(folder: Path, model: str) -> str:
    return re.sub(r"(?m)^\s*#.*$", "", (folder / model / "config.pbtxt").read_text(encoding="utf-8"))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", text))


def parse(text: str, values: dict[str, str]) -> Any:
    filled = re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)
    return text_format.Parse(filled, ModelConfig())


@pytest.mark.parametrize("model", MODELS)
def test_our_templates_parse_once_they_are_filled(model: str) -> None:
    assert parse(read(OURS, model), VALUES).name == model


@pytest.mark.parametrize("model", WITH_LOGITS)
def test_logits_have_the_type_that_is_asked_for(model: str) -> None:
    config = parse(read(OURS, model), {**VALUES, "logits_datatype": "TYPE_FP16"})
    other = parse(read(OURS, model), VALUES)
    changed = [mine.name for mine, theirs in zip(config.output, other.output, strict=True) if mine != theirs]
    assert changed == ["context_logits", "generation_logits"]


@pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's templates are not beside this checkout")
@pytest.mark.parametrize("model", MODELS)
def test_templates_equal_upstreams(model: str) -> None:
    ours, theirs = read(OURS, model), read(UPSTREAM, model)
    added = {"logits_datatype"} if model in WITH_LOGITS else set()
    assert placeholders(ours) == placeholders(theirs) | added
    assert parse(ours, VALUES) == parse(theirs, VALUES)
