# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokenizer of a Hugging Face folder: tokenizer.json and the files with special tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

SENTENCEPIECE_SPACE = "\u2581"


class TokenizerError(Exception):
    """The folder has no usable tokenizer."""


class Tokenizer:
    def __init__(self, folder: str):
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise TokenizerError(f"Couldn't instantiate the backend tokenizer: there is no {path}")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        special = {**_read(Path(folder) / "special_tokens_map.json"), **_read(Path(folder) / "tokenizer_config.json")}
        self.end_id = self._id_of(special.get("eos_token"))
        pad = self._id_of(special.get("pad_token"))
        self.pad_id = self.end_id if pad < 0 else pad

    def _id_of(self, token: Any) -> int:
        """The id of a special token, which is given as a string or a mapping; -1 if there is none."""
        text = token["content"] if isinstance(token, dict) else token
        found = self._tokenizer.token_to_id(text) if text else None
        return -1 if found is None else int(found)

    @property
    def vocab_size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of `ids`. A piece of a stream keeps its leading space, which SentencePiece decoders drop."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
        first = self._tokenizer.id_to_token(ids[0]) if len(ids) > 0 else None
        if first and first.startswith(SENTENCEPIECE_SPACE) and not text.startswith(" "):
            return " " + text
        return text

    def word_list(self, rows: Sequence[Sequence[bytes]]) -> np.ndarray:
        """Words in the backend's layout, [rows, 2, n]: all ids, and the end of each word."""
        encoded = [self._encode_words(row) for row in rows]
        width = max(1, *(len(ids) for ids, _offsets in encoded))
        array = np.zeros((len(encoded), 2, width), np.int32)
        array[:, 1] = -1
        for index, (ids, ends) in enumerate(encoded):
            array[index, 0, : len(ids)] = ids
            array[index, 1, : len(ends)] = ends
        return array

    def _encode_words(self, words: Sequence[bytes]) -> tuple[list[int], list[int]]:
        ids: list[int] = []
        ends: list[int] = []
        for word in words:
            encoded = self.encode(word.decode(), add_special_tokens=False)
            if encoded:
                ids += encoded
                ends.append(len(ids))
        return ids, ends


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
