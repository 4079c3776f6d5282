# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""convert_checkpoint.py and trtllm-build: their command lines and the files that they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import load_file
from trtllm_cpu import VERSION
from trtllm_cpu.cli import parse
from trtllm_cpu.engine import read_weights
from trtllm_cpu.network import Chunk, Llama
from trtllm_cpu.release import load_tables
from trtllm_cpu.tools import convert_checkpoint, trtllm_build

PROJECT = Path(__file__).parents[3]
Snapshot = Callable[..., Path]


TOOLS = {
    "convert_checkpoint": ("convert", ["convert_checkpoint"]),
    "trtllm_build": ("build", ["trtllm_build", "plugin_config"]),
}


def convert(source: Path, output: Path, *flags: str) -> int:
    return convert_checkpoint(["--model_dir", str(source), "--output_dir", str(output), *flags])


def build(source: Path, output: Path, *flags: str) -> int:
    return trtllm_build(["--checkpoint_dir", str(source), "--output_dir", str(output), *flags])


def test_a_checkpoint_has_upstreams_layout(snapshot: Snapshot, tmp_path: Path) -> None:
    source = snapshot()
    assert convert(source, tmp_path / "ck", "--dtype", "float16", "--tp_size", "2") == 0
    assert sorted(path.name for path in (tmp_path / "ck").iterdir()) == [
        "config.json",
        "rank0.safetensors",
        "rank1.safetensors",
    ]
    config = json.loads((tmp_path / "ck/config.json").read_text(encoding="utf-8"))
    assert config["architecture"] == "LlamaForCausalLM"
    assert config["dtype"] == "float16"
    assert config["mapping"] == {
        "world_size": 2,
        "gpus_per_node": 8,
        "cp_size": 1,
        "tp_size": 2,
        "pp_size": 1,
        "moe_tp_size": 2,
        "moe_ep_size": 1,
    }
    rank = load_file(str(tmp_path / "ck/rank1.safetensors"))
    original = {name: array for path in source.glob("*.safetensors") for name, array in load_file(str(path)).items()}
    fc = original["model.layers.1.mlp.gate_proj.weight"][24:].astype(np.float16)
    assert np.array_equal(rank["transformer.layers.1.mlp.fc.weight"], fc)
    # 53 rows of the vocabulary are split into 27 and 26; the missing row is zero
    assert rank["lm_head.weight"].shape == (27, 32)
    assert not rank["lm_head.weight"][-1].any()


def test_bfloat16_is_not_changed_and_tied_heads_are_written(snapshot: Snapshot, tmp_path: Path) -> None:
    source = snapshot(tie_word_embeddings=True)
    assert convert(source, tmp_path / "ck") == 0
    rank = load_file(str(tmp_path / "ck/rank0.safetensors"))
    embedding = rank["transformer.vocab_embedding.weight"]
    assert embedding.dtype == ml_dtypes.bfloat16
    assert np.array_equal(embedding.view(np.uint16), rank["lm_head.weight"].view(np.uint16))


def test_an_engine_has_upstreams_layout(snapshot: Snapshot, tmp_path: Path) -> None:
    convert(snapshot(), tmp_path / "ck")
    flags = ("--gemm_plugin", "auto", "--max_batch_size", "4", "--max_seq_len", "48", "--max_input_len", "32")
    assert build(tmp_path / "ck", tmp_path / "en", *flags) == 0
    assert sorted(path.name for path in (tmp_path / "en").iterdir()) == ["config.json", "rank0.engine"]
    config = json.loads((tmp_path / "en/config.json").read_text(encoding="utf-8"))
    assert set(config) == {"version", "pretrained_config", "build_config"}
    assert config["version"] == VERSION
    limits = {key: config["build_config"][key] for key in ("max_batch_size", "max_input_len", "max_seq_len")}
    assert limits == {"max_batch_size": 4, "max_input_len": 32, "max_seq_len": 48}
    assert config["build_config"]["max_num_tokens"] == 8192
    assert config["build_config"]["plugin_config"]["gemm_plugin"] == "bfloat16"
    assert config["build_config"]["plugin_config"]["paged_kv_cache"] is True
    checkpoint = load_file(str(tmp_path / "ck/rank0.safetensors"))
    with safe_open(str(tmp_path / "en/rank0.engine"), framework="np") as file:
        assert set(file.offset_keys()) == set(checkpoint)
        assert all(np.array_equal(file.get_tensor(name), checkpoint[name]) for name in checkpoint)


def test_max_seq_len_is_deduced_from_the_model(snapshot: Snapshot, tmp_path: Path) -> None:
    convert(snapshot(), tmp_path / "ck")
    build(tmp_path / "ck", tmp_path / "en")
    config = json.loads((tmp_path / "en/config.json").read_text(encoding="utf-8"))
    assert config["build_config"]["max_seq_len"] == 64


@pytest.mark.parametrize(
    ("tool", "argv"),
    [
        (convert_checkpoint, ["--moe_tp_mode", "2"]),
        (trtllm_build, ["--auto_parallel", "2"]),
        (convert_checkpoint, ["--use_embedding_sharing"]),
        (convert_checkpoint, ["--dtype", "int8"]),
        (trtllm_build, ["--max_output_len", "64"]),
        (trtllm_build, ["--use_custom_all_reduce", "disable"]),
        (trtllm_build, ["--gemm_plugin", "int4"]),
        (trtllm_build, ["--tp_size", "2"]),
    ],
)
def test_unknown_flags_are_rejected(
    tool: Callable[[list[str]], int], argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool(argv)
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "unrecognized arguments: " + argv[0] in message or "invalid choice" in message


@pytest.mark.parametrize("release", ["0.9.0", "1.2.1"])
@pytest.mark.parametrize("tool", TOOLS)
def test_flags_match_the_catalogue(release: str, tool: str) -> None:
    kind, names = TOOLS[tool]
    known = yaml.safe_load((PROJECT / f"catalogue/releases/{release}.yml").read_text(encoding="utf-8"))[kind]["flags"]
    ours = {name: flag for table in names for name, flag in load_tables(release)[table].items()}
    assert ours.keys() == known.keys()
    for name, flag in known.items():
        # the catalogue omits unknown properties of a flag
        facts = {key: ours[name].get(key) for key in flag}
        assert (name, facts) == (name, flag)


@pytest.mark.parametrize(
    ("table", "argv"),
    [
        ("convert_checkpoint", ["--moe_tp_size", "2"]),
        ("convert_checkpoint", ["--quant_ckpt_path", "x"]),
        ("convert_checkpoint", ["--dtype", "auto"]),
        ("trtllm_build", ["--max_seq_len", "64"]),
        ("plugin_config", ["--gemm_plugin", "auto"]),
        ("plugin_config", ["--reduce_fusion", "enable"]),
    ],
)
def test_flags_of_later_versions_are_rejected_by_the_old_one(
    table: str, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("tool", [load_tables("0.9.0")[table]], argv)
    assert stopped.value.code == 2
    assert argv[0] in capsys.readouterr().err


def test_old_version_has_its_own_defaults() -> None:
    tables = load_tables("0.9.0")
    args = parse("trtllm-build", [tables["trtllm_build"], tables["plugin_config"]], [])
    assert (args.max_batch_size, args.max_output_len, args.use_custom_all_reduce) == (1, 1024, "enable")
    assert parse("convert_checkpoint.py", [tables["convert_checkpoint"]], []).dtype == "float16"


def run_old(*command: str) -> None:
    """A tool as in the image of 0.9.0: the environment of the process sets the version."""
    backend = PROJECT / "rehearsal/backend"
    environment = {**os.environ, "TRTLLM_VERSION": "0.9.0", "PYTHONPATH": str(backend)}
    subprocess.run([sys.executable, *command], check=True, env=environment, cwd=backend / "bin", capture_output=True)


def test_old_version_distributes_or_slices_experts(snapshot: Snapshot, tmp_path: Path) -> None:
    mixtral = {"architectures": ["MixtralForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2}
    source, checkpoint, built = str(snapshot(**mixtral)), tmp_path / "ck", tmp_path / "en"
    flags = ["--dtype", "bfloat16", "--tp_size", "2", "--moe_tp_mode", "1"]
    run_old("convert_checkpoint.py", "--model_dir", source, "--output_dir", str(checkpoint), *flags)
    flags = ["--checkpoint_dir", str(checkpoint), "--output_dir", str(built)]
    run_old("-c", "import sys; from trtllm_cpu.tools import trtllm_build; sys.exit(trtllm_build())", *flags)
    weights = read_weights(built, 1)
    assert weights["transformer.layers.0.mlp.experts_weight_1"].shape == (2, 96, 32)
    assert weights["transformer.layers.0.mlp.experts_weight_2"].shape == (2, 32, 48)
    assert weights["transformer.layers.0.mlp.router.weight"].dtype == np.float32


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ([], (4, 1)),
        (["--moe_ep_size", "2"], (2, 2)),
        (["--moe_tp_size", "1"], (1, 4)),
        (["--moe_tp_size", "2", "--moe_ep_size", "2"], (2, 2)),
    ],
)
def test_one_moe_size_determines_the_other(
    snapshot: Snapshot, tmp_path: Path, flags: list[str], sizes: tuple[int, int]
) -> None:
    mixtral = {"architectures": ["MixtralForCausalLM"], "num_local_experts": 4, "num_experts_per_tok": 2}
    assert convert(snapshot(**mixtral), tmp_path / "ck", "--tp_size", "4", *flags) == 0
    mapping = json.loads((tmp_path / "ck/config.json").read_text(encoding="utf-8"))["mapping"]
    assert (mapping["moe_tp_size"], mapping["moe_ep_size"]) == sizes


def test_old_version_writes_its_own_keys(snapshot: Snapshot, tmp_path: Path) -> None:
    source, checkpoint, built = str(snapshot()), str(tmp_path / "ck"), str(tmp_path / "en")
    run_old("convert_checkpoint.py", "--model_dir", source, "--output_dir", checkpoint, "--dtype", "bfloat16")
    flags = ["--checkpoint_dir", checkpoint, "--output_dir", built, "--max_input_len", "24", "--max_output_len", "16"]
    run_old("-c", "import sys; from trtllm_cpu.tools import trtllm_build; sys.exit(trtllm_build())", *flags)
    config = json.loads((tmp_path / "en/config.json").read_text(encoding="utf-8"))
    model, limits = config["pretrained_config"], config["build_config"]
    assert config["version"] == "0.9.0"
    assert model["mapping"] == {"world_size": 1, "tp_size": 1, "pp_size": 1}
    assert (model["kv_dtype"], model["moe_tp_mode"], "moe" in model) == ("bfloat16", 2, False)
    assert {name: limits[name] for name in ("max_input_len", "max_output_len", "max_num_tokens")} == {
        "max_input_len": 24,
        "max_output_len": 16,
        "max_num_tokens": 24,
    }
    assert not {"max_seq_len", "kv_cache_type"} & limits.keys()
    assert limits["plugin_config"]["paged_kv_cache"] is True
    network = Llama(model, read_weights(tmp_path / "en", 0))
    [logits] = network.step([Chunk(0, [3, 41, 7])])
    assert logits.shape == (1, 53)


@pytest.mark.parametrize(
    ("tool", "argv", "reason"),
    [
        (convert_checkpoint, ["--use_weight_only"], "quantised weights"),
        (convert_checkpoint, ["--n_head", "16"], "config.json of --model_dir"),
        (convert_checkpoint, ["--moe_top_k", "2"], "config.json of --model_dir"),
        (trtllm_build, ["--gemm_plugin", "fp8"], "FP8"),
        (trtllm_build, ["--lora_plugin", "auto"], "LoRA"),
        (trtllm_build, ["--remove_input_padding", "disable"], "packed input"),
    ],
)
def test_flags_that_cannot_work_are_refused_with_a_reason(
    tool: Callable[[list[str]], int], argv: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        tool(argv)
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert f"{argv[0]} is a flag of this release but cannot be honoured" in message
    assert reason in message


def test_flags_that_cannot_work_may_be_disabled(snapshot: Snapshot, tmp_path: Path) -> None:
    convert(snapshot(), tmp_path / "ck")
    assert build(tmp_path / "ck", tmp_path / "en", "--lora_plugin", "disable", "--max_beam_width", "1") == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tp_size", "3"], "num_attention_heads 4 is not divisible by tp_size 3"),
        (["--pp_size", "3"], "num_hidden_layers 2 is not divisible by pp_size 3"),
        (["--tp_size", "0"], "tp_size must be at least 1"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(
    snapshot: Snapshot, tmp_path: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(snapshot(), tmp_path / "ck", *flags) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ck").exists()


def test_an_unknown_architecture_is_refused(alien: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(alien, tmp_path / "ck") == 1
    assert "architectures[0] is 'GPT2LMHeadModel'" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_match_its_config_is_refused(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(snapshot(), tmp_path / "ck")
    path = tmp_path / "ck/config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "intermediate_size": 64}), encoding="utf-8")
    assert build(tmp_path / "ck", tmp_path / "en") == 1
    assert "mlp.fc.weight has shape (48, 32), config.json asks for (64, 32)" in capsys.readouterr().err


def test_a_missing_rank_is_named(snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(snapshot(), tmp_path / "ck", "--tp_size", "2")
    (tmp_path / "ck/rank1.safetensors").unlink()
    assert build(tmp_path / "ck", tmp_path / "en") == 1
    assert "rank1.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "en/config.json").exists()
