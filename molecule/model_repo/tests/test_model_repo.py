# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from testinfra.host import Host

Only = Callable[[str], str]
Record = Callable[[str], Any]
MODELS = {"ensemble", "postprocessing", "preprocessing", "tensorrt_llm", "tensorrt_llm_bls"}
PARSE = """
import sys
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
print(json_format.MessageToJson(text_format.Parse(open(sys.argv[1]).read(), ModelConfig())))
"""


def config(host: Host, release: str, model: str) -> dict[str, Any]:
    """The configuration as Triton reads it."""
    path = f"{release}/model_repository/{model}/config.pbtxt"
    parsed: dict[str, Any] = json.loads(host.check_output("/opt/trtllm/venv/bin/python -c %s %s", PARSE, path))
    return parsed


def parameter(parsed: dict[str, Any], name: str) -> str:
    return str(parsed["parameters"][name]["stringValue"])


def inodes(host: Host, *paths: str) -> set[str]:
    return set(host.check_output("stat --format %i " + " ".join(paths)).split())


def parts(host: Host, folder: str) -> set[str]:
    return {name for name in host.file(folder).listdir() if not name.endswith(".lock")}


def test_release_is_complete_and_has_its_name(host: Host, only: Only, record: Record) -> None:
    """The folder under its temporary name was renamed."""
    release = only("deployments/default/releases")
    assert parts(host, release) == {"model_repository", "tokenizer", "release.json"}
    assert record(f"{release}/release.json")["id"] == release.rsplit("/", maxsplit=1)[-1]
    assert set(host.file(f"{release}/model_repository").listdir()) == MODELS | {"artifact.json"}


def test_release_records_its_image_and_engine(only: Only, record: Record, image: str) -> None:
    manifest = record(f"{only('deployments/default/releases')}/release.json")
    assert (manifest["image"], manifest["engine"]) == (image, only("engine"))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_triton_can_read_the_configuration(host: Host, only: Only, model: str) -> None:
    assert config(host, only("deployments/default/releases"), model)["name"] == model
    assert host.file(f"{only('deployments/default/releases')}/model_repository/{model}/1").is_directory


def test_placeholders_and_fields_are_set(host: Host, only: Only) -> None:
    release = only("deployments/default/releases")
    backend = config(host, release, "tensorrt_llm")
    assert backend["backend"] == "tensorrtllm"
    assert backend["modelTransactionPolicy"] == {"decoupled": True}
    assert parameter(backend, "gpt_model_path") == "/release/model_repository/tensorrt_llm/1"
    assert backend["dynamicBatching"]["defaultQueuePolicy"]["maxQueueSize"] == 16
    for model in ("preprocessing", "postprocessing"):
        assert parameter(config(host, release, model), "tokenizer_dir") == "/release/tokenizer"


@pytest.mark.parametrize("name", ["config.json", "rank0.engine"])
def test_engine_uses_its_disk_space_once(host: Host, only: Only, name: str) -> None:
    served = f"{only('deployments/default/releases')}/model_repository/tensorrt_llm/1/{name}"
    assert len(inodes(host, f"{only('engine')}/{name}", served)) == 1


def test_tokenizer_comes_without_the_weights(host: Host, only: Only) -> None:
    tokenizer = f"{only('deployments/default/releases')}/tokenizer"
    assert len(inodes(host, f"{only('weights')}/tokenizer.json", f"{tokenizer}/tokenizer.json")) == 1
    assert not [name for name in host.file(tokenizer).listdir() if name.endswith(".safetensors")]


LLM_API = "/srv/releases/llmapi"


def test_llm_api_has_its_arguments(host: Host) -> None:
    assert parts(host, LLM_API) == {"model_repository", "weights", "release.json"}
    model = f"{LLM_API}/model_repository/tensorrt_llm"
    assert set(host.file(f"{model}/1").listdir()) == set(host.file("/srv/templates/llmapi/tensorrt_llm/1").listdir())
    assert config(host, LLM_API, "tensorrt_llm")["modelTransactionPolicy"] == {"decoupled": True}
    load = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    given = json.loads(host.check_output("/opt/trtllm/venv/bin/python -c %s %s", load, f"{model}/1/model.yaml"))
    assert (given["model"], given["triton_config"]["decoupled"]) == ("/release/weights", True)


def test_llm_api_has_the_whole_snapshot(host: Host, only: Only) -> None:
    there = {name for name in host.file(only("weights")).listdir() if name != "artifact.json" and name != ".cache"}
    assert set(host.file(f"{LLM_API}/weights").listdir()) == there | {"artifact.json"}
    for name in there:
        assert len(inodes(host, f"{only('weights')}/{name}", f"{LLM_API}/weights/{name}")) == 1
