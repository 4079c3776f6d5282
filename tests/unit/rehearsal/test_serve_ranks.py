# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal's trtllm-serve with worker processes over MPI, as upstream starts them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ansible_collections.tritonops.trtllm.tests.unit.support.mpi import needs_mpi
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import (
    PROJECT,
    SMOLLM2,
    Serve,
    needs_model,
    serve,
)

TINY_MIXTRAL = PROJECT / "rehearsal/mixtral/tiny-mixtral"

pytestmark = needs_mpi


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PROJECT / f"rehearsal/reference/{name}.json").read_text(encoding="utf-8"))
    return found


def tokens(server: Serve, prompt: list[int], count: int) -> list[int]:
    body = {"model": "any", "prompt": prompt, "max_tokens": count, "temperature": 0, "detokenize": False}
    answer = server.post("/v1/completions", body).json()
    found: list[int] = answer["choices"][0]["token_ids"]
    return found


def workers(server: Serve) -> list[int]:
    return server.children()[1:]


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with serve(tmp_path_factory.mktemp("serve"), TINY_MIXTRAL, "--tp_size", "4", "--ep_size", "2", mpi=True) as server:
        yield server


@pytest.mark.long
def test_a_mixture_of_experts_on_four_ranks_answers_like_transformers(mixtral: Serve) -> None:
    reference = recorded("tiny-mixtral")
    assert len(workers(mixtral)) == 4
    for completion in reference["completions"].values():
        expected = [token for token in completion["output_ids"] if token != 2]
        assert tokens(mixtral, completion["input_ids"], reference["max_new_tokens"]) == expected


def test_a_model_without_a_chat_template_only_completes(mixtral: Serve) -> None:
    answer = mixtral.post("/v1/chat/completions", {"model": "any", "messages": [{"role": "user", "content": "hi"}]})
    assert answer.status_code == 400 and "tokenizer.chat_template is not set" in answer.json()["message"]
    assert mixtral.get("/health_generate").status_code == 500


@pytest.mark.long
@needs_model
def test_a_dense_model_on_three_ranks_answers_like_transformers(tmp_path: Path) -> None:
    completion = recorded("smollm2-135m-instruct")["completions"]["tutorial"]
    with serve(tmp_path, SMOLLM2, "--tp_size", "3", mpi=True) as server:
        assert tokens(server, completion["input_ids"], 8) == completion["output_ids"][:8]


def hangs(server: Serve) -> bool:
    try:
        server_answers = requests.post(
            f"{server.url}/v1/completions", json={"model": "any", "prompt": "Anna", "max_tokens": 2}, timeout=2
        )
    except requests.Timeout:
        return True
    return not server_answers.ok


@pytest.mark.long
@pytest.mark.parametrize("with_signal", [pytest.param(signal.SIGKILL, marks=pytest.mark.long), signal.SIGSTOP])
def test_a_lost_worker_leaves_a_server_that_is_up_but_cannot_generate(tmp_path: Path, with_signal: int) -> None:
    with serve(tmp_path, TINY_MIXTRAL, "--tp_size", "2", mpi=True) as server:
        victim = workers(server)[-1]
        os.kill(victim, with_signal)
        time.sleep(1)
        assert hangs(server)
        assert server.get("/health").status_code == 200
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def test_all_processes_end_with_the_server(tmp_path: Path) -> None:
    with serve(tmp_path, TINY_MIXTRAL, mpi=True) as server:
        [worker] = workers(server)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=60)
        deadline = time.monotonic() + 60
        while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not Path(f"/proc/{worker}").exists()


@pytest.mark.long
def test_a_worker_that_cannot_load_ends_the_start(tmp_path: Path) -> None:
    broken = shutil.copytree(TINY_MIXTRAL, tmp_path / "broken")
    next(broken.glob("model-*.safetensors")).unlink()
    with pytest.raises(AssertionError, match="Executor worker returned error"), serve(tmp_path, broken, mpi=True):
        pass
