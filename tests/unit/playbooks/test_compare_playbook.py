# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""compare.yml with two versions of the rehearsal's trtllm-serve, and a stand-in for Triton that computes the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.tests.unit.support.openai_stub import OpenAiStub
from ansible_collections.tritonops.trtllm.tests.unit.support.playbook_run import Run
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    SMOLLM2,
    Serve,
    needs_model,
    needs_server,
    serve,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import TritonStub, as_events, as_json

PROMPTS = ["The capital of France is", "Water boils at 100 degrees Celsius. It freezes at"]
NO_TIMES = {"first_token_ratio": 1000, "latency_ratio": 1000, "throughput_ratio": 0}
OF_ENGINE = {"model": "ensemble", "max_tokens_field": "max_tokens", "stream_model": "tensorrt_llm_bls"}


class Engine(TritonStub):
    """Triton with an engine that has the tokens of a trtllm-serve. It returns no space at the beginning."""

    def __init__(self, server: Serve) -> None:
        super().__init__()
        self.server = server
        self.first = ""
        inputs = ("text_input", "max_tokens", "stream", "top_k")
        metadata = as_json({"name": "tensorrt_llm_bls", "inputs": [{"name": name} for name in inputs]})
        self.routes["GET /v2/models/tensorrt_llm_bls"] = metadata
        self.routes["POST /v2/models/tensorrt_llm_bls/generate_stream"] = self.generate

    def generate(self, asked: Any) -> dict[str, Any]:
        assert asked["top_k"] == 1 and asked["stream"] is True
        stream = self.server.client().completions.create(
            model="m", prompt=asked["text_input"], max_tokens=asked["max_tokens"], temperature=0, stream=True
        )
        texts = [chunk.choices[0].text for chunk in stream if chunk.choices]
        return as_events(
            {"text_output": self.first + texts[0].lstrip()}, *({"text_output": text} for text in texts[1:])
        )


def record(root: Path, name: str, url: str, api: str, endpoint: dict[str, Any], proof: dict[str, Any]) -> None:
    """A release of the deployment, served at the URL."""
    folder = root / "deployments" / name / "releases" / f"{name}-1"
    folder.mkdir(parents=True)
    address = {"address": "127.0.0.1", "http_port": int(url.rsplit(":", 1)[1])}
    service = {"api": api, "endpoint": {**address, **endpoint}, "proof": proof}
    (folder / "release.json").write_text(json.dumps({"id": folder.name, "service": service}))
    (folder.parents[1] / "current").symlink_to(folder)


def serving(root: Path, name: str, url: str) -> None:
    proof = {"chat": True, "reasoning": False, "max_tokens": 64, "max_seq_len": 512}
    record(root, name, url, "openai", {"model": SMOLLM2.name}, proof)


def compare(folder: Path, old: str, new: str, inventory: str = "localhost,", **variables: Any) -> Run:
    roots = {} if "trtllm_hosts" in variables else {"trtllm_hosts": "localhost", "trtllm_root": str(folder / "data")}
    return Run(
        folder,
        *("-i", inventory, "-v"),
        playbook="compare",
        **roots,
        trtllm_compare_old=old,
        trtllm_compare_new=new,
        ansible_connection="local",
        ansible_become=False,
        ansible_python_interpreter=sys.executable,
        host_python_executable=sys.executable,
        **variables,
    )


@pytest.fixture(name="server", scope="module")
def fixture_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    options = ("--max_seq_len", "512", "--max_batch_size", "2")
    with serve(tmp_path_factory.mktemp("serve"), SMOLLM2, *options, version="1.2.1") as server:
        yield server


@pytest.mark.long
@needs_server
@needs_model
def test_an_engine_and_serve_and_then_a_later_version(tmp_path: Path, server: Serve) -> None:
    report = tmp_path / "report.json"
    (tmp_path / "prompts.yml").write_text(json.dumps(PROMPTS))
    asked = {
        "trtllm_compare_prompts": "prompts.yml",
        "trtllm_compare_max_tokens": 12,
        "trtllm_compare_limits": {**NO_TIMES, "same_share": 1},
        "trtllm_compare_report": "report.json",
    }
    serving(tmp_path / "data", "serve", server.url)
    with Engine(server) as engine:
        record(tmp_path / "data", "engine", engine.url, "triton", {}, OF_ENGINE)
        run = compare(tmp_path, "engine", "serve@localhost", **asked)
        assert run.rc == 0, run.said
        found = json.loads(report.read_text())
        assert [row["prompt"] for row in found["prompts"]] == PROMPTS
        assert [row["same"] for row in found["prompts"]] == [True, True] and found["missed"] == []
        assert [(found[side]["api"], found[side]["release"]) for side in ("old", "new")] == [
            ("triton", "engine-1"),
            ("openai", "serve-1"),
        ]
        assert found["prompts"][0]["unit"] == "token" and "Paris" in found["prompts"][0]["new"]
        assert found["figures"]["throughput"]["ratio"] > 0 and report.stat().st_mode & 0o777 == 0o600

        engine.first = "So "
        run = compare(tmp_path, "engine", "serve", **asked)
        said = " ".join(run.said.split())
        assert run.rc != 0 and "serve misses 1 of the limits" in said, run.said
        assert "- the first 16 tokens are the same for 0 of 2 prompts (0), but same_share is 1" in said
        assert "1 differs at token 1 'The capital of France is'" in said and "old: 'So " in said

    # What was recorded of a deployment that is gone can be compared, too.
    options = ("--max_seq_len", "512", "--max_batch_size", "2")
    with serve(tmp_path, SMOLLM2, *options, version="1.3.0rc29") as later:
        serving(tmp_path / "data", "later", later.url)
        again = {"trtllm_compare_limits": NO_TIMES, "trtllm_compare_report": str(tmp_path / "again.json")}
        run = compare(tmp_path, "report.json", "later", **again)
        assert run.rc == 0, run.said
        found = json.loads((tmp_path / "again.json").read_text())
        assert [row["same"] for row in found["prompts"]] == [True, True]
        assert (found["old"]["release"], found["new"]["release"]) == ("serve-1", "later-1")


@pytest.mark.long
def test_two_hosts_of_several(tmp_path: Path) -> None:
    """Each has a deployment `default`, with another API; a third host has none."""
    hosts = {name: {"trtllm_root": str(tmp_path / name)} for name in ("a", "b", "c")}
    (tmp_path / "hosts.json").write_text(json.dumps({"trtllm": {"hosts": hosts}}))
    words = [" word0", " word1"]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    events = as_events(*({"choices": [{"text": word}]} for word in words), {"choices": [], "usage": usage})
    with TritonStub() as old, OpenAiStub() as new:
        old.routes["POST /v2/models/ensemble/generate"] = as_json({"text_output": "".join(words)})
        new.routes["POST /v1/completions"] = {**events, "parts": [*events["parts"], "data: [DONE]\n\n"]}
        record(tmp_path / "a", "default", old.url, "triton", {}, {**OF_ENGINE, "stream_model": None})
        serving(tmp_path / "b", "default", new.url)
        asked = {"inventory": "hosts.json", "trtllm_hosts": "all", "trtllm_compare_limits": NO_TIMES}
        run = compare(tmp_path, "default@a", "default@b", **asked)
        assert run.rc == 0, run.said
        said = " ".join(run.said.split())
        assert "old: default on a: default-1 (triton)" in said and "new: default on b: default-1 (openai)" in said
        assert "1 same 'What is cloud computing?'" in said and "s to the first token -" in said
        assert prompts(old, "text_input") == prompts(new, "prompt") and len(prompts(new, "prompt")) > 5
    run = compare(tmp_path, "default", "default@b", **asked)
    assert run.rc != 0 and "default is on a and b: say on which, as in default@a" in " ".join(run.said.split())


def prompts(stub: TritonStub, field: str) -> set[str]:
    return {body[field] for route, body in stub.requests if route.startswith("POST")}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"new": "sreve"}, "sreve does not exist (did you mean serve?)"),
        ({"new": ""}, "trtllm_compare_new is required: NAME or NAME@HOST of a deployment"),
        ({"trtllm_compare_limits": {"latency": 1}}, "trtllm_compare_limits.latency"),
        ({"trtllm_compare_max_tokens": "many"}, "trtllm_compare_max_tokens"),
        ({"trtllm_compare_prompts": "prompts.yml"}, "prompts.yml must contain a list of texts, in YAML or JSON."),
        ({}, "http://127.0.0.1:1 cannot be reached: Connection refused"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    (tmp_path / "prompts.yml").write_text("prompts: [What is it?]\n")
    serving(tmp_path / "data", "serve", "http://127.0.0.1:1")
    run = compare(tmp_path, **{"old": "serve", "new": "serve", **changes})
    assert run.rc != 0 and says in " ".join(run.said.split()), run.said
