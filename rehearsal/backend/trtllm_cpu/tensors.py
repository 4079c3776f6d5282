# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Safetensors files: read lazily through the library, written one tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
from safetensors import safe_open

Shape = tuple[int, ...]

DTYPES: dict[str, tuple[str, np.dtype[Any]]] = {
    "float32": ("F32", np.dtype(np.float32)),
    "float16": ("F16", np.dtype(np.float16)),
    "bfloat16": ("BF16", np.dtype(ml_dtypes.bfloat16)),
}


class TensorFileWriter:
    """Writes a safetensors file tensor by tensor, in the order of `shapes`.

    The library's own writer wants every tensor in memory at once, which is the whole of a rank.
    """

    def __init__(self, path: Path, dtype: str, shapes: Mapping[str, Shape], metadata: Mapping[str, str] | None = None):
        self._code, self._dtype = DTYPES[dtype]
        self._pending = list(shapes.items())
        self._file: BinaryIO = path.open("wb")
        header = self._header(shapes, metadata or {})
        self._file.write(len(header).to_bytes(8, "little") + header)

    def _header(self, shapes: Mapping[str, Shape], metadata: Mapping[str, str]) -> bytes:
        fields: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
        offset = 0
        for name, shape in shapes.items():
            end = offset + int(np.prod(shape)) * self._dtype.itemsize
            fields[name] = {"dtype": self._code, "shape": list(shape), "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(fields, separators=(",", ":")).encode()
        return text + b" " * (-len(text) % 8)

    def write(self, name: str, array: np.ndarray) -> None:
        expected, shape = self._pending.pop(0)
        if name != expected or array.shape != shape:
            raise ValueError(f"expected {expected} {shape} next, got {name} {array.shape}")
        np.ascontiguousarray(array.astype(self._dtype, copy=False)).tofile(self._file)

    def __enter__(self) -> TensorFileWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._pending:
            raise ValueError(f"never written: {self._pending[0][0]}")


class Snapshot:
    """All tensors of a Hugging Face folder, whichever file they are in; nothing is read before it is asked for."""

    def __init__(self, folder: Path):
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"no *.safetensors file in {folder}")
        for path in files:
            path.open("rb").close()  # the library says "no such file" of one that may not be read
        # "np" gives bfloat16 as ml_dtypes' type, bit for bit
        self._files = [safe_open(str(path), framework="np") for path in files]
        self._where = {name: file for file in self._files for name in file.offset_keys()}

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def shape(self, name: str) -> Shape:
        return tuple(self._slices(name).get_shape())

    def dtype(self, name: str) -> str:
        code = self._slices(name).get_dtype()
        return next((dtype for dtype, (other, _element) in DTYPES.items() if other == code), code)

    def read(self, name: str, axis: int = 0, start: int = 0, stop: int | None = None) -> np.ndarray:
        slices = self._slices(name)
        array: np.ndarray = slices[start:stop] if axis == 0 else slices[:, start:stop]
        return array

    def _slices(self, name: str) -> Any:
        if name not in self._where:
            raise KeyError(f"the weights have no tensor {name}")
        return self._where[name].get_slice(name)
