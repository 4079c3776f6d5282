# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ensemble's three steps, called one after another, which is the only way to decode a stream as a whole.

With `accumulate_tokens` every event of a stream has the whole text so far, so a character whose bytes are spread over
several tokens is decoded correctly.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from trtllm_cpu.release import load_tables

TRUE = ("true", "1", "t", "y", "yes")

PREPROCESSING_INPUTS = {
    "text_input": "QUERY",
    "decoder_text_input": "DECODER_QUERY",
    "image_bytes_input": "IMAGE_BYTES",
    "image_url_input": "IMAGE_URL",
    "video_bytes_input": "VIDEO_BYTES",
    "max_tokens": "REQUEST_OUTPUT_LEN",
    "bad_words": "BAD_WORDS_DICT",
    "stop_words": "STOP_WORDS_DICT",
    "embedding_bias_words": "EMBEDDING_BIAS_WORDS",
    "embedding_bias_weights": "EMBEDDING_BIAS_WEIGHTS",
    "end_id": "END_ID",
    "pad_id": "PAD_ID",
    "prompt_table_extra_id": "PROMPT_TABLE_EXTRA_ID",
}
PREPROCESSING_OUTPUTS = {
    "INPUT_ID": "input_ids",
    "REQUEST_INPUT_LEN": "input_lengths",
    "REQUEST_OUTPUT_LEN": "request_output_len",
    "BAD_WORDS_IDS": "bad_words_list",
    "STOP_WORDS_IDS": "stop_words_list",
    "EMBEDDING_BIAS": "embedding_bias",
    "OUT_END_ID": "end_id",
    "OUT_PAD_ID": "pad_id",
}
REQUEST_INPUTS = {
    "exclude_input_in_output": "exclude_input_in_output",
    "top_k": "runtime_top_k",
    "top_p": "runtime_top_p",
    "temperature": "temperature",
    "length_penalty": "len_penalty",
    "repetition_penalty": "repetition_penalty",
    "min_length": "min_length",
    "min_tokens": "min_tokens",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "random_seed": "random_seed",
    "seed": "seed",
    "return_log_probs": "return_log_probs",
    "return_context_logits": "return_context_logits",
    "return_generation_logits": "return_generation_logits",
    "return_num_input_tokens": "return_num_input_tokens",
    "return_num_output_tokens": "return_num_output_tokens",
    "return_perf_metrics": "return_perf_metrics",
    "num_return_sequences": "num_return_sequences",
    "beam_width": "beam_width",
    "stream": "streaming",
    "prompt_embedding_table": "prompt_embedding_table",
    "prompt_vocab_size": "prompt_vocab_size",
    "lora_task_id": "lora_task_id",
    "lora_weights": "lora_weights",
    "lora_config": "lora_config",
}
# Outputs of versions that accept a text for the decoder of an encoder-decoder model.
DECODER_OUTPUTS = {"DECODER_INPUT_ID": "decoder_input_ids", "REQUEST_DECODER_INPUT_LEN": "decoder_input_lengths"}


class RequestValidationError(Exception):
    """The request lacks something. Clients see this name, in the traceback that is the answer."""


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._outputs = [output["name"] for output in config["output"] if output["name"] != "text_output"]
        has_decoder = any(tensor["name"] == "decoder_text_input" for tensor in config["input"])
        self._prepared = {**PREPROCESSING_OUTPUTS, **(DECODER_OUTPUTS if has_decoder else {})}
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._decoupled = pb_utils.using_decoupled_model_transaction_policy(config)
        self._accumulate = parameters["accumulate_tokens"].lower() in TRUE
        dropped = load_tables()["serving"]["dropped_by_bls"]
        self._passed_on = {name: renamed for name, renamed in REQUEST_INPUTS.items() if name not in dropped}
        name = parameters["tensorrt_llm_model_name"]
        self._llm = "tensorrt_llm" if not name or name.startswith("${") else name

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            try:
                for response in self._answer(request):
                    sender.send(response)
            except Exception:  # upstream answers every error with its traceback
                text = traceback.format_exc()
                pb_utils.Logger.log_error(text)
                sender.send(pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(text)))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answer(self, request: Any) -> Iterator[Any]:
        rows = validate(request)
        prepared = call("preprocessing", renamed_inputs(request, PREPROCESSING_INPUTS), list(self._prepared))
        inputs = [pb_utils.Tensor(self._prepared[name], array) for name, array in prepared.items()]
        inputs += renamed_inputs(request, self._passed_on)
        seen: dict[int, np.ndarray] = {}
        for output in self._generate(inputs, rows):
            ids, lengths = output.pop("output_ids"), output.pop("sequence_length")
            if self._accumulate and self._decoupled:
                row = int(output["batch_index"][0][0]) if "batch_index" in output else 0
                seen[row] = ids = np.concatenate([seen[row], ids], axis=2) if row in seen else ids
                lengths = np.array([[ids.shape[2]]], np.int32)
            tokens = [pb_utils.Tensor("TOKENS_BATCH", ids), pb_utils.Tensor("SEQUENCE_LENGTH", lengths)]
            text = call("postprocessing", tokens, ["OUTPUT"])["OUTPUT"]
            tensors = [pb_utils.Tensor(name, array) for name, array in output.items()]
            yield pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("text_output", text), *tensors])

    def _generate(self, inputs: list[Any], rows: int) -> Iterator[dict[str, np.ndarray]]:
        outputs = ["output_ids", "sequence_length", *self._outputs]
        request = pb_utils.InferenceRequest(model_name=self._llm, inputs=inputs, requested_output_names=outputs)
        if not self._decoupled and rows == 1:
            yield arrays_of(request.exec())
            return
        for response in request.exec(decoupled=True):
            arrays = arrays_of(response)
            if arrays:  # a response without tensors closes a stream
                yield arrays


def validate(request: Any) -> int:
    """The number of texts."""
    text = pb_utils.get_input_tensor_by_name(request, "text_input")
    if text is None or text.as_numpy().size == 0:
        raise RequestValidationError("text_input is required")
    length = pb_utils.get_input_tensor_by_name(request, "max_tokens")
    if length is None or length.as_numpy().size == 0 or length.as_numpy().reshape(-1)[0] <= 0:
        raise RequestValidationError("max_tokens must be a single value > 0")
    return len(text.as_numpy())


def renamed_inputs(request: Any, names: Mapping[str, str]) -> list[Any]:
    """The given inputs with the names of the next step, and with the batch dimension that `reshape` removed."""
    tensors = []
    for name, new_name in names.items():
        tensor = pb_utils.get_input_tensor_by_name(request, name)
        if tensor is not None:
            array = tensor.as_numpy()
            # as upstream, which is only right for one row
            tensors.append(pb_utils.Tensor(new_name, array[None] if array.ndim == 1 else array))
    return tensors


def call(model: str, inputs: list[Any], outputs: list[str]) -> dict[str, np.ndarray]:
    request = pb_utils.InferenceRequest(model_name=model, inputs=inputs, requested_output_names=outputs)
    return arrays_of(request.exec())


def arrays_of(response: Any) -> dict[str, np.ndarray]:
    if response.has_error():
        raise pb_utils.TritonModelException(response.error().message())
    return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}
