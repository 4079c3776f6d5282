# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import describe, read_decoder
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import (
    checkpoint_config,
    config_problems,
    engine_warnings,
    native_inputs,
    release_number,
    release_problems,
    tensor_names,
    unsupported,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.tests.unit.support.models import LLAMA, MIXTRAL
from ansible_collections.tritonops.trtllm.tests.unit.support.vectors import RELEASES, recorded

MIXTURE = read_decoder(MIXTRAL)


@pytest.mark.parametrize(
    "release, number",
    [
        ("0.9.0", (0, 9, 0)),
        ("v1.2.1", (1, 2, 1)),
        ("0.16", (0, 16)),
        ("latest", ()),
        ("", ()),
        ("0", ()),
        ("0.9.0rc1", (0, 9, 0)),
        ("0.16.0.dev2024112600", (0, 16, 0)),
        ("0.17.0.post1", (0, 17, 0)),
        ("0.9.0rc", ()),
        ("0..9", ()),
        ("-1.0", ()),
        ("0.²", ()),
        ("0.9\n", ()),
        ("0." + "9" * 5000, ()),
    ],
)
def test_release_numbers(release, number):
    assert release_number(release) == number


@pytest.mark.parametrize("release", ["0.8.0", "latest", ""])
def test_unknown_releases(release):
    assert "only that of 0.9.0 and later" in unsupported(release, "LlamaForCausalLM")


@pytest.mark.parametrize("release", ["1.3.0", "1.3.0rc1", "1.10", "2.0.0", "9.9.9"])
def test_releases_without_engines(release):
    assert f"release {release} has no TensorRT engines" in unsupported(release, "LlamaForCausalLM")


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"])
@pytest.mark.parametrize("release", ["0.9.0", "0.16.0", "1.2.1"])
def test_known_releases(release, architecture):
    assert unsupported(release, architecture) == ""


def test_unsupported_architectures_are_refused():
    assert "BloomForCausalLM is not among" in unsupported("0.17.0", "BloomForCausalLM")
    assert "use release 0.11 or later" in unsupported("0.10.0", "Qwen2ForCausalLM")
    assert unsupported("0.11.0", "Qwen2ForCausalLM") == ""


@pytest.mark.parametrize(
    "release, changes, cut, words",
    [
        ("0.10.0", {}, Cut(4, 1, 2, 2), "cannot combine tensor and expert parallelism"),
        ("0.13.0", {}, Cut(share_embedding=True), "use_embedding_sharing needs release 0.14 to 0.16"),
        ("0.17.0", {}, Cut(share_embedding=True), "use_embedding_sharing needs release 0.14 to 0.16"),
        (
            "1.2.1",
            {"experts": 0, "stated_experts": 4},
            Cut(),
            "num_local_experts is 4, but MixtralForCausalLM has no ex",
        ),
        ("0.11.0", {"head_size": 3}, Cut(), "head_dim 3 times 4 heads is not hidden_size"),
        ("0.11.0", {"rotary_scaling": {"rope_type": "llama3"}}, Cut(), "rope_scaling 'llama3'"),
        ("0.19.0", {"rotary_scaling": {"type": "yarn"}}, Cut(), "compute linear, dynamic, llama3; use release 0.20.0"),
        ("1.2.1", {"rotary_scaling": {"type": "longrope"}}, Cut(), "compute linear, dynamic, llama3, yarn; no release"),
    ],
)
def test_unsupported_conversions_are_refused(release, changes, cut, words):
    problems = release_problems(dataclasses.replace(MIXTURE, **changes), cut, release)
    assert len(problems) == 1 and words in problems[0]


@pytest.mark.parametrize(
    "release, cut",
    [("0.10.0", Cut(4, 1, 4, 1)), ("0.10.0", Cut(4, 1, 1, 4)), ("0.11.0", Cut(4, 1, 2, 2)), ("0.14.0", Cut())],
)
def test_supported_conversions_are_accepted(release, cut):
    assert release_problems(MIXTURE, cut, release) == []


def test_a_version_in_between_has_the_keys_of_the_previous_one():
    for between, known in (("0.9.5", "0.9.0"), ("0.14.1", "0.14.0"), ("0.16.9", "0.16.0")):
        assert checkpoint_config(MIXTURE, Cut(2, 1, 2), "float16", between) == checkpoint_config(
            MIXTURE, Cut(2, 1, 2), "float16", known
        )


@pytest.mark.parametrize("version", ["v0.9.0", "v0.14.0"])
def test_keys_are_those_of_upstream(version):
    """The test of the converter compares the values."""
    case = next(case for case in recorded(version) if case.config and case.name.startswith("mixtral"))
    config = checkpoint_config(MIXTURE, Cut(), "float16", RELEASES[version])
    assert set(config) == set(case.config)
    for name in ("mapping", "quantization", "moe"):
        assert set(config.get(name, {})) == set(case.config.get(name, {}))


def test_experts_of_the_first_format():
    spread = checkpoint_config(MIXTURE, Cut(2, 1, 1, 2), "float16", "0.9.0")
    cut = checkpoint_config(MIXTURE, Cut(2, 1, 2, 1), "float16", "0.9.0")
    assert (spread["moe_tp_mode"], cut["moe_tp_mode"]) == (1, 2)
    assert tensor_names("0.9.0").expert_in == "mlp.experts_weight_1"
    assert tensor_names("0.10.0").expert_in == "mlp.fc.weight"


def test_inputs_that_identify_a_checkpoint():
    plain = native_inputs("key", "0.17.0", "auto", Cut(2, 1, 2))
    assert plain == {
        "source": "key",
        "release": "0.17.0",
        "converter": "native",
        "dtype": "auto",
        "tp_size": 2,
        "pp_size": 1,
        "moe_tp_size": 2,
        "moe_ep_size": 1,
    }
    parallel = Cut(2, 1, 2, use_parallel_embedding=True, embedding_sharding_dim=1, share_embedding=True)
    assert native_inputs("key", "0.17.0", "auto", parallel) == {
        **plain,
        "embedding_sharding_dim": 1,
        "use_embedding_sharing": True,
    }


def test_planner_and_converter_refuse_the_same_models():
    assert config_problems(MIXTRAL, "0.9.0") == []
    assert config_problems({**MIXTRAL, "head_dim": 8}, "0.9.0") == [
        "head_dim 8 times 4 heads is not hidden_size: use release 0.12.0 or later"
    ]
    dense = {**LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}
    assert config_problems(dense, "1.2.1") == ["num_local_experts is 4, but LlamaForCausalLM has no experts"]
    assert config_problems({**dense, "num_local_experts": 1}, "1.2.1") == []
    (problem,) = config_problems({**MIXTRAL, "mlp_bias": True, "head_dim": 8}, "0.9.0")
    assert problem.startswith("mlp_bias is True")


def scaled(**scaling):
    return read_decoder({**LLAMA, "max_position_embeddings": 512, "rope_scaling": scaling})


@pytest.mark.parametrize(
    "release, scaling, key, positions",
    [
        # Releases before 0.12 only read type.
        ("0.9.0", {"rope_type": "linear", "factor": 4}, "type", 2048),
        ("0.11.0", {"rope_type": "dynamic", "factor": 4}, "type", 512),
        ("0.16.0", {"type": "linear", "factor": 4}, "rope_type", 2048),
        ("1.2.1", {"rope_type": "dynamic", "factor": 4}, "rope_type", 512),
        ("1.2.1", {"type": "yarn", "factor": 4, "original_max_position_embeddings": 512}, "rope_type", 2048),
        ("1.2.1", {"rope_type": "llama3", "factor": 8}, "rope_type", 512),
    ],
)
def test_rotary_tables_cover_all_positions(release, scaling, key, positions):
    config = checkpoint_config(scaled(**scaling), Cut(), "float16", release)
    assert config["rotary_scaling"][key] == scaling.get("rope_type", scaling.get("type"))
    assert config["max_position_embeddings"] == positions


def test_neutral_scaling_is_not_written():
    """Upstream's runtime does not know the type default."""
    config = checkpoint_config(scaled(rope_type="default"), Cut(), "float16", "1.2.1")
    assert (config["rotary_scaling"], config["max_position_embeddings"]) == (None, 512)


def test_warnings_depend_on_the_length():
    windowed = read_decoder({**LLAMA, "max_position_embeddings": 512, "sliding_window": 256})
    assert engine_warnings(windowed, 256) == []
    (warning,) = engine_warnings(windowed, 257)
    assert warning.startswith("config.json has sliding_window 256, but TensorRT-LLM computes full attention")
    dynamic = scaled(type="dynamic", factor=2)
    assert engine_warnings(dynamic, 512) == []
    assert "the KV cache keeps keys" in engine_warnings(dynamic, 513)[0]
    assert engine_warnings(describe({**LLAMA, "architectures": ["A"], "max_position_embeddings": 8}), 8) == []
