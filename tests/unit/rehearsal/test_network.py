# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network compared with a plain Llama without a cache, which uses the Hugging Face weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from trtllm_cpu.engine import EngineError, check_version, check_world, read_config, read_weights
from trtllm_cpu.network import Chunk, Llama, rotary_frequencies
from trtllm_cpu.tools import convert_checkpoint, trtllm_build

TOKENS = [3, 41, 7, 19, 52, 0, 7, 28, 11]
Snapshot = Callable[..., Path]


def plain_llama(folder: Path, tokens: list[int]) -> np.ndarray:
    """Logits for every position, in float64, one position and one head at a time."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = {name: array for path in folder.glob("*.safetensors") for name, array in load_file(str(path)).items()}
    weight = {name: array.astype(np.float64) for name, array in stored.items()}
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["hidden_size"] // heads

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weight[name]

    def turn(x: np.ndarray, position: int) -> np.ndarray:
        pairs = x[: size // 2] + 1j * x[size // 2 :]
        angles = position * config["rope_theta"] ** (-2.0 * np.arange(size // 2) / size)
        turned = pairs * np.exp(1j * angles)
        return np.concatenate([turned.real, turned.imag])

    x = weight["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}."
        h = norm(x, name + "input_layernorm.weight")
        q, k, v = (h @ weight[f"{name}self_attn.{part}_proj.weight"].T for part in "qkv")
        mixed = np.zeros_like(q)
        for head in range(heads):
            mine, theirs = slice(head * size, (head + 1) * size), head * kv_heads // heads * size
            keys = np.array([turn(k[p, theirs : theirs + size], p) for p in range(len(tokens))])
            for position in range(len(tokens)):
                scores = keys[: position + 1] @ turn(q[position, mine], position) / np.sqrt(size)
                chances = np.exp(scores - scores.max())
                mixed[position, mine] = chances / chances.sum() @ v[: position + 1, theirs : theirs + size]
        x = x + mixed @ weight[name + "self_attn.o_proj.weight"].T
        h = norm(x, name + "post_attention_layernorm.weight")
        gate = h @ weight[name + "mlp.gate_proj.weight"].T
        inner = gate / (1 + np.exp(-gate)) * (h @ weight[name + "mlp.up_proj.weight"].T)
        x = x + inner @ weight[name + "mlp.down_proj.weight"].T
    head_name = "lm_head.weight" if "lm_head.weight" in weight else "model.embed_tokens.weight"
    return norm(x, "model.norm.weight") @ weight[head_name].T


def engine(source: Path, tp_size: int = 1) -> Path:
    work = source.parent
    flags = ["--model_dir", str(source), "--output_dir", str(work / "ck"), "--tp_size", str(tp_size)]
    assert convert_checkpoint(flags) == 0
    assert trtllm_build(["--checkpoint_dir", str(work / "ck"), "--output_dir", str(work / "en")]) == 0
    return work / "en"


def load(folder: Path) -> Llama:
    return Llama(read_config(folder)["pretrained_config"], read_weights(folder, 0))


@pytest.mark.parametrize(
    "changes", [{}, {"tie_word_embeddings": True}, {"num_key_value_heads": 1}, {"num_key_value_heads": 4}]
)
def test_the_network_computes_a_llama(snapshot: Snapshot, changes: dict[str, int]) -> None:
    source = snapshot(**changes)
    [logits] = load(engine(source)).step([Chunk(0, TOKENS, wanted=len(TOKENS))])
    np.testing.assert_allclose(logits, plain_llama(source, TOKENS), rtol=2e-4, atol=2e-4)


def test_chunked_prompts_and_batching_change_nothing(snapshot: Snapshot) -> None:
    network = load(engine(snapshot()))
    [whole] = network.step([Chunk(0, TOKENS, wanted=len(TOKENS))])
    pieces = [
        network.step([Chunk(1, [5, 6], 0), Chunk(2, TOKENS[i : i + 2], len(TOKENS[i : i + 2]))])[1]
        for i in range(0, 9, 2)
    ]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-4, atol=1e-4)


def test_only_requested_logits_are_returned_and_forgotten_sequences_start_again(snapshot: Snapshot) -> None:
    network = load(engine(snapshot()))
    first, none = network.step([Chunk(0, TOKENS), Chunk(1, TOKENS, wanted=0)])
    assert (first.shape, none.shape) == ((1, 53), (0, 53))
    assert network.step([Chunk(0, [1], wanted=0)])[0].shape == (0, 53)
    assert network.step([], forgotten=[0]) == []
    [again] = network.step([Chunk(0, TOKENS)])
    # Not bit for bit, because rounding in a matrix product depends on the number of rows and on the processor.
    np.testing.assert_allclose(again, first, rtol=1e-4, atol=1e-4)


def test_llama3_scaling_only_stretches_long_wavelengths() -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    plain, scaled = rotary_frequencies(128, 500000.0, {}), rotary_frequencies(128, 500000.0, scaling)
    waves = 2 * np.pi / plain
    np.testing.assert_allclose(scaled[waves < 8192 / 4], plain[waves < 8192 / 4])
    np.testing.assert_allclose(scaled[waves > 8192], plain[waves > 8192] / 8, rtol=1e-6)
    between = (waves > 8192 / 4) & (waves < 8192)
    assert ((scaled[between] < plain[between]) & (scaled[between] > plain[between] / 8)).all()


def test_a_missing_engine_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Decoder \(GPT\) model path at .*/gone does not exist"):
        read_config(tmp_path / "gone")
    with pytest.raises(EngineError, match="Cannot find engine config file"):
        read_config(tmp_path)


def test_an_engine_of_another_version_is_refused(snapshot: Snapshot) -> None:
    config = read_config(engine(snapshot()))
    check_version(config)
    with pytest.raises(EngineError, match=r"expecting library version 1\.2\.1 got 0\.9\.0"):
        check_version({**config, "version": "0.9.0"})


def test_the_world_size_must_match_the_engine(snapshot: Snapshot) -> None:
    config = read_config(engine(snapshot(), tp_size=2))
    check_world(config, 2)
    with pytest.raises(EngineError, match=r"MPI size 1 != TP size 2 \* PP size 1"):
        check_world(config, 1)
