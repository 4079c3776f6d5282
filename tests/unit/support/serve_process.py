# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the rehearsal's trtllm-serve as a process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from ansible_collections.tritonops.trtllm.tests.unit.support.mpi import MPI
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port

if TYPE_CHECKING:
    from openai import OpenAI

PROJECT = Path(__file__).parents[3]
SMOLLM2 = PROJECT / ".cache/rehearsal/models/HuggingFaceTB/SmolLM2-135M-Instruct"
# The server is only installed beside the older ansible-core. On CI, a model that is missing is an error.
needs_server = pytest.mark.skipif(
    not importlib.util.find_spec("uvicorn"), reason="the server's packages are not installed"
)
needs_model = pytest.mark.skipif(
    not SMOLLM2.is_dir() and not os.environ.get("CI"), reason="the rehearsal's model is not made: rehearsal/bin/model"
)
# One rank in the server's own process, without MPI: upstream's switch.
ALONE = {"TLLM_WORKER_USE_SINGLE_PROCESS": "1"}
START_SECONDS = 120


@dataclass
class Serve:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=60)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10)

    def post(self, path: str, body: object) -> requests.Response:
        if isinstance(body, str):
            return requests.post(self.url + path, data=body, timeout=60)
        return requests.post(self.url + path, json=body, timeout=60)

    def children(self) -> list[int]:
        """The processes below this one, workers last."""
        found, parents = [], [self.process.pid]
        while parents:
            pid = parents.pop(0)
            with contextlib.suppress(OSError):
                children = [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
                found += children
                parents += children
        return found

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(requests.RequestException):
                # the address is bound before the model is loaded, so a connection may wait
                if requests.get(f"{self.url}/health", timeout=1).ok:
                    return
        raise AssertionError(self.log.read_text(encoding="utf-8"))

    def stop(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


def environment(version: str) -> dict[str, str]:
    path = os.pathsep.join([str(PROJECT / "rehearsal/backend"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "TRTLLM_VERSION": version, "OPENBLAS_NUM_THREADS": "1"}


@contextlib.contextmanager
def serve(folder: Path, model: Path, *options: str, version: str = "1.2.1", mpi: bool = False) -> Iterator[Serve]:
    """The server, ready; `folder` gets its log."""
    port, log = free_port(), folder / "serve.log"
    command = [sys.executable, "-m", "tensorrt_llm.serve", str(model), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *options],
            env={**environment(version), **(MPI if mpi else ALONE)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Serve(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
