# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Triton's python backend offers to models, for the models of the rehearsal's backend; no server is needed."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

FINAL = 1
TYPES = {
    "TYPE_BOOL": np.bool_,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_STRING": np.object_,
    "TYPE_UINT64": np.uint64,
}
# The models that a request of a model finds.
served: dict[str, Any] = {}
_numbers = itertools.count()


class Tensor:
    def __init__(self, name: str, array: np.ndarray):
        assert isinstance(array, np.ndarray), name
        self._name, self._array = name, array

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> np.ndarray:
        return self._array


class TritonError:
    INTERNAL, CANCELLED = range(2)

    def __init__(self, message: str, code: int = INTERNAL):
        self._message, self._code = message, code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class TritonModelException(Exception):
    pass


class InferenceResponse:
    def __init__(self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None):
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error

    def arrays(self) -> dict[str, np.ndarray]:
        assert self._error is None, self._error.message()
        return {tensor.name(): tensor.as_numpy() for tensor in self._tensors}


class Sender:
    """Keeps the responses to a request."""

    def __init__(self) -> None:
        self.responses: list[InferenceResponse] = []
        self.cancelled = False
        self._final = threading.Event()

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        assert not self._final.is_set(), "a response after the final one"
        if response is not None:
            self.responses.append(response)
        if flags == FINAL:
            self._final.set()

    def is_cancelled(self) -> bool:
        return self.cancelled

    def wait(self) -> list[InferenceResponse]:
        assert self._final.wait(30), "no final response"
        return self.responses


class InferenceRequest:
    def __init__(
        self,
        model_name: str = "",
        inputs: Sequence[Tensor] = (),
        requested_output_names: Sequence[str] = (),
        request_id: str = "",
    ):
        self._model, self._inputs, self._outputs, self._id = model_name, inputs, requested_output_names, request_id
        self.sender = Sender()

    def inputs(self) -> Sequence[Tensor]:
        return self._inputs

    def request_id(self) -> str:
        return self._id

    def requested_output_names(self) -> Sequence[str]:
        return self._outputs

    def get_response_sender(self) -> Sender:
        return self.sender

    def exec(self, decoupled: bool = False) -> InferenceResponse | Iterator[InferenceResponse]:
        responses = answer(served[self._model], self)
        return iter(responses) if decoupled else responses[0]


class Metric:
    def __init__(self, labels: Mapping[str, str], buckets: Sequence[float] | None):
        self.labels, self.buckets, self.values = labels, buckets, []

    def set(self, value: float) -> None:
        self.values.append(value)

    observe = increment = set


class MetricFamily:
    GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
    created: ClassVar[dict[str, MetricFamily]] = {}

    def __init__(self, name: str, description: str, kind: str):
        self.description, self.kind, self.metrics = description, kind, []
        self.created[name] = self

    def Metric(self, labels: Mapping[str, str], buckets: Sequence[float] | None = None) -> Metric:
        self.metrics.append(Metric(labels, buckets))
        return self.metrics[-1]


def answer(model: Any, request: InferenceRequest) -> list[InferenceResponse]:
    """All responses of a model to a request, without the tensors that were not requested, as in Triton."""
    returned = model.execute([request])
    responses = request.sender.wait() if returned is None else returned
    wanted = request.requested_output_names()
    return [
        response
        if response.has_error()
        else InferenceResponse([tensor for tensor in response.output_tensors() if tensor.name() in wanted])
        for response in responses
    ]


def read_config(text: str) -> dict[str, Any]:
    """A config.pbtxt as Triton gives it to the model."""
    config: dict[str, Any] = json_format.MessageToDict(
        text_format.Parse(text, ModelConfig()), preserving_proto_field_name=True
    )
    return config


def make_request(config: Mapping[str, Any], arrays: Mapping[str, Any], **options: Any) -> InferenceRequest:
    """A request with these inputs, which get the types and shapes of the configuration."""
    known = {tensor["name"]: tensor for tensor in config["input"]}
    tensors = []
    for name, value in arrays.items():
        array = np.array(value, TYPES[known[name]["data_type"]])
        if "reshape" in known[name]:
            array = array.reshape(len(array), *known[name]["reshape"].get("shape", []))
        tensors.append(Tensor(name, array))
    outputs = options.pop("outputs", [tensor["name"] for tensor in config["output"]])
    return InferenceRequest(inputs=tensors, requested_output_names=outputs, **options)


def load(path: Path) -> Any:
    """A new model from its model.py."""
    spec = importlib.util.spec_from_file_location(f"model_{next(_numbers)}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TritonPythonModel()


def _get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    return next((tensor for tensor in request.inputs() if tensor.name() == name), None)


def _get_output_config_by_name(config: Mapping[str, Any], name: str) -> Any:
    return next(tensor for tensor in config["output"] if tensor["name"] == name)


def _using_decoupled_model_transaction_policy(config: Mapping[str, Any]) -> bool:
    return bool(config.get("model_transaction_policy", {}).get("decoupled", False))


def install(model_dir: Path) -> None:
    """Make this module what models import as triton_python_backend_utils."""
    module = ModuleType("triton_python_backend_utils")
    quiet = {f"log_{level}": staticmethod(lambda _text: None) for level in ("info", "warn", "error")}
    for name, value in {
        "TRITONSERVER_RESPONSE_COMPLETE_FINAL": FINAL,
        "Logger": type("Logger", (), quiet),
        "get_input_tensor_by_name": _get_input_tensor_by_name,
        "get_output_config_by_name": _get_output_config_by_name,
        "get_model_dir": lambda: str(model_dir),
        "triton_string_to_numpy": TYPES.__getitem__,
        "using_decoupled_model_transaction_policy": _using_decoupled_model_transaction_policy,
        **{item.__name__: item for item in (InferenceRequest, InferenceResponse, MetricFamily, Tensor, TritonError)},
        "TritonModelException": TritonModelException,
    }.items():
        setattr(module, name, value)
    sys.modules["triton_python_backend_utils"] = module
