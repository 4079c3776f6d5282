# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Writes a TensorRT-LLM checkpoint from the tensors of a Hugging Face folder, without a GPU.

The source is read once: each block of rows is mapped, cast, and written to its place in every rank's file. Each worker
has one block in memory at a time, whatever the size of the model and the number of ranks.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import traceback
import typing as t
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Lock, local

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    ConversionError,
    Decoder,
    dtype_of,
    read_decoder,
    source_tensors,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import (
    checkpoint_config,
    engine_warnings,
    release_problems,
    tensor_names,
    unsupported,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import (
    EMBEDDING,
    HEAD,
    Cut,
    Target,
    cut_problems,
    rank_targets,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    DTYPES,
    ITEM_BYTES,
    PAGE_BYTES,
    StoredTensor,
    listed,
    make_head,
    open_weights,
    tensor_bytes,
)

try:
    import ml_dtypes
    import numpy as np
except ImportError:
    # The traceback for fail_json.
    MISSING_LIBRARY: str | None = traceback.format_exc()
    ELEMENTS: dict[str, t.Any] = {}
else:
    MISSING_LIBRARY = None
    ELEMENTS = {"float32": np.dtype("f4"), "float16": np.dtype("f2"), "bfloat16": np.dtype(ml_dtypes.bfloat16)}

BLOCK_BYTES = 8 << 20
# Rotary embedding buffers in old Llama files, which the runtime calculates itself.
IGNORED = ".rotary_emb.inv_freq"


@dataclass(frozen=True)
class Request:
    """What to convert. As upstream, `dtype` auto keeps 16-bit weights as they are and makes 32-bit ones float16."""

    src: str
    release: str
    dtype: str
    cut: Cut


@dataclass(frozen=True)
class Move:
    """Where a part of a source tensor goes: into a rank's file, row by row, from byte `offset`."""

    rank: int
    offset: int
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Route:
    """All the places that one source tensor goes to, converted to `dtype`."""

    name: str
    stored: StoredTensor
    dtype: str
    moves: list[Move]

    @property
    def element(self) -> t.Any:
        return ELEMENTS[DTYPES[self.stored.code]]

    @property
    def matrix(self) -> tuple[int, int]:
        shape = self.stored.shape
        return (shape[0], 1) if len(shape) == 1 else (shape[0], shape[1])


@dataclass
class Conversion:
    """A conversion that has passed all checks. `sizes` are those of the ranks' files, in bytes."""

    config: dict[str, t.Any]
    heads: list[bytes]
    sizes: list[int]
    routes: list[Route]
    # The number of finite values that became infinite, by source tensor.
    overflowed: dict[str, int] = field(default_factory=dict)
    # What engines compute differently from the model.
    warnings: list[str] = field(default_factory=list)

    @property
    def total_bytes(self) -> int:
        return sum(self.sizes)


def prepare(request: Request) -> Conversion:
    """Read config.json and the headers of all files; ConversionError lists every problem."""
    described = _read_json(os.path.join(request.src, "config.json"))
    decoder = read_decoder(described)
    stored = open_weights(request.src)
    has_head = HEAD in stored
    problems = [*_source_problems(decoder, stored, has_head), *cut_problems(decoder, request.cut)]
    unknown = unsupported(request.release, decoder.architecture)
    problems += [unknown] if unknown else release_problems(decoder, request.cut, request.release)
    if problems:
        raise ConversionError(f"{request.src} cannot be converted: " + "; ".join(problems))
    dtype = _chosen_dtype(request.dtype, described, stored)
    cut = _with_sharing(request, stored)
    names = tensor_names(request.release)
    ranks = [rank_targets(decoder, cut, rank, dtype, has_head, names) for rank in range(cut.world_size)]
    heads, sizes, moves = [], [], _Moves()
    for rank, targets in enumerate(ranks):
        head, offsets = make_head({target.name: (target.dtype, target.shape) for target in targets})
        heads.append(head)
        sizes.append(len(head) + sum(tensor_bytes(target.dtype, target.shape) for target in targets))
        for target in targets:
            moves.add(rank, target, offsets[target.name])
    return Conversion(
        checkpoint_config(decoder, cut, dtype, request.release),
        heads,
        sizes,
        moves.routes(stored),
        warnings=engine_warnings(decoder, decoder.positions),
    )


def _read_json(path: str) -> t.Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream, parse_constant=_refuse)
    except FileNotFoundError as exc:
        raise ConversionError(f"{path} does not exist: src must be the folder of a Hugging Face model") from exc
    except OSError as exc:
        raise ConversionError(f"{path} cannot be read ({exc.strerror}): correct its permissions") from exc
    except (ValueError, RecursionError) as exc:
        raise ConversionError(f"{path} is not valid JSON ({exc}): download it again") from exc


def _refuse(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is not a number in JSON")


def _source_problems(decoder: Decoder, stored: t.Mapping[str, StoredTensor], has_head: bool) -> list[str]:
    # Before names are generated from numbers that may be huge.
    if decoder.layers * max(1, decoder.experts) > len(stored):
        experts = f" with {decoder.experts} experts each" if decoder.experts else ""
        return [
            f"its files contain {len(stored)} tensors, too few for {decoder.layers} layers{experts}: is a file missing?"
        ]
    wanted = source_tensors(decoder, has_head or not decoder.tied)
    missing = [name for name in wanted if name not in stored]
    unknown = sorted(name for name in stored if name not in wanted and not name.endswith(IGNORED))
    wrong = [
        f"{name} has shape {list(stored[name].shape)}, but config.json requires {list(shape)}"
        for name, shape in wanted.items()
        if name in stored and stored[name].shape != shape
    ]
    alien = [f"{name} ({stored[name].code})" for name in wanted if name in stored and stored[name].code not in DTYPES]
    problems = []
    if missing:
        problems.append(f"its files lack {listed(missing)}: is a file missing?")
    if unknown:
        problems.append(f"unknown tensors {listed(unknown)}: use converter upstream for such a model")
    if wrong:
        problems.append(listed(wrong))
    if alien:
        problems.append(f"not float32, float16 or bfloat16: {listed(alien)}; use converter upstream for such weights")
    return problems


def _chosen_dtype(wanted: str, config: t.Mapping[str, t.Any], stored: t.Mapping[str, StoredTensor]) -> str:
    if wanted != "auto":
        return wanted
    stated = dtype_of(config)
    own = stated if isinstance(stated, str) and stated in ITEM_BYTES else DTYPES[stored[EMBEDDING].code]
    return "float16" if own == "float32" else own


def _with_sharing(request: Request, stored: t.Mapping[str, StoredTensor]) -> Cut:
    """Share the embedding only if that is possible: each rank has the same rows of both tables, and they are equal."""
    cut = request.cut
    if not cut.share_embedding:
        return cut
    same_rows = cut.tp_size == 1 or (cut.use_parallel_embedding and cut.embedding_sharding_dim == 0)
    possible = same_rows and cut.pp_size == 1
    return replace(
        cut, share_embedding=possible and (HEAD not in stored or _are_equal(stored[EMBEDDING], stored[HEAD]))
    )


def _are_equal(one: StoredTensor, other: StoredTensor) -> bool:
    if (one.code, one.shape) != (other.code, other.shape):
        return False
    rest = tensor_bytes(DTYPES[one.code], one.shape)
    with open(one.path, "rb") as left, open(other.path, "rb") as right:
        left.seek(one.offset)
        right.seek(other.offset)
        while rest:
            step = min(rest, BLOCK_BYTES)
            if left.read(step) != right.read(step):
                return False
            rest -= step
    return True


class _Moves:
    """Collects, for each source tensor, where it goes in the targets of all ranks."""

    def __init__(self) -> None:
        self._moves: dict[str, list[Move]] = {}
        self._dtypes: dict[str, str] = {}

    def add(self, rank: int, target: Target, offset: int) -> None:
        for piece in target.pieces:
            self._moves.setdefault(piece.source, []).append(Move(rank, offset, piece.rows, piece.columns))
            self._dtypes[piece.source] = target.dtype
            offset += piece.elements * ITEM_BYTES[target.dtype]

    def routes(self, stored: t.Mapping[str, StoredTensor]) -> list[Route]:
        """Sorted by position in the source files, because sequential reads are fastest."""
        routes = [Route(name, stored[name], self._dtypes[name], moves) for name, moves in self._moves.items()]
        return sorted(routes, key=lambda route: (route.stored.path, route.stored.offset))


def convert(conversion: Conversion, folder: str, on_bytes: t.Callable[[int], None], workers: int) -> None:
    """Write config.json and every rank's file to the folder; `on_bytes` gets the size of each write."""
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as stream:
        json.dump(conversion.config, stream, indent=4)
    with ExitStack() as files:
        paths = rank_paths(folder, len(conversion.heads))
        outputs = [
            files.enter_context(OutputFile(path, head, size))
            for path, head, size in zip(paths, conversion.heads, conversion.sizes)
        ]
        writer = _Writer(conversion, outputs, on_bytes)
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(writer.write, route, *span) for route in conversion.routes for span in blocks(route)]
            finished, pending = wait(futures, return_when=FIRST_EXCEPTION)
            for future in pending:
                future.cancel()
            for future in finished:
                future.result()


def rank_paths(folder: str, world_size: int) -> list[str]:
    return [os.path.join(folder, f"rank{rank}.safetensors") for rank in range(world_size)]


def blocks(route: Route) -> t.Iterator[tuple[int, int]]:
    """Spans of rows of about BLOCK_BYTES, in multiples of 64 rows, so that most writes consist of whole pages."""
    height, width = route.matrix
    step = max(1, BLOCK_BYTES // (width * route.element.itemsize))
    step -= step % 64 if step > 64 else 0
    for first in range(0, height, step):
        yield first, min(first + step, height)


class _Writer:
    """Writes blocks of source tensors to the ranks' files. Thread-safe."""

    def __init__(self, conversion: Conversion, outputs: list[OutputFile], on_bytes: t.Callable[[int], None]) -> None:
        self._conversion = conversion
        self._outputs = outputs
        self._on_bytes = on_bytes
        self._mutex = Lock()
        self._scratch = _Scratch()

    def write(self, route: Route, first: int, last: int) -> None:
        source = map_rows(route, first, last)
        values = self._cast(route, source)
        # As integers, because numpy does not export a buffer of bfloat16.
        raw = values.view(np.dtype(f"u{values.itemsize}"))
        written = 0
        for move in route.moves:
            top, bottom = max(first, move.rows[0]), min(last, move.rows[1])
            if top < bottom:
                part = self._scratch.copy(raw[top - first : bottom - first, slice(*move.columns)])
                row_bytes = len(part) // (bottom - top)
                self._outputs[move.rank].write(part, move.offset + (top - move.rows[0]) * row_bytes)
                written += len(part)
        self._on_bytes(written)

    def _cast(self, route: Route, source: t.Any) -> t.Any:
        wanted = ELEMENTS[route.dtype]
        if source.dtype == wanted:
            return source
        with np.errstate(over="ignore", invalid="ignore"):
            values = source.astype(wanted)
        if route.dtype == "float16":
            self._count_overflow(route.name, source, values)
        return values

    def _count_overflow(self, name: str, source: t.Any, values: t.Any) -> None:
        infinite = (values.view(np.uint16) & 0x7FFF) == 0x7C00
        if infinite.any():
            count = int(np.isfinite(source[infinite].astype(np.float32)).sum())
            if not count:
                return
            with self._mutex:
                self._conversion.overflowed[name] = self._conversion.overflowed.get(name, 0) + count


def map_rows(route: Route, first: int, last: int) -> t.Any:
    """Rows of a source tensor, mapped from its file. The mapping is closed with the last reference to the array."""
    width = route.matrix[1]
    row_bytes = width * route.element.itemsize
    start = route.stored.offset + first * row_bytes
    before = start % mmap.ALLOCATIONGRANULARITY
    length = before + (last - first) * row_bytes
    with open(route.stored.path, "rb") as stream:
        window = mmap.mmap(stream.fileno(), length, access=mmap.ACCESS_READ, offset=start - before)
    window.madvise(mmap.MADV_WILLNEED)
    return np.frombuffer(window, route.element, (last - first) * width, before).reshape(last - first, width)


class _Scratch(local):
    """Page-aligned memory for each thread, which O_DIRECT requires."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, BLOCK_BYTES)

    def copy(self, values: t.Any) -> memoryview:
        """The bytes of an array, row by row; valid until the next copy."""
        if values.nbytes > len(self._memory):
            self._memory = mmap.mmap(-1, values.nbytes)
        room = np.frombuffer(self._memory, values.dtype, values.size)
        np.copyto(room.reshape(values.shape), values)
        return memoryview(self._memory)[: values.nbytes]


class OutputFile:
    """A file of a known size that threads write in pieces. Bytes that are never written are zero.

    Whole pages bypass the page cache if the file system supports that. Otherwise the checkpoint would fill the cache,
    next to the source, before the disk starts to write.
    """

    def __init__(self, path: str, head: bytes, size: int) -> None:
        self._cached = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.truncate(self._cached, size)
        write_all(self._cached, head, 0)
        try:
            # Not every system has the flag.
            self._direct: int | None = os.open(path, os.O_WRONLY | getattr(os, "O_DIRECT", 0))
        except OSError:
            self._direct = None

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._cached)
        if self._direct is not None:
            os.close(self._direct)

    def write(self, part: bytes | memoryview, offset: int) -> None:
        if self._direct is not None and not offset % PAGE_BYTES and not len(part) % PAGE_BYTES:
            try:
                return write_all(self._direct, part, offset)
            except OSError as exc:
                # A file system may require a larger alignment than pages.
                if exc.errno != errno.EINVAL:
                    raise
        return write_all(self._cached, part, offset)


def write_all(file: int, part: bytes | memoryview, offset: int) -> None:
    rest = memoryview(part)
    while rest:
        done = os.pwrite(file, rest, offset)
        rest, offset = rest[done:], offset + done
