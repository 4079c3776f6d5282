# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A single model from text to text, which runs tensorrt_llm.LLM() with the arguments in model.yaml."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
import yaml
from tensorrt_llm import LLM, RequestOutput, SamplingParams
from trtllm_cpu.generation import RequestError

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
SAMPLING = (
    "best_of",
    "temperature",
    "top_k",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "max_tokens",
    "seed",
    "exclude_input_from_output",
)
# Outputs that a request must ask for. All are strings, also those that are numbers in the configuration.
EXTRAS = ("finish_reason", "stop_reason", "cumulative_logprob")
CANCELLED = "Request cancelled by client"


def read_yaml() -> dict[str, Any]:
    path = Path(pb_utils.get_model_dir()) / "model.yaml"
    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise pb_utils.TritonModelException(f"Failed to parse YAML engine config {path}: {error}") from error


def read(request: Any, name: str) -> np.ndarray | None:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().reshape(-1)


def flag(request: Any, name: str) -> bool:
    array = read(request, name)
    return array is not None and bool(array.any())


def sampling_params(request: Any) -> SamplingParams:
    # unlike the LLM API itself, the template repeats the prompt by default
    given: dict[str, Any] = {"exclude_input_from_output": False}
    for name in SAMPLING:
        array = read(request, f"sampling_param_{name}")
        if array is not None:
            given[name] = array[0].item()
    stop = read(request, "sampling_param_stop")
    if stop is not None:
        given["stop"] = [word.decode() for word in stop if word]
    return SamplingParams(**given)


def refuse(sender: Any, text: str, *code: Any) -> None:
    sender.send(pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(text, *code)), flags=FINAL)


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Called only by a server that completes configurations."""
        settings = read_yaml()["triton_config"]
        config.set_model_transaction_policy({"decoupled": bool(settings["decoupled"])})
        config.set_max_batch_size(int(settings["max_batch_size"]))
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        arguments = read_yaml()
        # the server's setting takes precedence: model.yaml may differ if auto_complete_config was not called
        self._decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        if bool(arguments.pop("triton_config", {}).get("decoupled", False)) != self._decoupled:
            pb_utils.Logger.log_warn(
                f"[trtllm] model.yaml and config.pbtxt differ in decoupled; the server runs with {self._decoupled}"
            )
        pb_utils.Logger.log_info(f"[trtllm] Starting trtllm engine with args: {arguments}")
        try:
            self._llm = LLM(**arguments)
        except Exception as error:  # the server's log must show every error
            pb_utils.Logger.log_error(f"[trtllm] Failed to start engine: {error}")
            raise
        self._results: dict[str, RequestOutput] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="answers", daemon=True)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)

    async def _answer(self, request: Any) -> None:
        sender = request.get_response_sender()
        try:
            if flag(request, "stop"):
                self._stop(request.request_id(), sender)
            else:
                await self._generate(request, sender)
        except Exception as error:  # a request without an answer would wait forever
            text = f"Error generating request: {error}"
            pb_utils.Logger.log_error(f"[trtllm] {text}")
            refuse(sender, text)

    def _stop(self, request_id: str, sender: Any) -> None:
        if not request_id:
            refuse(sender, "A request id must be provided for request cancellation")
            return
        if request_id in self._results:
            self._results[request_id].abort()
        refuse(sender, CANCELLED, pb_utils.TritonError.CANCELLED)

    async def _generate(self, request: Any, sender: Any) -> None:
        streaming = flag(request, "streaming")
        if streaming and not self._decoupled:
            raise ValueError("Streaming is only supported in decoupled mode.")
        text = read(request, "text_input")
        if text is None:
            raise ValueError("text_input is missing from the request")
        extras = [name for name in EXTRAS if flag(request, f"return_{name}")]
        with_metrics = flag(request, "sampling_param_return_perf_metrics")
        # further texts are ignored
        result = self._llm.generate_async(text[0].decode(), sampling_params(request), streaming)
        self._results[request.request_id()] = result
        try:
            async for output in result:
                if sender.is_cancelled():
                    result.abort()
                response = self._response(output, extras, with_metrics)
                sender.send(response, flags=FINAL if output.finished else 0)
        except RequestError:
            if not result.is_aborted():
                raise
            refuse(sender, CANCELLED, pb_utils.TritonError.CANCELLED)
        finally:
            self._results.pop(request.request_id(), None)

    @staticmethod
    def _response(output: RequestOutput, extras: list[str], with_metrics: bool) -> Any:
        [completion] = output.outputs
        values = {"text_output": completion.text}
        values |= {name: getattr(completion, name) for name in extras}
        if with_metrics:
            values |= output.perf_metrics()
        tensors = [pb_utils.Tensor(name, np.array([str(value).encode()], np.object_)) for name, value in values.items()]
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def finalize(self) -> None:
        self._llm.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
