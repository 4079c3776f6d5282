# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Triton's own clients and its load generator, unmodified, against the models of the rehearsal's backend.

Triton runs in a container of the backend image, without a host; the model is the tiny Mixtral.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
from filled_templates import BACKEND, MODELS, filled
from tritonclient import grpc, http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

pytestmark = pytest.mark.long

PROJECT = Path(__file__).resolve().parents[2]
MODEL = PROJECT / "rehearsal/mixtral/tiny-mixtral"
COMPLETIONS = json.loads((PROJECT / "rehearsal/reference/tiny-mixtral.json").read_text(encoding="utf-8"))["completions"]
PROMPT, OTHER = (COMPLETIONS[name]["prompt"] for name in ("short", "last"))
TEXT, ENDED = (COMPLETIONS[name]["text"] for name in ("short", "last"))
START = """
set -e
python3 /convert_checkpoint.py --model_dir /model --output_dir /tmp/checkpoint
trtllm-build --checkpoint_dir /tmp/checkpoint --output_dir /tmp/engine --gemm_plugin float16 --max_batch_size 4
exec tritonserver --model-repository /repository --backend-directory /opt/tritonserver/backends
"""
# Servers on this machine are not behind its proxy.
direct = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    ports: dict[int, str]

    def url(self, port: int) -> str:
        return f"127.0.0.1:{self.ports[port]}"

    def get(self, port: int, path: str) -> str:
        with direct.open(f"http://{self.url(port)}/{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def generate(self, model: str, **fields: Any) -> Any:
        url = f"http://{self.url(8000)}/v2/models/{model}/generate"
        with direct.open(url, json.dumps(fields).encode(), timeout=60) as answer:
            return json.load(answer)

    def infer(self, client: Any, model: str, arrays: Mapping[str, np.ndarray], outputs: tuple[str, ...] = ()) -> Any:
        """One request over HTTP or gRPC; `client` is the module of either."""
        with client.InferenceServerClient(self.url(8000 if client is http else 8001)) as connection:
            return connection.infer(model, tensors(client, arrays), outputs=requested(client, outputs))

    def stream(self, model: str, arrays: Mapping[str, np.ndarray], outputs: tuple[str, ...] = ()) -> list[Any]:
        """All responses to a request, as upstream's client receives them."""
        found: queue.Queue[Any] = queue.Queue()
        with grpc.InferenceServerClient(self.url(8001)) as connection:
            connection.start_stream(partial(lambda result, error: found.put(error or result)))
            connection.async_stream_infer(model, tensors(grpc, arrays), outputs=requested(grpc, outputs))
            connection.stop_stream()
        return list(found.queue)


def tensors(client: Any, arrays: Mapping[str, np.ndarray]) -> list[Any]:
    made = []
    for name, array in arrays.items():
        made.append(client.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        made[-1].set_data_from_numpy(array)
    return made


def requested(client: Any, outputs: tuple[str, ...]) -> Any:
    return [client.InferRequestedOutput(name) for name in outputs] or None


def question(*prompts: str, max_tokens: int = 8, stream: bool = False) -> dict[str, np.ndarray]:
    def column(value: Any, kind: Any) -> np.ndarray:
        return np.full((len(prompts), 1), value, kind)

    text = np.array([[prompt.encode()] for prompt in prompts], np.object_)
    return {"text_input": text, "max_tokens": column(max_tokens, np.int32), "stream": column(stream, np.bool_)}


def shapes(result: Any) -> dict[str, tuple[int, ...]]:
    response = result.get_response()
    outputs = response["outputs"] if isinstance(response, dict) else response.outputs
    names = [output["name"] if isinstance(output, dict) else output.name for output in outputs]
    return {name: result.as_numpy(name).shape for name in names}


def text_of(result: Any) -> str:
    [text] = result.as_numpy("text_output")
    return str(text.decode())


def write_repository(folder: Path, version: str, decoupled: bool) -> None:
    for name in MODELS:
        config = filled(version, name, decoupled=decoupled, engine="/tmp/engine", tokenizer="/model")
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config, encoding="utf-8")
        code = BACKEND / "all_models/models" / name / "1/model.py"
        # the backend has the code of this model
        if code.is_file() and name != "tensorrt_llm":
            shutil.copy(code, folder / name / "1")


def write_llmapi(folder: Path, decoupled: bool) -> None:
    shutil.copytree(BACKEND / "all_models/llmapi/tensorrt_llm", folder / "tensorrt_llm")
    settings = f"model: /model\ntriton_config: {{max_batch_size: 0, decoupled: {str(decoupled).lower()}}}\n"
    (folder / "tensorrt_llm/1/model.yaml").write_text(settings, encoding="utf-8")


def start(folder: Path, version: str) -> tuple[str, Server]:
    mounts = {folder: "/repository", MODEL: "/model", BACKEND / "bin/convert_checkpoint.py": "/convert_checkpoint.py"}
    command = ["docker", "run", "--rm", "--detach", "--shm-size", "512m"]
    for port in (8000, 8001, 8002):
        command += ["--publish", f"127.0.0.1::{port}"]
    for source, target in mounts.items():
        command += ["--volume", f"{source}:{target}:ro"]
    command += [f"tritonops/rehearsal-backend:{version}", "sh", "-c", START]
    container = subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip()
    listed = subprocess.run(["docker", "port", container], text=True, capture_output=True, check=True).stdout
    ports = {
        int(inner): outer for inner, outer in re.findall(r"^(\d+)/tcp -> 127\.0\.0\.1:(\d+)$", listed, re.MULTILINE)
    }
    return container, Server(ports)


def wait_until_ready(container: str, server: Server) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            server.get(8000, "v2/health/ready")
            return
        except OSError:
            if time.monotonic() > deadline:
                shown = subprocess.run(["docker", "logs", container], text=True, capture_output=True, check=False)
                raise AssertionError(f"Triton is not ready:\n{shown.stdout[-5000:]}{shown.stderr[-5000:]}") from None
            time.sleep(0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    subprocess.run([PROJECT / "rehearsal/bin/images", "backend", "backend-0.9.0", "load"], check=True)
    running: dict[Any, tuple[str, Server]] = {}

    def serve(version: str, decoupled: bool, llmapi: bool = False) -> Server:
        key = (version, decoupled, llmapi)
        if key not in running:
            folder = tmp_path_factory.mktemp("repository")
            folder.chmod(0o755)
            if llmapi:
                write_llmapi(folder, decoupled)
            else:
                write_repository(folder, version, decoupled)
            running[key] = start(folder, version)
            wait_until_ready(*running[key])
        return running[key][1]

    yield serve
    subprocess.run(["docker", "stop", "--time", "1", *(one for one, _server in running.values())], check=True)


@pytest.mark.parametrize("client", [http, grpc])
@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
def test_a_plain_request(server: Callable[..., Server], client: Any, model: str) -> None:
    plain = server("1.2.1", decoupled=False)
    result = plain.infer(client, model, question(PROMPT))
    assert shapes(result) == {"text_output": (1,)}
    assert (PROMPT + TEXT).startswith(text_of(result)) and text_of(result) != PROMPT
    asked = {**question(PROMPT), "return_log_probs": np.array([[True]])}
    result = plain.infer(client, model, asked, ("text_output", "cum_log_probs", "output_log_probs"))
    assert shapes(result) == {"text_output": (1,), "cum_log_probs": (1, 1), "output_log_probs": (1, 1, 8)}


@pytest.mark.parametrize("client", [http, grpc])
def test_the_steps_of_the_ensemble(server: Callable[..., Server], client: Any) -> None:
    plain = server("1.2.1", decoupled=False)
    prepared = plain.infer(
        client,
        "preprocessing",
        {
            "QUERY": np.array([[PROMPT.encode()], [OTHER.encode()]], np.object_),
            "REQUEST_OUTPUT_LEN": np.full((2, 1), 4, np.int32),
        },
    )
    width = COMPLETIONS["last"]["input_ids"]
    assert prepared.as_numpy("INPUT_ID").shape == (2, len(width))
    assert prepared.as_numpy("INPUT_ID")[1].tolist() == width
    ids = np.array([[width, width]], np.int32)
    texts = plain.infer(
        client, "postprocessing", {"TOKENS_BATCH": ids, "SEQUENCE_LENGTH": np.full((1, 2), 6, np.int32)}
    )
    assert shapes(texts) == {"OUTPUT": (2,)}


def test_a_stream_and_its_end(server: Callable[..., Server]) -> None:
    decoupled = server("1.2.1", decoupled=True)
    events = decoupled.stream("ensemble", question(OTHER, max_tokens=50, stream=True))
    assert {tuple(shapes(event).items()) for event in events} == {(("text_output", (1,)),)}
    assert "".join(map(text_of, events)).strip() == ENDED.strip()
    events = decoupled.stream("tensorrt_llm_bls", question(OTHER, max_tokens=50, stream=True))
    assert text_of(events[-1]).strip() == ENDED.strip()


@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm_bls"])
def test_a_batch(server: Callable[..., Server], model: str) -> None:
    decoupled = server("1.2.1", decoupled=True)
    results = decoupled.stream(model, question(PROMPT, OTHER), ("text_output", "batch_index"))
    texts = {int(result.as_numpy("batch_index")[0, 0]): text_of(result) for result in results}
    alone = [decoupled.stream(model, question(prompt)) for prompt in (PROMPT, OTHER)]
    assert texts == {row: text_of(result) for row, [result] in enumerate(alone)}


def test_several_sequences_of_a_prompt(server: Callable[..., Server]) -> None:
    decoupled = server("1.2.1", decoupled=True)
    asked = {**question(PROMPT), "num_return_sequences": np.array([[3]], np.int32)}
    results = decoupled.stream("ensemble", asked, ("text_output", "sequence_index"))
    assert sorted(int(result.as_numpy("sequence_index")[0, 0]) for result in results) == [0, 1, 2]
    # without sampling parameters they are the same
    assert {text_of(result) for result in results} == {text_of(*decoupled.stream("ensemble", question(PROMPT)))}


def test_errors_over_http_and_grpc(server: Callable[..., Server]) -> None:
    plain, decoupled = server("1.2.1", decoupled=False), server("1.2.1", decoupled=True)
    for client in (http, grpc):
        with pytest.raises(
            InferenceServerException, match="Streaming is only supported if model is deployed using dec"
        ):
            plain.infer(client, "ensemble", question(PROMPT, stream=True))
        with pytest.raises(InferenceServerException, match="doesn't support models with decoupled transaction policy"):
            decoupled.infer(client, "ensemble", question(PROMPT))
    with pytest.raises(
        InferenceServerException, match="Batch size > 1 requires the tensorrt_llm backend to be using dec"
    ):
        plain.infer(grpc, "ensemble", question(PROMPT, OTHER))
    [error] = decoupled.stream("tensorrt_llm_bls", question(PROMPT, max_tokens=0))
    assert "RequestValidationError: max_tokens must be a single value > 0" in str(error)


def test_the_generate_endpoint_of_both_versions(server: Callable[..., Server]) -> None:
    """Apart from the texts, the answers are those in upstream's documentation."""
    fields = {"text_input": PROMPT, "max_tokens": 5, "bad_words": "", "stop_words": ""}
    always = {"model_name", "model_version", "sequence_end", "sequence_id", "sequence_start", "text_output"}
    assert set(server("1.2.1", decoupled=True).generate("ensemble", **fields)) == always
    old = server("0.9.0", decoupled=True).generate("ensemble", **fields)
    assert set(old) == always | {"context_logits", "cum_log_probs", "generation_logits", "output_log_probs"}
    assert (old["cum_log_probs"], old["context_logits"], old["output_log_probs"]) == (0, 0, [0] * 5)


def test_the_old_version_over_grpc(server: Callable[..., Server]) -> None:
    old = server("0.9.0", decoupled=True)
    [result] = old.stream("ensemble", question(PROMPT))
    expected = {"cum_log_probs": (1, 1), "output_log_probs": (1, 1, 8), "context_logits": (1, 1, 1)}
    assert shapes(result) == {"text_output": (1,), **expected, "generation_logits": (1, 1, 1, 1)}
    [error] = old.stream("ensemble", question(PROMPT, OTHER))
    assert "Inflight batching backend expects requests with batch size of 1." in str(error)


def test_the_llm_api(server: Callable[..., Server]) -> None:
    fields = {"text_input": PROMPT, "sampling_param_max_tokens": 5, "sampling_param_return_perf_metrics": True}
    served = server("1.2.1", decoupled=True, llmapi=True)
    answer = served.generate("tensorrt_llm", **fields)
    assert (PROMPT + TEXT).startswith(answer["text_output"])
    # numbers are strings, although the configuration says otherwise
    assert answer["acceptance_rate"] == "0.0" and int(answer["arrival_time_ns"]) > 0
    arrays = {"text_input": np.array([PROMPT.encode()], np.object_), "streaming": np.array([True])}
    events = served.stream("tensorrt_llm", {**arrays, "sampling_param_max_tokens": np.array([3], np.int32)})
    assert [shapes(event) for event in events] == [{"text_output": (1,)}] * 3


@pytest.mark.parametrize("client", [http, grpc])
def test_a_plain_request_to_the_llm_api(server: Callable[..., Server], client: Any) -> None:
    plain = server("1.2.1", decoupled=False, llmapi=True)
    arrays = {"text_input": np.array([PROMPT.encode()], np.object_), "return_finish_reason": np.array([True])}
    result = plain.infer(client, "tensorrt_llm", {**arrays, "sampling_param_max_tokens": np.array([3], np.int32)})
    assert shapes(result) == {"text_output": (1,), "finish_reason": (1,)}
    assert result.as_numpy("finish_reason").tolist() == [b"length"]


@pytest.mark.parametrize(("version", "families"), [("0.9.0", 5), ("1.2.1", 8)])
def test_the_metrics_of_the_backend(server: Callable[..., Server], version: str, families: int) -> None:
    """tests/unit/rehearsal/test_models.py has their names."""
    served = server(version, decoupled=True)
    served.stream("ensemble", question(PROMPT))
    time.sleep(0.5)
    lines = served.get(8002, "metrics").splitlines()
    assert len([line for line in lines if re.match("# TYPE nv_(trt_)?llm_", line)]) == families
    values = dict(re.findall(r'^nv_trt_llm_\w+{.*_type="(\w+)".*} (\d+)$', "\n".join(lines), re.MULTILINE))
    assert int(values["iteration_counter"]) > 8 and values["active"] == "0" and values["tokens_per"] != "0"


@pytest.mark.parametrize(
    ("version", "model", "options"),
    [
        ("0.9.0", "ensemble", ("-i", "grpc", "--streaming", "--async")),
        ("1.2.1", "ensemble", ("-i", "grpc", "--streaming", "--async")),
        ("1.2.1", "tensorrt_llm_bls", ("-i", "http")),
    ],
)
def test_the_load_generator(
    server: Callable[..., Server], tmp_path: Path, version: str, model: str, options: tuple[str, ...]
) -> None:
    streaming = "--streaming" in options
    served = server(version, decoupled=streaming)
    rows = [{"text_input": [prompt], "max_tokens": [6], "stream": [streaming]} for prompt in (PROMPT, OTHER)]
    (tmp_path / "input.json").write_text(json.dumps({"data": rows}), encoding="utf-8")
    command = ["docker", "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"]
    command += ["--volume", f"{tmp_path}:/work", "--workdir", "/work", "tritonops/rehearsal-load:latest"]
    command += ["perf_analyzer", "-m", model, *options, "-u", served.url(8001 if "grpc" in options else 8000)]
    command += ["--input-data", "input.json", "--shape", "text_input:1", "--shape", "max_tokens:1"]
    command += ["--concurrency-range", "2", "--request-count", "6", "--profile-export-file", "found.json"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    [experiment] = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["experiments"]
    assert [len(request["response_timestamps"]) for request in experiment["requests"]] == [6 if streaming else 1] * 6
