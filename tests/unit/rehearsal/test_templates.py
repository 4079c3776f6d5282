# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's templates equal upstream's in everything that Triton and the roles see."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.support import upstream
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

PROJECT = Path(__file__).parents[3]
OURS = PROJECT / "rehearsal/backend/all_models"
RELEASES = ("0.9.0", "1.2.1")
VALUES = {
    "decoupled_mode": "true",
    "encoder_input_features_data_type": "TYPE_FP16",
    "logits_datatype": "TYPE_FP32",
    "max_queue_delay_microseconds": "1001",
    "max_queue_size": "1002",
    "prompt_embedding_table_data_type": "TYPE_FP16",
    "triton_max_batch_size": "1003",
    "preprocessing_instance_count": "1004",
    "postprocessing_instance_count": "1005",
    "bls_instance_count": "1006",
}

# The additions of 1.2.1 to 0.16.0, which is the newest version with completely recorded templates.
RENAMED = {"min_length": "min_tokens", "random_seed": "seed", "visual_model_path": "multimodal_model_path"}
REMOVED = {"return_kv_cache_reuse_stats"}
METRICS_INPUTS = ("return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens")
METRICS_OUTPUTS = {
    "arrival_time_ns": "INT64",
    "first_scheduled_time_ns": "INT64",
    "first_token_time_ns": "INT64",
    "last_token_time_ns": "INT64",
    "acceptance_rate": "FP32",
    "total_accepted_draft_tokens": "INT32",
    "total_draft_tokens": "INT32",
    "num_input_tokens": "INT32",
    "num_output_tokens": "INT32",
}
GUIDE = ("guided_decoding_guide_type", "guided_decoding_guide")
LOOKAHEAD = ("lookahead_window_size", "lookahead_ngram_size", "lookahead_verification_set_size")
RETENTION = {
    "retention_token_range_starts": -1,
    "retention_token_range_ends": -1,
    "retention_token_range_priorities": -1,
    "retention_token_range_durations_ms": -1,
    "retention_decode_priority": 1,
    "retention_decode_duration_ms": 1,
}
RAGGED = "optional: true allow_ragged_batch: true"
SCALAR = "optional: true reshape {}"


def field(kind: str, name: str, dtype: str, dims: str = "1", more: str = "") -> str:
    return f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: [{dims}] {more} }}'


def fields(kind: str, names: Iterable[str], dtype: str, more: str = "") -> list[str]:
    return [field(kind, name, dtype, more=more) for name in names]


OUTPUTS = [field("output", name, dtype) for name, dtype in METRICS_OUTPUTS.items()]
PARAMETERS = (
    *LOOKAHEAD,
    "guided_decoding_backend",
    "lora_prefetch_dir",
    "num_nodes",
    "tokenizer_dir",
    "xgrammar_tokenizer_info_path",
)
ADDED = {
    "ensemble": [
        *fields("input", METRICS_INPUTS, "BOOL", "optional: true"),
        *fields("input", GUIDE, "STRING", RAGGED),
        *OUTPUTS,
    ],
    "preprocessing": [
        "dynamic_batching { preferred_batch_size: 1003 max_queue_delay_microseconds: 1001",
        "default_queue_policy { max_queue_size: 1002 } }",
        field("input", "IMAGE_SIZES", "INT64", "-1, 2", "optional: true"),
        field("output", "ATTENTION_MASK", "INT64", "-1"),
        field("output", "IMAGE_GRID_THW", "INT64", "3"),
        field("output", "VISION_INPUT_ID", "INT32", "-1"),
    ],
    "postprocessing": [],
    "tensorrt_llm": [
        *fields("input", METRICS_INPUTS, "BOOL", SCALAR),
        *fields("input", GUIDE, "STRING", RAGGED),
        *fields("input", LOOKAHEAD, "INT32", RAGGED),
        *(field("input", name, "INT32", str(dim), RAGGED) for name, dim in RETENTION.items()),
        field("input", "mrope_rotary_cos_sin", "FP32", "-1", "optional: true"),
        field("input", "mrope_position_deltas", "INT64", "1", "optional: true"),
        *OUTPUTS,
        *(f'parameters {{ key: "{name}" value {{ string_value: "${{{name}}}" }} }}' for name in PARAMETERS),
    ],
    "tensorrt_llm_bls": [
        *fields("input", METRICS_INPUTS, "BOOL", SCALAR),
        *fields("input", GUIDE, "STRING", "optional: true"),
        field("input", "image_sizes_input", "INT64", "-1, 2", "optional: true"),
        *OUTPUTS,
    ],
}
CHANGED_DIMS = {"IMAGE_URL": [-1], "IMAGE_SIZES": [-1, 2]}


def read(path: Path) -> str:
    return re.sub(r"(?m)^\s*#.*$", "", (path / "config.pbtxt").read_text(encoding="utf-8"))


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+)\}", text))


def parse(text: str, values: dict[str, str]) -> Any:
    filled = re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)
    return text_format.Parse(filled, ModelConfig())


def ordered(config: Any) -> Any:
    for tensors in (config.input, config.output):
        tensors.sort(key=lambda tensor: tensor.name)
    return config


def as_in_the_late_release(config: Any) -> Any:
    """The configuration of 0.16.0 with all documented later changes."""
    for kind in ("input", "output"):
        tensors = [tensor for tensor in copy.deepcopy(getattr(config, kind)) if tensor.name not in REMOVED]
        config.ClearField(kind)
        for tensor in tensors:
            tensor.name = RENAMED.get(tensor.name, tensor.name)
            tensor.dims[:] = CHANGED_DIMS.get(tensor.name, tensor.dims)
        getattr(config, kind).extend(tensors)
    for name in RENAMED.keys() & config.parameters.keys():
        del config.parameters[name]
        config.parameters[RENAMED[name]].string_value = f"${{{RENAMED[name]}}}"
    if config.ensemble_scheduling.step:
        llm = config.ensemble_scheduling.step[1]
        for name in [name for name in llm.input_map if name in {*RENAMED, *REMOVED}]:
            del llm.input_map[name]
        for name in (*METRICS_INPUTS, *GUIDE, "min_tokens", "seed"):
            llm.input_map[name] = name
        for name in METRICS_OUTPUTS:
            llm.output_map[name] = name
    return text_format.Merge("\n".join(ADDED[config.name]), config)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("model", upstream.MODELS)
def test_filled_templates_can_be_parsed(release: str, model: str) -> None:
    assert parse(read(OURS / release / model), VALUES).name == model


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("model", upstream.MODELS)
def test_placeholders_match_the_catalogue(release: str, model: str) -> None:
    facts = yaml.safe_load((PROJECT / f"catalogue/releases/{release}.yml").read_text(encoding="utf-8"))
    known = facts["placeholders"][model].values()
    assert placeholders(read(OURS / release / model)) == {name for names in known for name in names}


@pytest.mark.parametrize(
    ("placeholder", "model", "expected"),
    [
        ("logits_datatype", "ensemble", ["context_logits", "generation_logits"]),
        ("logits_datatype", "tensorrt_llm", ["draft_logits", "context_logits", "generation_logits"]),
        ("logits_datatype", "tensorrt_llm_bls", ["context_logits", "generation_logits"]),
        ("prompt_embedding_table_data_type", "tensorrt_llm", ["prompt_embedding_table"]),
        ("prompt_embedding_table_data_type", "tensorrt_llm_bls", ["prompt_embedding_table"]),
    ],
)
def test_tensors_have_the_requested_type(placeholder: str, model: str, expected: list[str]) -> None:
    text = read(OURS / "1.2.1" / model)
    config, other = parse(text, VALUES), parse(text, {**VALUES, placeholder: "TYPE_BF16"})
    pairs = zip([*config.input, *config.output], [*other.input, *other.output], strict=True)
    assert [mine.name for mine, theirs in pairs if mine != theirs] == expected


@pytest.mark.parametrize("model", upstream.MODELS)
def test_old_templates_equal_upstreams(model: str) -> None:
    assert parse(read(OURS / "0.9.0" / model), VALUES) == parse(upstream.templates("0.9.0")[model], VALUES)


@pytest.mark.parametrize("model", upstream.MODELS)
def test_late_templates_only_differ_from_upstreams_as_documented(model: str) -> None:
    ours = parse(read(OURS / "1.2.1" / model), VALUES)
    theirs = as_in_the_late_release(parse(upstream.templates("0.16.0")[model], VALUES))
    assert ordered(ours) == ordered(theirs)
