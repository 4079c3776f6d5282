# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Locates the tensors in a folder of safetensors files, and formats the headers of such files.

The safetensors library checks every file (its header, and that the data is complete). But it only returns copies of
tensors, and can only write tensors that are in memory, so offsets are read and headers are written here.
"""

from __future__ import annotations

import json
import os
import traceback
import typing as t
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import UntrustedError, check_names
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ConversionError, Shape

try:
    from safetensors import SafetensorError, safe_open
except ImportError:
    # The traceback for fail_json.
    MISSING_SAFETENSORS: str | None = traceback.format_exc()
else:
    MISSING_SAFETENSORS = None

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
CODES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
DTYPES = {code: dtype for dtype, code in CODES.items()}
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
PAGE_BYTES = 4096
# How a file begins that `git clone` without Git LFS leaves in place of a large one.
LFS_POINTER = "version https://git-lfs.github.com/spec/"
# Names listed in one message.
MAX_LISTED = 5
LONGEST = 200


class Identity(t.NamedTuple):
    """What differs after a file was written to or replaced."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class StoredTensor:
    """`offset` is in bytes from the beginning of the file; `code` is safetensors' name of the dtype.

    `identity` is that of the file when its header was read.
    """

    path: str
    code: str
    shape: Shape
    offset: int
    identity: Identity


class SourceFiles:
    """The files of these tensors, each opened once. They must not change until check(). Thread-safe.

    They are read, not mapped: the kernel ends a process that accesses a mapping beyond the end of a truncated file.
    """

    def __init__(self, tensors: t.Iterable[StoredTensor]) -> None:
        self._identities = {tensor.path: tensor.identity for tensor in tensors}
        self._handles: dict[str, int] = {}
        self._closing = ExitStack()

    def __enter__(self) -> SourceFiles:
        with self._closing as closing:
            for path in self._identities:
                with _reported(path):
                    self._handles[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                closing.callback(os.close, self._handles[path])
            self.check()
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.close()

    def read(self, path: str, offset: int, room: memoryview) -> None:
        """Fill the memory with the bytes of the file from this offset on."""
        with _reported(path):
            while room:
                count = os.preadv(self._handles[path], [room], offset)
                if not count:
                    raise _changed([path])
                room, offset = room[count:], offset + count

    def check(self) -> None:
        """Refuse files that were written to or replaced since their headers were read."""
        changed = []
        for path, identity in self._identities.items():
            with _reported(path):
                found = {Identity.of(os.fstat(self._handles[path])), Identity.of(os.stat(path))}
            if found != {identity}:
                changed.append(path)
        if changed:
            raise _changed(changed)


@contextmanager
def _reported(path: str) -> t.Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise _changed([path]) from exc
    except OSError as exc:
        raise ConversionError(
            f"{path} cannot be read ({exc.strerror or exc}): check the disk or the server that it is on"
        ) from exc


def _changed(paths: t.Sequence[str]) -> ConversionError:
    return ConversionError(
        f"{listed(paths)} changed during the conversion: wait until the download or copy is complete, and run it again"
    )


def open_weights(folder: str) -> dict[str, StoredTensor]:
    """Every tensor in the folder, by name; ConversionError lists everything that is wrong with its files."""
    tensors: dict[str, StoredTensor] = {}
    problems: list[str] = []
    for path in _weight_paths(folder):
        try:
            found = read_head(path)
        except ConversionError as exc:
            problems.append(str(exc))
            continue
        twice = sorted(set(found) & set(tensors))
        if twice:
            problems.append(
                f"{path} and {tensors[twice[0]].path} both contain {listed(twice)}: remove one of the files"
            )
        tensors.update(found)
    if problems:
        raise ConversionError("; ".join(problems))
    return tensors


def _weight_paths(folder: str) -> list[str]:
    """The files in the index, or else model.safetensors, or else all safetensors files."""
    index = os.path.join(folder, INDEX)
    if os.path.isfile(index):
        return _indexed_paths(folder, index)
    names = sorted(os.listdir(folder))
    found = [SINGLE] if SINGLE in names else [name for name in names if name.endswith(".safetensors")]
    if found:
        return [os.path.join(folder, name) for name in found]
    pickled = [name for name in names if name.endswith(PICKLED)]
    if pickled:
        raise ConversionError(
            f"{folder} only has pickled weights ({listed(pickled)}), which can run code when they are loaded:"
            " use a revision of the model with safetensors files, save it again with transformers (save_pretrained),"
            " or use converter upstream, which loads them in the backend's container"
        )
    raise ConversionError(f"{folder} has no *.safetensors file: src must be the folder of a Hugging Face model")


def _indexed_paths(folder: str, index: str) -> list[str]:
    try:
        with open(index, encoding="utf-8") as stream:
            text = stream.read()
        refuse_lfs_pointer(index, text)
        names = sorted(set(json.loads(text)["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ConversionError(
            f"{index} is not an index of safetensors files ({clipped(repr(exc))}): download it again"
        ) from exc
    try:
        check_names(names, index)
    except UntrustedError as exc:
        raise ConversionError(str(exc)) from exc
    paths = [os.path.join(folder, name) for name in names]
    missing = [name for name, path in zip(names, paths) if not os.path.isfile(path)]
    if missing:
        raise ConversionError(f"{folder} lacks {listed(missing)}, listed in {INDEX}: download the model again")
    return paths


def read_head(path: str, remedy: str = "download it again") -> dict[str, StoredTensor]:
    """The tensors of one file, after the library has checked it; `remedy` is for the message about an invalid file."""
    try:
        # Opened here as well, because the library reports an unreadable file like a damaged one.
        with open(path, "rb") as stream:
            identity = Identity.of(os.fstat(stream.fileno()))
            refuse_lfs_pointer(path, stream.read(len(LFS_POINTER)).decode("latin-1"))
            stream.seek(0)
            with safe_open(path, framework="numpy"):
                length = int.from_bytes(stream.read(8), "little")
            head: dict[str, t.Any] = json.loads(stream.read(length))
    except (SafetensorError, ValueError) as exc:
        raise ConversionError(f"{path} is not a complete safetensors file ({clipped(str(exc))}): {remedy}") from exc
    except OSError as exc:
        raise ConversionError(f"{path} cannot be read ({exc.strerror or exc}): correct its permissions") from exc
    start = 8 + length
    return {
        name: StoredTensor(path, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0], identity)
        for name, entry in head.items()
        if name != "__metadata__"
    }


def refuse_lfs_pointer(path: str, beginning: str) -> None:
    """Raise ConversionError if the file begins like a pointer of Git LFS."""
    if beginning.startswith(LFS_POINTER):
        raise ConversionError(
            f"{path} is a Git LFS pointer, not the file itself: run git lfs pull in its folder, or download the model"
            " with another tool"
        )


def make_head(tensors: t.Mapping[str, tuple[str, Shape]]) -> tuple[bytes, dict[str, int]]:
    """The header of a file with these tensors (dtype, shape), and the offset of each in the file.

    As in files of the library, tensors with wider elements come first, so that every tensor is aligned. The header is
    padded to whole pages, and tensors of whole pages come before the others, which would unalign all that follow.
    """
    fields: dict[str, t.Any] = {}
    end = 0
    for name in sorted(tensors, key=lambda name: (-ITEM_BYTES[tensors[name][0]], _has_tail(*tensors[name]), name)):
        dtype, shape = tensors[name]
        start, end = end, end + tensor_bytes(dtype, shape)
        fields[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(fields, separators=(",", ":")).encode("utf-8")
    text += b" " * (-(8 + len(text)) % PAGE_BYTES)
    head = len(text).to_bytes(8, "little") + text
    return head, {name: len(head) + int(entry["data_offsets"][0]) for name, entry in fields.items()}


def _has_tail(dtype: str, shape: Shape) -> bool:
    return tensor_bytes(dtype, shape) % PAGE_BYTES != 0


def tensor_bytes(dtype: str, shape: Shape) -> int:
    count = ITEM_BYTES[dtype]
    for size in shape:
        count *= size
    return count


def listed(names: t.Sequence[str]) -> str:
    """The first names, and the number of the others."""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(clipped(name) for name in names[:MAX_LISTED]) + more


def clipped(text: str) -> str:
    """Limit the length of the text: names in damaged files can be of any length."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
