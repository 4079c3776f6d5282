# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same model with the engine of another TensorRT-LLM version, the LLM API and trtllm-serve, and the ways back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
import yaml
from site_under_test import MODELS, SERVER, STATE, Site

pytestmark = pytest.mark.long

QUESTION = "What is cloud computing?"
LLMAPI = {"trtllm_profile": "llmapi"}
SERVE = {"trtllm_profile": "serve"}
# Other tests use the processors, too.
NO_TIMES = {"first_token_ratio": 1000, "latency_ratio": 1000, "throughput_ratio": 0}
TOKENIZER = {"repository": "HuggingFaceTB/SmolLM2-135M-Instruct"}


@pytest.fixture(scope="module")
def tutorial() -> dict[str, Any]:
    """The tutorial's TensorRT-LLM version and converter, with a separate tokenizer as in the tutorial."""
    revision = yaml.safe_load((STATE / "hub.yml").read_text())["revision"]
    tokenizer = {**TOKENIZER, "revision": revision}
    return {"rehearsal_release": "0.9.0", "trtllm_converter": "upstream", "trtllm_tokenizer": tokenizer}


@pytest.fixture(scope="module")
def completions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of the engine."""
    return tmp_path_factory.mktemp("compared") / "engine.json"


def compared(site: Site, old: str, **further: Any) -> None:
    variables = {"trtllm_compare_old": old, "trtllm_compare_new": "default", "trtllm_compare_limits": NO_TIMES}
    # Every token is computed on the processors of this machine.
    assert site.play("compare", variables={**variables, "trtllm_compare_max_tokens": 16, **further}).returncode == 0


def answered(model: str, field: str) -> str:
    answer = requests.post(f"{MODELS}/{model}/generate", json={"text_input": QUESTION, field: 64}, timeout=120)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text_output"]).removeprefix(QUESTION).strip()


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


def test_a_rollback_crosses_versions(site: Site, reference: dict[str, Any]) -> None:
    assert site.play("rollback").returncode == 0
    assert answered("ensemble", "max_tokens") == reference["text"].strip()


def test_an_engine_answers_like_itself(site: Site, completions: Path) -> None:
    prompts = completions.with_name("prompts.json")
    prompts.write_text(json.dumps([QUESTION, "The capital of France is", "Water boils at"]))
    compared(site, "default", trtllm_compare_report=str(completions), trtllm_compare_prompts=str(prompts))


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


def test_trtllm_serve_replaces_triton(site: Site, reference: dict[str, Any], tmp_path: Path) -> None:
    plan = site.plan(tmp_path / "plan.json", SERVE)
    assert {step["what"]: step["action"] for step in plan["steps"]} == {
        "image": "load",
        "weights": "reuse",
        "release": "render",
        "service": "switch",
    }
    played = site.play("rehearse", variables=SERVE)
    assert played.returncode == 0
    assert "curl http://localhost:8000/v1/chat/completions" in played.output
    entrypoint, *command = site.command(site.container())
    assert entrypoint.endswith("/nvidia_entrypoint.sh") and command == plan["serve_service"]["container"]["command"]
    with openai.OpenAI(base_url=f"{SERVER}/v1", api_key="none", max_retries=0) as client:
        model = plan["serve_service"]["endpoint"]["model"]
        answer = client.completions.create(model=model, prompt=QUESTION, max_tokens=64, temperature=0)
        assert answer.choices[0].text.strip() == reference["text"].strip()


def test_trtllm_serve_answers_like_the_engine(site: Site, completions: Path) -> None:
    compared(site, str(completions))


def test_the_model_of_trtllm_serve_needs_no_disk_space(site: Site) -> None:
    inodes = f"stat --format %i {site.root}/weights/*/*.safetensors {site.deployment}/current/models/*/*.safetensors"
    found = site.read("sh", "-c", inodes).split()
    assert found and len(set(found)) == len(found) / 2


def test_trtllm_serve_is_verified_and_a_second_run_changes_nothing(site: Site) -> None:
    assert site.play("verify").returncode == 0
    played = site.play("site", variables=SERVE)
    assert played.returncode == 0 and played.changed == 0, played.output[-3000:]


def test_a_rollback_crosses_servers(site: Site, reference: dict[str, Any]) -> None:
    assert site.play("rollback").returncode == 0
    assert answered("tensorrt_llm", "sampling_param_max_tokens") == reference["text"].strip()
