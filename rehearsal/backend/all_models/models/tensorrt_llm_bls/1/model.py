# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ensemble's three steps, called one after another, which is the only way to decode a stream as a whole.

With `accumulate_tokens` every event of a stream has the whole text so far, so a character whose bytes are spread over
several tokens is decoded correctly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

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
# The inputs that request optional outputs.
ASKED_FOR_BY = {
    "num_input_tokens": "return_num_input_tokens",
    "num_output_tokens": "return_num_output_tokens",
    **dict.fromkeys(
        (
            "kv_cache_alloc_new_blocks",
            "kv_cache_reused_blocks",
            "kv_cache_alloc_total_blocks",
            "arrival_time_ns",
            "first_scheduled_time_ns",
            "first_token_time_ns",
            "last_token_time_ns",
            "acceptance_rate",
            "total_accepted_draft_tokens",
            "total_draft_tokens",
        ),
        "return_perf_metrics",
    ),
}


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._outputs = [output["name"] for output in config["output"] if output["name"] != "text_output"]
        has_decoder = any(tensor["name"] == "decoder_text_input" for tensor in config["input"])
        self._prepared = {**PREPROCESSING_OUTPUTS, **(DECODER_OUTPUTS if has_decoder else {})}
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._decoupled = bool(config.get("model_transaction_policy", {}).get("decoupled", False))
        self._accumulate = parameters["accumulate_tokens"].lower() in TRUE
        name = parameters["tensorrt_llm_model_name"]
        self._llm = "tensorrt_llm" if not name or name.startswith("${") else name

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            try:
                for response in self._answer(request):
                    sender.send(response)
            except pb_utils.TritonModelException as error:
                sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answer(self, request: Any) -> Iterator[Any]:
        streaming = pb_utils.get_input_tensor_by_name(request, "stream")
        accumulate = self._accumulate and streaming is not None and bool(streaming.as_numpy().any())
        prepared = call("preprocessing", renamed_inputs(request, PREPROCESSING_INPUTS), list(self._prepared))
        inputs = [pb_utils.Tensor(self._prepared[name], array) for name, array in prepared.items()]
        inputs += renamed_inputs(request, REQUEST_INPUTS)
        passed_on = [name for name in self._outputs if self._is_wanted(request, name)]
        seen: list[np.ndarray] = []
        for output in self._generate(inputs, ["output_ids", "sequence_length", *passed_on]):
            ids = output["output_ids"]
            if accumulate:
                seen.append(ids)
                ids = np.concatenate(seen, axis=2)
            lengths = np.full(ids.shape[:2], ids.shape[2], np.int32)
            tokens = [pb_utils.Tensor("TOKENS_BATCH", ids), pb_utils.Tensor("SEQUENCE_LENGTH", lengths)]
            text = call("postprocessing", tokens, ["OUTPUT"])["OUTPUT"]
            tensors = [pb_utils.Tensor(name, output[name]) for name in passed_on if name in output]
            yield pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("text_output", text), *tensors])

    def _is_wanted(self, request: Any, output: str) -> bool:
        if output not in ASKED_FOR_BY:
            return True
        asked = pb_utils.get_input_tensor_by_name(request, ASKED_FOR_BY[output])
        return asked is not None and bool(asked.as_numpy().any())

    def _generate(self, inputs: list[Any], outputs: list[str]) -> Iterator[dict[str, np.ndarray]]:
        request = pb_utils.InferenceRequest(model_name=self._llm, inputs=inputs, requested_output_names=outputs)
        if not self._decoupled:
            yield arrays_of(request.exec())
            return
        for response in request.exec(decoupled=True):
            arrays = arrays_of(response)
            if arrays:  # a response without tensors closes a stream
                yield arrays


def renamed_inputs(request: Any, names: Mapping[str, str]) -> list[Any]:
    """The given inputs with the names of the next step, and with the batch dimension that `reshape` removed."""
    tensors = []
    for name, new_name in names.items():
        tensor = pb_utils.get_input_tensor_by_name(request, name)
        if tensor is not None:
            array = tensor.as_numpy()
            tensors.append(pb_utils.Tensor(new_name, array[:, None] if array.ndim == 1 else array))
    return tensors


def call(model: str, inputs: list[Any], outputs: list[str]) -> dict[str, np.ndarray]:
    request = pb_utils.InferenceRequest(model_name=model, inputs=inputs, requested_output_names=outputs)
    return arrays_of(request.exec())


def arrays_of(response: Any) -> dict[str, np.ndarray]:
    if response.has_error():
        raise pb_utils.TritonModelException(response.error().message())
    return {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}
