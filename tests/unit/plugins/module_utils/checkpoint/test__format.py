# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import (
    checkpoint_config,
    native_inputs,
    release_number,
    release_problems,
    tensor_names,
    unsupported,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.tests.unit.support.models import MIXTRAL
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
        ("0.11.0", {"head_size": 3}, Cut(), "head_dim 3 times 4 heads is not hidden_size"),
        ("0.11.0", {"rotary_scaling": {"rope_type": "llama3"}}, Cut(), "rope_scaling 'llama3'"),
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
