# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The committed tiny Mixtral is an ordinary Hugging Face folder, and its recorded completions belong to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import read_decoder, source_tensors
from safetensors import safe_open
from tokenizers import Tokenizer

REHEARSAL = Path(__file__).parents[3] / "rehearsal"
FOLDER = REHEARSAL / "mixtral/tiny-mixtral"
TORCH_NAMES = {"bfloat16": "BF16"}


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


CONFIG = read_json(FOLDER / "config.json")
INDEX = read_json(FOLDER / "model.safetensors.index.json")
REFERENCE = read_json(REHEARSAL / "reference/tiny-mixtral.json")
COMPLETIONS = REFERENCE["completions"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def test_it_is_small_enough_to_be_committed() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000


def test_the_shards_hold_what_the_index_and_the_config_say() -> None:
    where, shapes, types = {}, {}, set()
    for path in FOLDER.glob("*.safetensors"):
        with safe_open(str(path), "numpy") as shard:
            for name in shard.keys():  # noqa: SIM118 - not a mapping
                where[name] = path.name
                shapes[name] = tuple(shard.get_slice(name).get_shape())
                types.add(shard.get_slice(name).get_dtype())
    assert where == INDEX["weight_map"]
    assert len(set(where.values())) > 1
    assert shapes == source_tensors(read_decoder(CONFIG), has_head=True)
    assert types == {TORCH_NAMES[CONFIG["torch_dtype"]]}


def test_it_needs_padding_and_duplication_with_eight_ranks() -> None:
    assert CONFIG["vocab_size"] % 8
    assert CONFIG["num_attention_heads"] == 2 * CONFIG["num_key_value_heads"] == CONFIG["num_local_experts"] == 8


def test_the_tokenizer_is_the_models(tokenizer: Tokenizer) -> None:
    special = read_json(FOLDER / "special_tokens_map.json")
    assert tokenizer.get_vocab_size() == CONFIG["vocab_size"]
    assert tokenizer.token_to_id(special["bos_token"]) == CONFIG["bos_token_id"]
    assert tokenizer.token_to_id(special["eos_token"]) == CONFIG["eos_token_id"]


@pytest.mark.parametrize("name", COMPLETIONS)
def test_a_recorded_completion_matches_the_tokenizer(name: str, tokenizer: Tokenizer) -> None:
    completion = COMPLETIONS[name]
    assert tokenizer.encode(completion["prompt"]).ids == completion["input_ids"]
    assert tokenizer.decode(completion["input_ids"]) == completion["prompt"]
    assert tokenizer.decode(completion["output_ids"]) == completion["text"]
    recited = tokenizer.encode(completion["prompt"] + completion["text"]).ids
    assert recited == [*completion["input_ids"], *completion["output_ids"]][: len(recited)]


@pytest.mark.parametrize("name", COMPLETIONS)
def test_recorded_completions_do_not_depend_on_the_order_of_summation(name: str) -> None:
    assert COMPLETIONS[name]["margin"] > 0.1


def test_a_completion_ends_with_the_text() -> None:
    end = CONFIG["eos_token_id"]
    assert len(COMPLETIONS["beginning"]["output_ids"]) >= 64
    for completion in COMPLETIONS.values():
        is_whole = len(completion["output_ids"]) < REFERENCE["max_new_tokens"]
        assert (completion["output_ids"][-1] == end) == is_whole
    assert COMPLETIONS["middle"]["output_ids"][-1] == end
