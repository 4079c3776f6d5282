# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real Triton without a container, from the package that the rehearsal's image uses, with the metrics of an engine.

The models have the names of those of the profile engine, and echo a text. `tensorrt_llm` exports the metrics of the
TensorRT-LLM backend, as the rehearsal's backend does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import requests
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import wait_for
from ansible_collections.tritonops.trtllm.tests.unit.support.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
BACKEND = PROJECT / "rehearsal/backend"
FOLDER = PROJECT / ".cache/triton"
VERSION = "1.2.1"
MODELS = ("preprocessing", "tensorrt_llm", "postprocessing", "tensorrt_llm_bls")
# As the plan sets them.
SETTINGS = ("summary_latencies=true", "histogram_latencies=true")
CONFIG = """backend: "python"
input [{ name: "IN" data_type: TYPE_STRING dims: [1] }]
output [{ name: "OUT" data_type: TYPE_STRING dims: [1] }]
"""
MODEL = """import sys

sys.path[:0] = {paths!r}

import triton_python_backend_utils as pb_utils
from trtllm_cpu.metrics import Reporter


class TritonPythonModel:
    def initialize(self, args):
        families = {families!r}
        self.reporter = Reporter(families, {{"model": args["model_name"], "version": "1"}}) if families else None

    def execute(self, requests):
        texts = [pb_utils.get_input_tensor_by_name(request, "IN").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", text)]) for text in texts]
"""


class Triton:
    """A running server, in the form of the fleet's model servers."""

    metrics_path = "/metrics"

    def __init__(self, process: subprocess.Popen[bytes], port: int, metrics_port: int) -> None:
        self.process, self.port, self.metrics_port = process, port, metrics_port
        self.version: str = requests.get(f"http://127.0.0.1:{port}/v2", timeout=30).json()["version"]

    def shutdown(self) -> None:
        """The context that started it stops it."""


@contextlib.contextmanager
def real_triton(folder: Path) -> Iterator[Triton]:
    """It has answered a request to each of its models."""
    port, metrics_port = free_port(), free_port()
    write_models(folder / "models")
    command = [installed() / "bin/tritonserver", f"--model-repository={folder}/models", "--allow-grpc=false"]
    command += [f"--backend-directory={installed()}/backends", f"--http-port={port}", f"--metrics-port={metrics_port}"]
    command += ["--http-address=127.0.0.1", "--metrics-address=127.0.0.1", "--exit-timeout-secs=5"]
    command += [f"--metrics-config={setting}" for setting in SETTINGS]
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{installed()}/lib"}
    with open(folder / "triton.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: process.poll() is not None or is_ready(port), 60)
        assert process.poll() is None, (folder / "triton.log").read_text(encoding="utf-8")
        for name in MODELS:
            url = f"http://127.0.0.1:{port}/v2/models/{name}/generate"
            answer = requests.post(url, json={"IN": "hello"}, timeout=30)
            assert answer.ok and "OUT" in answer.text, answer.text
        yield Triton(process, port, metrics_port)
    finally:
        process.terminate()
        process.wait(30)


def is_ready(port: int) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/v2/health/ready", timeout=2).ok
    return False


def write_models(repository: Path) -> None:
    flags = json.loads((BACKEND / f"trtllm_cpu/flags/{VERSION}.json").read_text(encoding="utf-8"))
    for name in MODELS:
        families = flags["metrics"] if name == "tensorrt_llm" else {}
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(CONFIG, encoding="utf-8")
        # Triton's stub does not read PYTHONPATH, and needs NumPy 1.
        paths = [str(installed() / "packages"), str(BACKEND), sysconfig.get_path("purelib")]
        (repository / name / "1/model.py").write_text(MODEL.format(paths=paths, families=families), encoding="utf-8")


def installed() -> Path:
    """The folder of Triton, which is laid out as the rehearsal's Dockerfile does it."""
    if not FOLDER.exists():
        pins = (BACKEND / "requirements.txt").read_text(encoding="utf-8")
        packages = re.findall(r"^(?:nvidia-pytriton|numpy)==\S+", pins, re.M)
        partial = FOLDER.with_name("triton.partial")
        shutil.rmtree(partial, ignore_errors=True)
        options = ["--no-deps", "--only-binary", ":all:", "--dest", partial]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *options, *packages], check=True)
        for wheel in partial.glob("*.whl"):
            with zipfile.ZipFile(wheel) as package:
                package.extractall(partial)
        server = partial / "pytriton/tritonserver"
        (server / "packages").mkdir()
        for part in partial.glob("numpy*"):
            if part.is_dir():
                shutil.move(part, server / "packages")
        stub = server / f"python_backend_stubs/{sys.version_info[0]}.{sys.version_info[1]}/triton_python_backend_stub"
        shutil.copy(stub, server / "backends/python")
        shutil.move(partial / "nvidia_pytriton.libs", server / "lib")
        for library in (server / "lib").glob("libpython3-*"):
            library.unlink()
        for file in (server / "bin/tritonserver", server / "backends/python" / stub.name):
            file.chmod(0o755)
        shutil.move(server, FOLDER)
        shutil.rmtree(partial)
    return FOLDER
