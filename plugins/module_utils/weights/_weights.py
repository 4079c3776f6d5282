# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The weights artifact: a model's files from a hub, from huggingface_hub's cache, or from a folder on the host."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    Draft,
    check_apart,
    check_space,
    difference,
    ensure,
    list_files,
    read_artifact,
    reason_to_make,
    write_json,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import (
    check_names,
    open_regular,
    path_below,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.weights._hf_hub import (
    COMMIT,
    LIBRARY_FOLDER,
    Hub,
    HubError,
    RepoFile,
    received_bytes,
    select_weights,
)

LISTING = "listing.json"
INDEX = "model.safetensors.index.json"
# That of DeepSeek-V3, with 90,000 tensors, has 9 MB.
MAX_INDEX_LENGTH = 100 << 20
MOST_SHOWN = 5


@dataclass(frozen=True)
class Request:
    """The options of hf_snapshot."""

    dest: str
    repository: str | None
    revision: str
    src: str | None
    endpoint: str | None
    offline: bool
    cache_dir: str | None
    allow: t.Sequence[str]
    ignore: t.Sequence[str]
    max_workers: int
    verify: bool
    check_mode: bool


class Source:
    """Where the files come from. prepare() raises errors that can be detected before anything is changed."""

    commit: str | None = None
    downloaded = 0

    def __init__(self, request: Request) -> None:
        self.request = request

    def inputs(self) -> dict[str, t.Any]:
        return {
            "repository": self.request.repository,
            "commit": self.commit,
            "allow_patterns": list(self.request.allow),
            "ignore_patterns": list(self.request.ignore),
        }

    def prepare(self) -> None:
        raise NotImplementedError

    def make(self, draft: Draft) -> dict[str, t.Any]:
        raise NotImplementedError

    def _check_space(self, size: int) -> None:
        present = bytes_in(f"{self.request.dest}.partial")
        check_space(self.request.dest, size - present, f"the weights ({self.request.repository or self.request.src})")


class HubSource(Source):
    """The hub or a mirror of it."""

    def __init__(self, request: Request, library: t.Any, token: str | None) -> None:
        super().__init__(request)
        self._library = library
        self._hub = Hub(library, request.repository or "", request.revision, request.endpoint, token)
        self._files: list[RepoFile] = []
        if COMMIT.fullmatch(request.revision):
            self.commit = request.revision
        else:
            self._resolve()

    def _resolve(self) -> None:
        self.commit, self._files = self._hub.resolve(self.request.allow, self.request.ignore)

    def prepare(self) -> None:
        if not self._files:
            self._resolve()
        self._hub.check_access(str(self.commit), self._files[0].name)
        self._check_space(sum(file.size for file in self._files))

    def make(self, draft: Draft) -> dict[str, t.Any]:
        progress = draft.begin(keep=True)
        write_json(draft.path(LISTING), [file.__dict__ for file in self._files])
        total = sum(file.size for file in self._files)
        present = sum(received_bytes(draft.payload, file) for file in self._files)
        progress.start("download", total=total, done=present)
        with sampled(progress, lambda: sum(received_bytes(draft.payload, file) for file in self._files)):
            draft.digests = self._hub.fetch(
                str(self.commit),
                self._files,
                draft.payload,
                progress,
                self.request.max_workers,
                self.request.cache_dir,
            )
        _check_shards(draft.payload, [file.name for file in self._files], self._hub.where, "choose another revision")
        self.downloaded = total - present
        shutil.rmtree(os.path.join(draft.payload, LIBRARY_FOLDER), ignore_errors=True)
        record = {
            "source": self.request.endpoint or "",
            "revision": self.request.revision,
            "versions": {"huggingface_hub": self._library.__version__},
        }
        return draft.publish(record, progress)


class OfflineSource(Source):
    """The files of an interrupted run or of huggingface_hub's cache, without network access."""

    def __init__(self, request: Request, library: t.Any) -> None:
        super().__init__(request)
        self._library = library
        self.commit = self._known_commit()
        self._folder = ""
        self._files: list[RepoFile] = []

    def _known_commit(self) -> str:
        revision = self.request.revision
        if COMMIT.fullmatch(revision):
            return revision
        recorded = read_artifact(self.request.dest) or {}
        if recorded.get("revision") == revision:
            return str(recorded["inputs"].get("commit"))
        return os.path.basename(self._cached_folder())

    @property
    def _where(self) -> str:
        return f"{self.request.repository}@{self.request.revision}"

    def _cached_folder(self) -> str:
        try:
            folder = self._library.snapshot_download(
                self.request.repository,
                revision=self.commit or self.request.revision,
                cache_dir=self.request.cache_dir,
                local_files_only=True,
                token=False,
            )
        except (OSError, ValueError) as exc:
            raise HubError(
                f"offline is set, but {self._where} is neither at {self.request.dest}, nor in its .partial folder, nor"
                f" in the cache {self.request.cache_dir or 'of huggingface_hub'}: {_one_line(exc)}. Unset offline, or"
                " set src to the folder of a copy"
            ) from exc
        return str(folder)

    def prepare(self) -> None:
        self._files = self._finished_download()
        if self._files:
            self._folder = os.path.join(f"{self.request.dest}.partial", "payload")
            return
        self._folder = self._cached_folder()
        names = select_weights(
            f"the cached {self._where}", list(list_files(self._folder)), self.request.allow, self.request.ignore
        )
        self._files = [_cached_file(self._folder, name) for name in names]
        _check_shards(self._folder, names, self._folder, "complete the folder first")
        self._check_space(sum(file.size for file in self._files))

    def _finished_download(self) -> list[RepoFile]:
        """The files of a .partial folder whose download is complete; empty if there is none."""
        partial = f"{self.request.dest}.partial"
        try:
            with open_regular(os.path.join(partial, LISTING)) as stream:
                files = [RepoFile(**entry) for entry in json.load(stream)]
        except (OSError, ValueError, TypeError, RecursionError):
            return []
        check_names([file.name for file in files], f"{partial}/{LISTING}", reserved=(LIBRARY_FOLDER,))
        payload = os.path.join(partial, "payload")
        return files if all(os.path.isfile(os.path.join(payload, file.name)) for file in files) else []

    def make(self, draft: Draft) -> dict[str, t.Any]:
        progress = draft.begin(keep=True)
        if self._folder != draft.payload:
            _copy_files(draft, self._folder, self._files, progress)
        progress.start("verify", total=len(self._files), unit="files")
        for file in self._files:
            problem, draft.digests[file.name] = file.check(os.path.join(draft.payload, file.name))
            if problem:
                raise HubError(f"{file.name} in {self._folder} is damaged: {problem}; download it without offline")
            progress.advance(1)
        shutil.rmtree(os.path.join(draft.payload, LIBRARY_FOLDER), ignore_errors=True)
        return draft.publish({"source": "offline", "revision": self.request.revision}, progress)


class FolderSource(Source):
    """A folder on the host."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._src = str(request.src)
        if not os.path.isdir(self._src):
            raise HubError(f"the folder {self._src} (src) does not exist on this host")
        sizes = list_files(self._src)
        visible = [name for name in sizes if not name.startswith(LIBRARY_FOLDER + os.sep)]
        names = select_weights(self._src, visible, request.allow, request.ignore)
        self._files = [RepoFile(name, sizes[name], None, None) for name in names]

    def inputs(self) -> dict[str, t.Any]:
        rows = [[file.name, file.size, os.stat(os.path.join(self._src, file.name)).st_mtime_ns] for file in self._files]
        return {"src": self._src, "listing": hashlib.sha256(json.dumps(rows).encode("utf-8")).hexdigest()}

    def prepare(self) -> None:
        _check_shards(self._src, [file.name for file in self._files], self._src, "complete the folder first")
        self._check_space(sum(file.size for file in self._files))

    def make(self, draft: Draft) -> dict[str, t.Any]:
        progress = draft.begin(keep=True)
        _copy_files(draft, self._src, self._files, progress)
        return draft.publish({"source": self._src}, progress)


def _copy_files(draft: Draft, folder: str, files: t.Sequence[RepoFile], progress: t.Any) -> None:
    """Copy the files that an earlier run has not copied; a file with its final name is complete."""
    copy_folder = draft.path("copy")
    os.makedirs(copy_folder, exist_ok=True)

    def measure() -> int:
        return bytes_in(draft.payload) + bytes_in(copy_folder)

    def one(file: RepoFile) -> None:
        target = path_below(draft.payload, file.name, folder)
        if os.path.exists(target) and os.path.getsize(target) == file.size:
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        unfinished = os.path.join(copy_folder, hashlib.sha256(file.name.encode("utf-8")).hexdigest())
        shutil.copyfile(os.path.join(folder, file.name), unfinished)
        os.rename(unfinished, target)

    progress.start("copy", total=sum(file.size for file in files), done=bytes_in(draft.payload))
    with sampled(progress, measure), ThreadPoolExecutor(2) as pool:
        list(pool.map(one, files))


def _cached_file(folder: str, name: str) -> RepoFile:
    """A file of huggingface_hub's cache, which names blobs by the hub's digest."""
    path = os.path.realpath(os.path.join(folder, name))
    digest = os.path.basename(path)
    is_sha256, is_sha1 = re.fullmatch(r"[0-9a-f]{64}", digest), re.fullmatch(r"[0-9a-f]{40}", digest)
    return RepoFile(name, os.path.getsize(path), digest if is_sha256 else None, digest if is_sha1 else None)


def _check_shards(folder: str, names: t.Sequence[str], where: str, remedy: str) -> None:
    """Refuse weights that lack files named in their index. A tokenizer's files may include an index without weights."""
    if INDEX not in names or not any(name.endswith(".safetensors") for name in names):
        return
    try:
        with open(os.path.join(folder, INDEX), encoding="utf-8") as stream:
            # What is cut off is not JSON.
            shards = set(json.loads(stream.read(MAX_INDEX_LENGTH))["weight_map"].values())
        missing = sorted(map(_text, shards - set(names)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise HubError(f"{INDEX} of {where} is not an index of safetensors files: download it again") from exc
    if missing:
        raise HubError(f"{where} is incomplete: {INDEX} names {', '.join(missing[:MOST_SHOWN])}; {remedy}")


def _text(name: t.Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is not a file name")
    return name


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())


class PredictedSource(Source):
    """For check mode on a host without huggingface_hub: only dest is compared."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        recorded = read_artifact(request.dest) or {}
        known = recorded.get("inputs", {}).get("commit") if recorded.get("revision") == request.revision else None
        self.commit = request.revision if COMMIT.fullmatch(request.revision) else known

    def prepare(self) -> None:
        """Nothing can be checked without the hub."""


def snapshot(source: Source) -> dict[str, t.Any]:
    """Make sure that the weights are at dest; returns the result of the module."""
    request, inputs = source.request, source.inputs()
    check_apart({"dest": request.dest}, {"src": request.src or "", "cache_dir": request.cache_dir or ""})
    before = read_artifact(request.dest)
    if reason_to_make(request.dest, inputs, request.verify) is not None:
        source.prepare()
    outcome = ensure(request.dest, inputs, source.make, request.verify, request.check_mode)
    files = (outcome.artifact or {}).get("files", {})
    return {
        "changed": outcome.changed,
        "reason": outcome.sentence,
        "path": request.dest,
        "commit": source.commit,
        "files": sorted(files),
        "total_size": sum(entry["size"] for entry in files.values()),
        "downloaded": source.downloaded,
        "artifact": outcome.artifact,
        "diff": difference(before, request.dest, inputs, outcome.reason),
    }
