# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rehearsed site serves, how its container is locked down, and that further runs change nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from site_under_test import HOST, MODELS, PROJECT, STATE, Site
from tokenizers import Tokenizer

NEWER_CORE = PROJECT / ".venv-2.21"
URL = f"{MODELS}/ensemble"
QUESTION = {"text_input": "What is cloud computing?", "max_tokens": 64, "bad_words": "", "stop_words": ""}


def ask(**changes: Any) -> dict[str, Any]:
    answer = requests.post(f"{URL}/generate", json={**QUESTION, **changes}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_tutorials_curl_command_gets_the_same_tokens_as_transformers(reference: dict[str, Any]) -> None:
    command = ["curl", "--silent", "-X", "POST", f"{URL}/generate".removeprefix("http://"), "-d", json.dumps(QUESTION)]
    text = json.loads(subprocess.run(command, text=True, capture_output=True, check=True).stdout)["text_output"]
    tokenizer = Tokenizer.from_file(str(STATE / "models/HuggingFaceTB/SmolLM2-135M-Instruct/tokenizer.json"))
    assert tokenizer.encode(text).ids == reference["input_ids"] + reference["output_ids"]


def test_the_site_did_what_the_plan_said(site: Site, tmp_path: Path) -> None:
    plan = site.plan(tmp_path / "plan.json")
    assert {step["action"] for step in plan["steps"]} == {"reuse", "keep"}
    assert plan["budget"]["disk_missing"] == 0
    weights, checkpoint, engine = (
        site.json(f"{plan['artifacts'][kind]['dest']}/artifact.json") for kind in ("weights", "checkpoint", "engine")
    )
    assert weights["inputs"]["repository"] == plan["model_weights"]["snapshots"][0]["repository"]
    cut = {name: plan["engine_build"]["checkpoint"][name] for name in ("converter", "dtype", "tp_size", "pp_size")}
    assert cut["converter"] == "native" and cut.items() <= checkpoint["inputs"].items()
    assert engine["command"] == plan["engine_build"]["engine"]["command"]
    container = site.container()
    assert site.command(container) == plan["triton_service"]["container"]["command"]
    assert container["Image"] == plan["trtllm_backend"]["image"]["digest"]
    assert container["Mounts"][0]["Source"] == plan["triton_service"]["release_dir"]


@pytest.mark.parametrize("path", ["systemsharedmemory/status", "cudasharedmemory/status", "logging", "trace/setting"])
def test_apis_that_nobody_needs_are_closed(path: str) -> None:
    answer = requests.get(f"{MODELS.rpartition('/')[0]}/{path}", timeout=30)
    assert answer.status_code == 403 and "This API is restricted" in answer.json()["error"]


def test_models_cannot_be_loaded_or_unloaded() -> None:
    index = f"{MODELS.rpartition('/')[0]}/repository"
    assert requests.post(f"{index}/index", json={}, timeout=30).status_code == 200
    for action in ("load", "unload"):
        answer = requests.post(f"{index}/models/tensorrt_llm/{action}", json={}, timeout=30)
        assert answer.status_code == 503 and "not allowed" in answer.json()["error"]


def test_the_server_uses_the_planned_parameters(site: Site, tmp_path: Path) -> None:
    planned = site.plan(tmp_path / "plan.json")["model_repo"]["release"]["parameters"]
    configs = {model: requests.get(f"{MODELS}/{model}/config", timeout=30).json() for model in planned}
    for model, values in planned.items():
        assert configs[model]["max_batch_size"] == int(values["triton_max_batch_size"])
    engine, values = configs["tensorrt_llm"], planned["tensorrt_llm"]
    assert engine["backend"] == values["triton_backend"]
    assert str(engine["model_transaction_policy"]["decoupled"]) == values["decoupled_mode"]
    for key, placeholder in (
        ("gpt_model_type", "batching_strategy"),
        ("gpt_model_path", "engine_dir"),
        ("kv_cache_free_gpu_mem_fraction", "kv_cache_free_gpu_mem_fraction"),
    ):
        assert engine["parameters"][key]["string_value"] == values[placeholder]


def test_streaming_gives_the_same_text_in_several_events(reference: dict[str, Any]) -> None:
    with requests.post(f"{URL}/generate_stream", json={**QUESTION, "stream": True}, stream=True, timeout=120) as answer:
        events = [json.loads(line.removeprefix(b"data:")) for line in answer.iter_lines() if line.startswith(b"data:")]
    assert len(events) > 1
    assert "".join(event["text_output"] for event in events).strip() == reference["text"].strip()


def test_concurrent_requests_do_not_mix() -> None:
    # With these prompts the best token is never close to the second one: batched rows may be rounded differently.
    prompts = ("The sea is", "The capital of France is")
    alone = [ask(text_input=prompt, max_tokens=8)["text_output"] for prompt in prompts]
    processes = [
        subprocess.Popen(
            [
                "curl",
                "--silent",
                f"{URL}/generate",
                "-d",
                json.dumps({**QUESTION, "text_input": prompt, "max_tokens": 8}),
            ],
            stdout=subprocess.PIPE,
        )
        for prompt in prompts
    ]
    assert [json.loads(process.communicate()[0])["text_output"] for process in processes] == alone


def test_triton_exports_the_percentiles_that_alerts_read(site: Site) -> None:
    ask(max_tokens=1)
    read = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8002/metrics').read().decode())"
    metrics = site.read("python3", "-c", read)
    for model in ("ensemble", "tensorrt_llm"):
        assert f'nv_inference_queue_summary_us{{model="{model}",version="1",quantile="0.95"}} ' in metrics


def test_nothing_listens_beyond_loopback(site: Site) -> None:
    listening = [line.split()[3] for line in site.read("ss", "-ltnH").splitlines()]
    assert any(address.endswith(":8000") for address in listening)
    assert [address for address in listening if not address.startswith(("127.", "[::1]"))] == []


def test_the_container_is_locked_down(site: Site) -> None:
    container = site.container()
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and "no-new-privileges" in host["SecurityOpt"]
    assert host["ShmSize"] == 2 << 30
    assert {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]} == {"memlock": -1, "stack": 67108864}
    assert [mount["RW"] for mount in container["Mounts"]] == [False]
    assert container["Config"]["User"].split(":")[0] not in ("", "0")
    assert container["Config"]["Image"].startswith("sha256:")


def test_the_unit_runs_the_container_in_the_foreground(site: Site) -> None:
    shown = site.read("systemctl", "show", site.unit, "-p", "ActiveState,UnitFileState,Restart,NRestarts")
    assert dict(line.split("=") for line in shown.split()) == {
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "Restart": "always",
        "NRestarts": "0",
    }


@pytest.mark.parametrize("kind", ["weights", "checkpoint", "engine", "backend"])
def test_an_artifact_records_its_files(site: Site, kind: str) -> None:
    folder = site.read("sh", "-c", f"ls -d {site.root}/{kind}/????????????????").strip()
    record = site.json(f"{folder}/artifact.json")
    assert record["key"] == folder.rsplit("/", maxsplit=1)[-1] and record["files"]
    name, entry = min(record["files"].items(), key=lambda item: item[1]["size"])
    content = subprocess.run(
        ["docker", "exec", HOST, "cat", f"{folder}/{name}"], capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_the_engine_uses_its_disk_space_once(site: Site) -> None:
    inodes = site.read(
        "sh",
        "-c",
        f"stat --format %i {site.root}/engine/*/rank0.engine "
        f"{site.deployment}/current/model_repository/tensorrt_llm/1/rank0.engine",
    ).split()
    assert len(set(inodes)) == 1


def test_a_second_run_changes_nothing_and_predicts_nothing(site: Site) -> None:
    for options in ((), ("--check", "--diff")):
        played = site.play("rehearse", *options)
        assert played.returncode == 0
        assert played.changed == 0, played.output[-3000:]


@pytest.mark.long
@pytest.mark.skipif(not NEWER_CORE.exists(), reason="there is no Python 3.12 for the newer ansible-core")
def test_the_newer_ansible_core_changes_nothing_either(site: Site) -> None:
    played = site.play("site", venv=NEWER_CORE)
    assert played.returncode == 0
    assert played.changed == 0, played.output[-3000:]


def test_verify_proves_the_served_release(site: Site) -> None:
    played = site.play("verify")
    assert played.returncode == 0 and played.changed == 0
    assert "cloud computing" in played.output.lower()


@pytest.mark.long
def test_the_service_restarts_after_a_crash_of_the_server(site: Site) -> None:
    site.run("docker", "kill", "--signal", "KILL", "trtllm-default")
    site.wait(180, lambda: "NRestarts=1" in site.read("systemctl", "show", site.unit, "-p", "NRestarts"))
    assert site.play("verify").returncode == 0


@pytest.mark.long
def test_the_service_runs_after_a_reboot(site: Site) -> None:
    subprocess.run(["docker", "restart", HOST], check=True, capture_output=True)
    site.wait(180, lambda: site.run("systemctl", "is-active", "docker.service", check=False).returncode == 0)
    assert site.play("verify").returncode == 0
    assert "cloud" in ask(max_tokens=16)["text_output"].lower()
