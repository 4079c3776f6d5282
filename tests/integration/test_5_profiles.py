# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same model with the LLM API and with the engine of another TensorRT-LLM version, and a rollback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from site_under_test import MODELS, STATE, Site

QUESTION = "What is cloud computing?"
LLMAPI = {"trtllm_profile": "llmapi"}
TOKENIZER = {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}


@pytest.fixture(scope="module")
def tutorial() -> dict[str, Any]:
    """The tutorial's TensorRT-LLM version and converter, with a separate tokenizer as in the tutorial."""
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["revision"]
    tokenizer = {**TOKENIZER, "revision": revision}
    return {"rehearsal_release": "0.9.0", "trtllm_converter": "upstream", "trtllm_tokenizer": tokenizer}


def answered(model: str, field: str) -> str:
    answer = requests.post(f"{MODELS}/{model}/generate", json={"text_input": QUESTION, field: 64}, timeout=120)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text_output"]).removeprefix(QUESTION).strip()


def test_the_llm_api_replaces_the_engine(site: Site, reference: dict[str, Any], tmp_path: Path) -> None:
    engines = site.read("ls", f"{site.root}/engine")
    plan = site.plan(tmp_path / "plan.json", LLMAPI)
    assert plan["engine_build"] == {}
    assert {step["what"]: step["action"] for step in plan["steps"]} == {
        "image": "reuse",
        "backend": "extract",
        "weights": "reuse",
        "release": "render",
        "service": "switch",
    }
    assert site.play("rehearse", variables=LLMAPI).returncode == 0
    assert answered("tensorrt_llm", "sampling_param_max_tokens") == reference["text"].strip()
    container = site.container()
    assert site.command(container) == plan["triton_service"]["container"]["command"]
    arguments = site.read("cat", f"{plan['triton_service']['release_dir']}/model_repository/tensorrt_llm/1/model.yaml")
    assert plan["model_repo"]["release"]["llm_args"]["tensorrt_llm"].items() <= yaml.safe_load(arguments).items()
    assert site.read("ls", f"{site.root}/engine") == engines


def test_the_llm_api_streams(reference: dict[str, Any]) -> None:
    question = {"text_input": QUESTION, "sampling_param_max_tokens": 64, "streaming": True}
    with requests.post(f"{MODELS}/tensorrt_llm/generate_stream", json=question, stream=True, timeout=120) as answer:
        events = [json.loads(line.removeprefix(b"data:")) for line in answer.iter_lines() if line.startswith(b"data:")]
    assert len(events) > 1
    # Each event contains the whole text so far.
    assert events[-1]["text_output"].strip() == reference["text"].strip()


def test_the_weights_use_their_disk_space_once(site: Site) -> None:
    inodes = f"stat --format %i {site.root}/weights/*/*.safetensors {site.deployment}/current/weights/*.safetensors"
    found = site.read("sh", "-c", inodes).split()
    assert found and len(set(found)) == len(found) / 2


def test_the_llm_api_is_verified_and_a_second_run_changes_nothing(site: Site) -> None:
    assert site.play("verify").returncode == 0
    played = site.play("site", variables=LLMAPI)
    assert played.returncode == 0 and played.changed == 0, played.output[-3000:]


def test_the_tutorials_version_is_built_and_served_with_its_own_flags(
    site: Site, reference: dict[str, Any], tutorial: dict[str, Any], tmp_path: Path
) -> None:
    assert site.play("rehearse", variables=tutorial).returncode == 0
    assert answered("ensemble", "max_tokens") == reference["text"].strip()
    plan = site.plan(tmp_path / "plan.json", tutorial)
    built = site.json(f"{plan['artifacts']['engine']['dest']}/artifact.json")["command"]
    assert built == plan["engine_build"]["engine"]["command"] and "--max_output_len" in built
    assert site.json(f"{plan['artifacts']['checkpoint']['dest']}/artifact.json")["command"][1].startswith(
        "/backend/tensorrt_llm/examples/"
    )
    assert "triton_backend" not in plan["model_repo"]["release"]["parameters"]["tensorrt_llm"]
    assert plan["artifacts"]["tokenizer"]["dest"] != plan["artifacts"]["weights"]["dest"]
    assert not site.exists(f"{plan['artifacts']['tokenizer']['dest']}/*.safetensors")
    played = site.play("site", variables=tutorial)
    assert played.returncode == 0 and played.changed == 0, played.output[-3000:]


def test_a_rollback_crosses_versions_and_profiles(site: Site, reference: dict[str, Any]) -> None:
    assert site.play("rollback").returncode == 0
    assert answered("tensorrt_llm", "sampling_param_max_tokens") == reference["text"].strip()
