# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mixture of experts in four and eight ranks over MPI, and a checkpoint that is sliced wrongly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from site_under_test import MODELS, PROJECT, STATE, Site
from tokenizers import Tokenizer

pytestmark = pytest.mark.long

MODEL = PROJECT / "rehearsal/mixtral/tiny-mixtral"
EIGHT = {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}
FOUR = {"tensor": 2, "pipeline": 2}
MISCUT = "/opt/trtllm/miscut"
# Runs with the host's Python. In each expert the plain half comes before the activated one; this swaps them.
SWAP_HALVES = """
import sys
from safetensors.numpy import load_file, save_file
path, name = sys.argv[1:]
tensors = load_file(path)
plain, activated = (half.copy() for half in (tensors[name][:, :48], tensors[name][:, 48:]))
tensors[name][:, :48], tensors[name][:, 48:] = activated, plain
save_file(tensors, path)
"""


def tiny_mixtral(parallelism: dict[str, int]) -> dict[str, Any]:
    """The variables to serve it; in float32, like the reference of transformers."""
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["tiny_mixtral_revision"]
    model = {"repository": "rehearsal/tiny-mixtral", "revision": revision, "config": str(MODEL / "config.json")}
    return {
        "trtllm_model": model,
        "trtllm_precision": "float32",
        "trtllm_parallelism": parallelism,
        "trtllm_limits": {"max_input_len": 256, "max_seq_len": 512},
    }


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    """The greedy completions of transformers, by name."""
    completions: dict[str, dict[str, Any]] = json.loads(
        (PROJECT / "rehearsal/reference/tiny-mixtral.json").read_text()
    )["completions"]
    return completions


def answered(completion: dict[str, Any]) -> list[int]:
    """The tokens of Triton's answer, including the prompt."""
    question = {"text_input": completion["prompt"], "max_tokens": len(completion["output_ids"])}
    answer = requests.post(f"{MODELS}/ensemble/generate", json=question, timeout=120)
    assert answer.status_code == 200, answer.text
    return list(Tokenizer.from_file(str(MODEL / "tokenizer.json")).encode(answer.json()["text_output"]).ids)


def expected(completion: dict[str, Any]) -> list[int]:
    """The tokens of the reference; an answer does not include the end token."""
    end = json.loads((MODEL / "config.json").read_text())["eos_token_id"]
    return completion["input_ids"] + [token for token in completion["output_ids"] if token != end]


@pytest.mark.parametrize("parallelism", [EIGHT, FOUR], ids=["tensor and expert", "tensor and pipeline"])
def test_the_ranks_answer_like_transformers(
    site: Site, recorded: dict[str, dict[str, Any]], parallelism: dict[str, int]
) -> None:
    variables = tiny_mixtral(parallelism)
    assert site.play("site", variables=variables).returncode == 0
    ranks = parallelism["tensor"] * parallelism.get("pipeline", 1)
    argv = site.container()["Args"]
    assert argv.count("/opt/tritonserver/bin/tritonserver") == ranks
    assert len(site.read("pgrep", "--full", "^/opt/tritonserver/bin/tritonserver").split()) == ranks
    assert {name: answered(completion) for name, completion in recorded.items()} == {
        name: expected(completion) for name, completion in recorded.items()
    }


@pytest.fixture
def miscut_engine(site: Site, tmp_path: Path) -> Iterator[str]:
    """An engine of the served checkpoint, with one tensor of one rank sliced wrongly."""
    plan = site.plan(tmp_path / "plan.json", tiny_mixtral(FOUR))
    site.run("cp", "-r", plan["artifacts"]["checkpoint"]["dest"], MISCUT)
    tensor = "transformer.layers.0.mlp.fc.weight"
    site.run(f"{site.root}/venv/bin/python", "-c", SWAP_HALVES, f"{MISCUT}/rank1.safetensors", tensor)
    build = {
        "src": MISCUT,
        "dest": f"{MISCUT}-engine",
        "release": plan["release"],
        "command": plan["engine_build"]["engine"]["command"],
    }
    build |= {"image": plan["trtllm_backend"]["image"]["name"], "world_size": plan["parallelism"]["world_size"]}
    command = [Path(sys.executable).with_name("ansible"), "-i", site.inventory, "rehearsal"]
    command += ["-m", "tritonops.trtllm.trtllm_engine", "-a", json.dumps(build)]
    command += ["-e", f"ansible_python_interpreter={site.root}/venv/bin/python"]
    subprocess.run(command, cwd=PROJECT, check=True)
    yield str(build["dest"])
    site.run("rm", "--recursive", MISCUT, str(build["dest"]), f"{build['dest']}.lock")


def test_a_wrong_slice_is_noticed(site: Site, recorded: dict[str, dict[str, Any]], miscut_engine: str) -> None:
    played = site.play("site", variables={**tiny_mixtral(FOUR), "trtllm_engine_dir": miscut_engine})
    assert played.returncode == 0
    completion = recorded["beginning"]
    assert answered(completion) != expected(completion)
