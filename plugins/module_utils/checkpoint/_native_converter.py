# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Writes a TensorRT-LLM checkpoint from the tensors of a Hugging Face folder, without a GPU.

All ranks' files of a pipeline stage have the same layout and are written at the same time, from the beginning to the
end: each block of a source tensor is read, cast, and written to the same offset in the file of every rank that has a
part of it. Each worker has one block in memory at a time, whatever the size of the model and the number of ranks.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import mmap
import os
import re
import traceback
import typing as t
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Condition, Lock, local

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
    Piece,
    Span,
    cut_problems,
    rank_targets,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._weight_files import (
    DTYPES,
    ITEM_BYTES,
    PAGE_BYTES,
    SourceFiles,
    StoredTensor,
    listed,
    make_head,
    open_weights,
    refuse_lfs_pointer,
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


# What to do about tensors that the model of config.json does not have, by their names.
_UNKNOWN = (
    (re.compile(r"[._]lora_"), "merge the adapter into the model first, with merge_and_unload() of PEFT"),
    (
        re.compile(r"\.self_attn\.._proj\.bias$"),
        "set attention_bias in config.json if all projections of the attention have a bias",
    ),
    (
        re.compile(r"\.(scales?|zeros|qweight|qzeros|g_idx|(weight|input)_scale\w*)$"),
        "use weights that are not quantised",
    ),
    (re.compile(""), "an engine would not compute them: use the profile llmapi"),
)


@dataclass(frozen=True)
class Request:
    """What to convert. As upstream, `dtype` auto keeps 16-bit weights as they are and makes 32-bit ones float16."""

    src: str
    release: str
    dtype: str
    cut: Cut


@dataclass(frozen=True)
class Route:
    """Rows of a source tensor, and where they go: to one offset in the files of several ranks of a stage.

    `columns` are those that each rank gets, by its number; all ranks get equally many.
    """

    stored: StoredTensor
    name: str
    dtype: str
    stage: int
    offset: int
    rows: Span
    columns: dict[int, Span] = field(default_factory=dict, compare=False)

    @property
    def element(self) -> t.Any:
        return ELEMENTS[DTYPES[self.stored.code]]

    @property
    def width(self) -> int:
        """The number of columns of the source; a vector is a matrix of one column."""
        return self.stored.shape[1] if len(self.stored.shape) > 1 else 1

    @property
    def row_bytes(self) -> int:
        """The size of a row in each rank's file."""
        first, last = next(iter(self.columns.values()))
        return (last - first) * ITEM_BYTES[self.dtype]


class Block(t.NamedTuple):
    """Rows of a route that are read at once, and their offset in the ranks' files."""

    route: Route
    rows: Span
    offset: int


@dataclass
class Conversion:
    """A conversion that has passed all checks. `sizes` are those of the ranks' files, in bytes."""

    config: dict[str, t.Any]
    heads: list[bytes]
    sizes: list[int]
    routes: list[Route]
    # Whether the model's config.json says that its head is the embedding, while its files have another one.
    has_untied_head: bool = False
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
    is_tied = has_head and (decoder.tied or request.cut.share_embedding) and _are_equal(stored[EMBEDDING], stored[HEAD])
    cut = _with_sharing(request.cut, is_tied or not has_head)
    names = tensor_names(request.release)
    heads, sizes, routes = [], [], _Routes(stored, cut.tp_size)
    for rank in range(cut.world_size):
        targets = rank_targets(decoder, cut, rank, dtype, has_head, names)
        head, offsets = make_head({target.name: (target.dtype, target.shape) for target in targets})
        heads.append(head)
        sizes.append(len(head) + sum(tensor_bytes(target.dtype, target.shape) for target in targets))
        for target in targets:
            routes.add(rank, target.pieces, target.dtype, offsets[target.name])
    return Conversion(
        checkpoint_config(decoder, cut, dtype, request.release),
        heads,
        sizes,
        routes.found,
        has_untied_head=has_head and decoder.tied and not is_tied,
        warnings=engine_warnings(decoder, decoder.positions),
    )


def _read_json(path: str) -> t.Any:
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        refuse_lfs_pointer(path, text)
        return json.loads(text, parse_constant=_refuse)
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
    problems += _unknown_problems(unknown)
    if wrong:
        problems.append(listed(wrong))
    if alien:
        problems.append(
            f"not float32, float16 or bfloat16: {listed(alien)}: use weights that are not quantised, or the profile"
            " llmapi"
        )
    return problems


def _unknown_problems(names: t.Iterable[str]) -> list[str]:
    """Upstream's converter ignores tensors that it does not know, so it is not the remedy."""
    by_remedy: dict[str, list[str]] = {}
    for name in names:
        remedy = next(remedy for pattern, remedy in _UNKNOWN if pattern.search(name))
        by_remedy.setdefault(remedy, []).append(name)
    return [f"unknown tensors {listed(found)}: {remedy}" for remedy, found in by_remedy.items()]


def _chosen_dtype(wanted: str, config: t.Mapping[str, t.Any], stored: t.Mapping[str, StoredTensor]) -> str:
    if wanted != "auto":
        return wanted
    stated = dtype_of(config)
    own = stated if isinstance(stated, str) and stated in ITEM_BYTES else DTYPES[stored[EMBEDDING].code]
    return "float16" if own == "float32" else own


def _with_sharing(cut: Cut, is_tied: bool) -> Cut:
    """Share the embedding only if that is possible: each rank has the same rows of both tables, and they are equal."""
    same_rows = cut.tp_size == 1 or (cut.use_parallel_embedding and cut.embedding_sharding_dim == 0)
    possible = same_rows and cut.pp_size == 1 and is_tied
    return replace(cut, share_embedding=cut.share_embedding and possible)


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


class _Routes:
    """Collects the routes of all targets of all ranks."""

    def __init__(self, stored: t.Mapping[str, StoredTensor], tp_size: int) -> None:
        self._stored = stored
        self._tp_size = tp_size
        self._found: dict[Route, Route] = {}

    @property
    def found(self) -> list[Route]:
        return list(self._found)

    def add(self, rank: int, pieces: t.Iterable[Piece], dtype: str, offset: int) -> None:
        """Add the pieces of a target that begins at `offset` in the file of the rank."""
        for piece in pieces:
            if piece.elements:
                stage = rank // self._tp_size
                route = Route(self._stored[piece.source], piece.source, dtype, stage, offset, piece.rows)
                self._found.setdefault(route, route).columns[rank] = piece.columns
            offset += piece.elements * ITEM_BYTES[dtype]


def blocks(routes: t.Iterable[Route]) -> list[Block]:
    """All rows of the routes, in the order of the ranks' files, which are all written at the same time."""
    found = [block for route in routes for block in _blocks(route)]
    return sorted(found, key=lambda block: (block.route.stage, block.offset))


def _blocks(route: Route) -> t.Iterator[Block]:
    """Blocks of about BLOCK_BYTES, which fill whole pages of the ranks' files if their rows are short enough."""
    first, end = route.rows
    step = max(1, BLOCK_BYTES // (route.width * max(route.element.itemsize, ITEM_BYTES[route.dtype])))
    whole = PAGE_BYTES // math.gcd(PAGE_BYTES, route.row_bytes)
    step -= step % whole if step > whole else 0
    for top in range(first, end, step):
        yield Block(route, (top, min(top + step, end)), route.offset + (top - first) * route.row_bytes)


def convert(
    conversion: Conversion, folder: str, on_bytes: t.Callable[[int], None], workers: int, hashed: bool = False
) -> dict[str, str]:
    """Write config.json and every rank's file to the folder; `on_bytes` gets the size of each write.

    Returns the SHA-256 of each rank's file if `hashed` is set. ConversionError if the source changes meanwhile.
    """
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as stream:
        json.dump(conversion.config, stream, indent=4)
    work = blocks(conversion.routes)
    paths = rank_paths(folder, len(conversion.heads))
    digests = [_OrderedDigest(head) for head in conversion.heads] if hashed else []
    for block in work:
        for rank in block.route.columns if hashed else ():
            digests[rank].expect(block.offset)
    with ExitStack() as files:
        source = files.enter_context(SourceFiles(route.stored for route in conversion.routes))
        outputs = [
            files.enter_context(OutputFile(path, head, size))
            for path, head, size in zip(paths, conversion.heads, conversion.sizes)
        ]
        _run(_Writer(conversion, source, outputs, digests, on_bytes), work, workers)
        source.check()
    return {os.path.basename(path): digest.result(size) for path, digest, size in zip(paths, digests, conversion.sizes)}


def rank_paths(folder: str, world_size: int) -> list[str]:
    return [os.path.join(folder, f"rank{rank}.safetensors") for rank in range(world_size)]


def _run(writer: _Writer, work: t.Sequence[Block], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        # In this order, because a block waits until those before it have been hashed.
        futures = [pool.submit(writer.write, block) for block in work]
        try:
            finished = wait(futures, return_when=FIRST_EXCEPTION).done
        finally:
            for future in futures:
                future.cancel()
            writer.give_up()
        for future in finished:
            future.result()


class _Writer:
    """Writes blocks of source tensors to the ranks' files. Thread-safe."""

    def __init__(
        self,
        conversion: Conversion,
        source: SourceFiles,
        outputs: t.Sequence[OutputFile],
        digests: t.Sequence[_OrderedDigest],
        on_bytes: t.Callable[[int], None],
    ) -> None:
        self._conversion = conversion
        self._source = source
        self._outputs = outputs
        self._digests = digests
        self._on_bytes = on_bytes
        self._mutex = Lock()
        self._memory = _Memory()

    def write(self, block: Block) -> None:
        # As integers, because numpy does not export a buffer of bfloat16.
        values = self._values(block)
        values = values.view(np.dtype(f"u{values.itemsize}"))
        written = 0
        for rank, columns in block.route.columns.items():
            part = self._aligned(values[:, slice(*columns)], block.offset)
            self._outputs[rank].write(part, block.offset)
            if self._digests:
                self._digests[rank].update(part, block.offset)
            written += len(part)
        self._on_bytes(written)

    def give_up(self) -> None:
        """Let no thread wait for a block that will never be written."""
        for digest in self._digests:
            digest.give_up()

    def _values(self, block: Block) -> t.Any:
        """The rows of the source, cast to the data type of the target."""
        route, (first, last) = block.route, block.rows
        shape = (last - first, route.width)
        source = self._memory.array("source", shape, route.element, block.offset)
        offset = route.stored.offset + first * route.width * source.itemsize
        self._source.read(route.stored.path, offset, memoryview(source.view(np.uint8).reshape(-1)))
        wanted = ELEMENTS[route.dtype]
        if source.dtype == wanted:
            return source
        values = self._memory.array("cast", shape, wanted, block.offset)
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(values, source, casting="unsafe")
        if route.dtype == "float16":
            self._count_overflow(route.name, source, values)
        return values

    def _aligned(self, part: t.Any, offset: int) -> memoryview:
        """The bytes of the part, row by row, in memory aligned to pages like their place in the file."""
        if not (part.flags.c_contiguous and (part.ctypes.data - offset) % PAGE_BYTES == 0):
            values, part = part, self._memory.array("part", part.shape, part.dtype, offset)
            np.copyto(part, values)
        return memoryview(part.reshape(-1).view(np.uint8))

    def _count_overflow(self, name: str, source: t.Any, values: t.Any) -> None:
        bits = values.view(np.uint16)
        infinite = bits == 0x7C00
        infinite |= bits == 0xFC00
        if infinite.any():
            count = int(np.isfinite(source[infinite].astype(np.float32)).sum())
            if not count:
                return
            with self._mutex:
                self._conversion.overflowed[name] = self._conversion.overflowed.get(name, 0) + count


class _Memory(local):
    """Memory of each thread, which is used again for every block."""

    def __init__(self) -> None:
        self._maps: dict[str, mmap.mmap] = {}

    def array(self, use: str, shape: tuple[int, int], element: t.Any, offset: int) -> t.Any:
        """An array that begins as many bytes after the beginning of a page as `offset`; valid until the next one."""
        count, phase = shape[0] * shape[1], offset % PAGE_BYTES
        size = phase + count * element.itemsize
        if size > len(self._maps.get(use, b"")):
            self._maps[use] = mmap.mmap(-1, size + -size % PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return np.frombuffer(self._maps[use], element, count, phase).reshape(shape)


class _OrderedDigest:
    """The SHA-256 of a file whose parts come from several threads. Bytes between them are zero.

    Each thread waits until the parts before its own have been hashed, so that no part must be kept or read again.
    """

    def __init__(self, head: bytes) -> None:
        self._hash = hashlib.sha256(head)
        self._end = len(head)
        self._expected: deque[int] = deque()
        self._turn = Condition()
        self._is_given_up = False

    def expect(self, offset: int) -> None:
        """Announce a part, in the order of the file."""
        self._expected.append(offset)

    def update(self, part: memoryview, offset: int) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._is_given_up or self._expected[0] == offset)
            if self._is_given_up:
                return
            self._hash.update(bytes(offset - self._end))
            self._hash.update(part)
            self._end = offset + len(part)
            self._expected.popleft()
            self._turn.notify_all()

    def give_up(self) -> None:
        with self._turn:
            self._is_given_up = True
            self._turn.notify_all()

    def result(self, size: int) -> str:
        """The digest of the whole file, of which all parts have been hashed."""
        self._hash.update(bytes(size - self._end))
        return self._hash.hexdigest()


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

    def write(self, part: memoryview, offset: int) -> None:
        """Write memory that is aligned to pages like its place in the file."""
        start = min(-offset % PAGE_BYTES, len(part))
        end = len(part) - (offset + len(part)) % PAGE_BYTES
        if start < end and self._write_direct(part[start:end], offset + start):
            write_all(self._cached, part[:start], offset)
            write_all(self._cached, part[end:], offset + end)
        else:
            write_all(self._cached, part, offset)

    def _write_direct(self, pages: memoryview, offset: int) -> bool:
        """Whether the pages could be written past the page cache."""
        if self._direct is None:
            return False
        try:
            write_all(self._direct, pages, offset)
        except OSError as exc:
            # A file system may require a larger alignment than pages.
            if exc.errno != errno.EINVAL:
                raise
            return False
        return True


def write_all(file: int, part: bytes | memoryview, offset: int) -> None:
    rest = memoryview(part)
    while rest:
        done = os.pwrite(file, rest, offset)
        rest, offset = rest[done:], offset + done
