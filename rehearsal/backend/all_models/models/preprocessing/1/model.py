# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text to token ids: prompt, stop words, bad words and biased words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from trtllm_cpu.release import load_tables
from trtllm_cpu.serving import parameter
from trtllm_cpu.tokenizer import Tokenizer

FALSE = ("false", "0", "f", "n", "no")


class TritonPythonModel:
    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._tokenizer = Tokenizer(parameter(config, "tokenizer_dir", ""))
        tables = load_tables()
        unfilled = tables["unfilled"]["add_special_tokens"]
        self._add_special_tokens = parameter(config, "add_special_tokens", unfilled).lower() not in FALSE
        self._pad_id = self._tokenizer.end_id if tables["serving"]["pad_id"] == "end" else self._tokenizer.pad_id
        self._batch_error = tables["serving"]["batch_error"] if tables["serving"]["preprocesses_one_row"] else None

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        def read(name: str) -> np.ndarray | None:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy()

        query = read("QUERY")
        rows = len(query)
        if rows > 1 and self._batch_error:
            pb_utils.Logger.log_error(self._batch_error)
            return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(self._batch_error))
        ids, lengths = self._encode(query)
        end = read("END_ID")
        pad = read("PAD_ID")
        pad_ids = self._filled(rows, self._pad_id) if pad is None else pad
        decoder = read("DECODER_QUERY")
        decoder_ids, decoder_lengths = (pad_ids, self._filled(rows, 1)) if decoder is None else self._encode(decoder)
        outputs = {
            "INPUT_ID": ids,
            "REQUEST_INPUT_LEN": lengths,
            "DECODER_INPUT_ID": decoder_ids,
            "REQUEST_DECODER_INPUT_LEN": decoder_lengths,
            "BAD_WORDS_IDS": self._words(read("BAD_WORDS_DICT"), rows),
            "STOP_WORDS_IDS": self._words(read("STOP_WORDS_DICT"), rows),
            "EMBEDDING_BIAS": self._bias(read("EMBEDDING_BIAS_WORDS"), read("EMBEDDING_BIAS_WEIGHTS"), rows),
            "REQUEST_OUTPUT_LEN": read("REQUEST_OUTPUT_LEN"),
            "OUT_END_ID": self._filled(rows, self._tokenizer.end_id) if end is None else end,
            "OUT_PAD_ID": pad_ids,
        }
        extra = read("PROMPT_TABLE_EXTRA_ID")
        if extra is not None:
            # ids beyond the vocabulary stand for entries of a prompt table; text has none
            outputs["OUT_PROMPT_TABLE_EXTRA_IDS"] = np.zeros(ids.shape, np.uint64)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor(*item) for item in outputs.items()])

    def _filled(self, rows: int, value: int) -> np.ndarray:
        return np.full((rows, 1), value, np.int32)

    def _encode(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        encoded = [self._tokenizer.encode(text.decode(), self._add_special_tokens) for text in texts[:, 0]]
        ids = np.full((len(encoded), max(map(len, encoded))), self._pad_id, np.int32)
        for row, tokens in zip(ids, encoded):
            row[: len(tokens)] = tokens
        return ids, np.array([[len(tokens)] for tokens in encoded], np.int32)

    def _words(self, words: np.ndarray | None, rows: int) -> np.ndarray:
        if words is None:
            return np.empty((rows, 2, 0), np.int32)
        return self._tokenizer.word_list(words)

    def _bias(self, words: np.ndarray | None, weights: np.ndarray | None, rows: int) -> np.ndarray:
        if words is None or weights is None:
            return np.empty((rows, 0), np.float32)
        assert words.shape == weights.shape, "Embedding bias words must have same dimension as embedding bias weights"
        bias = np.zeros((rows, self._tokenizer.vocab_size), np.float32)
        for row, row_words, row_weights in zip(bias, words, weights):
            for word, weight in zip(row_words, row_weights):
                # a word's tokens may repeat; add.at counts each of them, and upstream the special ones, too
                np.add.at(row, self._tokenizer.encode(word.decode(), add_special_tokens=True), weight)
        return bias
