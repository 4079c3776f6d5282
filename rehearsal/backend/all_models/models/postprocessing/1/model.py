# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Token ids to text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from trtllm_cpu.tokenizer import Tokenizer

FALSE = ("false", "0", "f", "n", "no")


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        parameters = config["parameters"]
        outputs = {output["name"] for output in config["output"]}
        # in old versions logits and probabilities pass through this model, with another name
        self._passed_on = {
            tensor["name"]: np.zeros((1,) * (1 + len(tensor["dims"])), np.float32)
            for tensor in config["input"]
            if f"OUT_{tensor['name']}" in outputs
        }
        self._tokenizer = Tokenizer(parameters["tokenizer_dir"]["string_value"])
        # an unfilled placeholder means true, as in upstream
        self._skip_special_tokens = parameters["skip_special_tokens"]["string_value"].lower() not in FALSE

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        tokens = pb_utils.get_input_tensor_by_name(request, "TOKENS_BATCH").as_numpy()
        lengths = pb_utils.get_input_tensor_by_name(request, "SEQUENCE_LENGTH").as_numpy()
        # one dimension for batch and beams, although the configuration has one for each
        texts = [
            self._decode(beam[:length].tolist())
            for beams, beam_lengths in zip(tokens, lengths)
            for beam, length in zip(beams, beam_lengths)
        ]
        tensors = [pb_utils.Tensor("OUTPUT", np.array(texts, np.object_))]
        for name, zeros in self._passed_on.items():
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            tensors.append(pb_utils.Tensor(f"OUT_{name}", zeros if tensor is None else tensor.as_numpy()))
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _decode(self, ids: list[int]) -> bytes:
        return self._tokenizer.decode(ids, self._skip_special_tokens).encode()
