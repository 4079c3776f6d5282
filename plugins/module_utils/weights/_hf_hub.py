# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Downloads the files of a Hugging Face repository and checks each against the hub's digest."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module

from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import CHUNK, ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import (
    Progress,
    human_bytes,
    human_seconds,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import (
    check_names,
    open_regular,
    path_below,
)

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")
DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_ALLOW = ("*.safetensors", "*.json", "tokenizer*", "*.model", "merges.txt", "vocab.txt", "*.jinja")
# The same weights for other frameworks or in other formats, and logs of training runs.
DEFAULT_IGNORE = (
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.gguf",
    "*.ggml",
    "*.h5",
    "*.msgpack",
    "*.onnx*",
    "*.ot",
    "*.tflite",
    "consolidated*",
    "original/*",
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "gguf/*",
    "metal/*",
    "runs/*",
)
OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack")
LIBRARY_FOLDER = ".cache"
# The library names an unfinished file by a hash of its name and the hub's ETag. The ETag may contain slashes, which
# must not lead into a folder of the repository.
LIBRARY_UNFINISHED = re.compile(r"[\w-]{27}=\.")

DISTRUST = "The hub, or a mirror or proxy in between, cannot be trusted: set another endpoint"

MAX_FILE_BYTES = 1 << 63
# Of everything that a server sends except files: a list of files with their digests, a message, a redirect.
MAX_ANSWER_BYTES = 16 << 20
MAX_ANSWER_SECONDS = 60.0
# No more than this comes out of one compressed byte.
MAX_COMPRESSION = 1000
# As for git: fewer bytes per second over this time are a failure.
MIN_RATE = 100
RATE_SECONDS = 60.0
MAX_ATTEMPTS = 6
MAX_DELAY = 30.0
# In seconds. If the hub asks for a longer pause, the module fails instead of waiting.
MAX_RETRY_AFTER = 300.0

# The library reads its environment variables once, when it is imported.
LIBRARY_SETTINGS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # After an interruption Xet downloads a file from the start, plain HTTP resumes.
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_VERBOSITY": "error",
}


_REMEDY = (
    "Downloaded data is kept: run again to continue; if the error remains, check endpoint, ca_bundle and the host's"
    " network (proxy, DNS)"
)


class HubError(ArtifactError):
    """The hub, a cache or a folder does not provide the requested files."""


class Overlong(HubError):
    """A server sends more of a file than the hub announced."""


class Cancelled(Exception):
    """The download of another file failed permanently."""


def load_library(ca_bundle: str | None = None) -> t.Any:
    """Import huggingface_hub with our settings; ImportError if it is not installed."""
    os.environ.update(LIBRARY_SETTINGS)
    if ca_bundle:
        os.environ["SSL_CERT_FILE"] = ca_bundle
    library = import_module("huggingface_hub")
    # Data is passed on as it arrives: a broken connection loses an incomplete chunk, and a slow one delays it.
    constants: t.Any = import_module("huggingface_hub.constants")
    constants.DOWNLOAD_CHUNK_SIZE = None
    http: t.Any = import_module("huggingface_hub.utils._http")

    def client() -> t.Any:
        made = http.default_client_factory()
        made.event_hooks["response"].append(_limit_answer)
        return made

    library.set_client_factory(client)
    return library


def _limit_answer(response: t.Any) -> None:
    """Limit the bytes and the time of everything that is not a file, whose limits are those of _meter()."""
    if response.is_success and "/api/models/" not in response.url.path:
        return
    stream, limit = response.stream, MAX_ANSWER_BYTES
    if "Content-Encoding" in response.headers:
        limit //= MAX_COMPRESSION
    httpx: t.Any = import_module("httpx")

    class Limited(httpx.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> t.Iterator[bytes]:
            end, received = time.monotonic() + MAX_ANSWER_SECONDS, 0
            for block in stream:
                received += len(block)
                if received > limit:
                    raise HubError(f"the response of {response.url.host} has more than {limit} bytes. {DISTRUST}")
                if time.monotonic() > end:
                    raise TimeoutError(f"no complete response within {MAX_ANSWER_SECONDS:g} s")
                yield block

        def close(self) -> None:
            stream.close()

    response.stream = Limited()


@dataclass(frozen=True)
class RepoFile:
    """A file of the repository, with the size in bytes and the digest from the hub."""

    name: str
    size: int
    sha256: str | None
    sha1: str | None

    @property
    def expected(self) -> str:
        return f"sha256 {self.sha256}" if self.sha256 else f"git sha1 {self.sha1}"

    def check(self, path: str) -> tuple[str | None, str]:
        """What is wrong with the file at path, or None; and its SHA-256."""
        size = os.path.getsize(path)
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
        with open_regular(path) as stream:
            for block in iter(lambda: stream.read(CHUNK), b""):
                sha256.update(block)
                if not self.sha256:
                    sha1.update(block)
        if size != self.size:
            return f"expected {self.size} bytes, got {size}", sha256.hexdigest()
        if self.sha256:
            wrong = self.sha256 != sha256.hexdigest()
        else:
            wrong = self.sha1 is not None and self.sha1 != sha1.hexdigest()
        got = f"sha256 {sha256.hexdigest()}" if self.sha256 else f"git sha1 {sha1.hexdigest()}"
        return (f"expected {self.expected}, got {got}" if wrong else None), sha256.hexdigest()


def select(names: t.Iterable[str], allow: t.Sequence[str], ignore: t.Sequence[str]) -> list[str]:
    """The names that match a pattern of allow and none of ignore (`*` also matches `/`, as in huggingface_hub)."""
    return [
        name
        for name in names
        if any(fnmatch(name, pattern) for pattern in allow) and not any(fnmatch(name, pattern) for pattern in ignore)
    ]


def select_weights(where: str, names: t.Sequence[str], allow: t.Sequence[str], ignore: t.Sequence[str]) -> list[str]:
    """select(), with HubError if the repository has no suitable weights or unsafe names."""
    chosen = select(names, allow, ignore)
    if not chosen:
        raise HubError(f"{where} has no file that allow_patterns and ignore_patterns select: {names}")
    check_names(chosen, where, reserved=(LIBRARY_FOLDER,))
    traps = [name for name in chosen if any(LIBRARY_UNFINISHED.match(part) for part in name.split("/"))]
    if traps:
        raise HubError(f"{where} has files named like unfinished downloads of huggingface_hub: {traps}. {DISTRUST}")
    has_safetensors = any(name.endswith(".safetensors") for name in chosen)
    wants_safetensors = bool(select(["model.safetensors"], allow, ignore))
    others = sorted(name for name in names if name.endswith(OTHER_WEIGHTS))
    if wants_safetensors and not has_safetensors:
        only = f", only {', '.join(others)}" if others else ""
        raise HubError(
            f"{where} has no safetensors weights{only}: choose a revision or repository with safetensors, or convert"
            " the weights and set src to the folder"
        )
    return chosen


def retry_delay(exc: BaseException, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None if another attempt cannot help."""
    backoff = min(MAX_DELAY, 2.0**attempt)
    status = status_of(exc)
    if status == 429:
        asked = retry_after(exc)
        return asked if asked <= MAX_RETRY_AFTER else None
    if status is not None:
        return backoff if status >= 500 or status == 416 else None
    # For a broken transfer the library raises OSErrors without an errno; those of the system (no space) have one.
    return backoff if is_transfer_error(exc) else None


def is_transfer_error(exc: BaseException) -> bool:
    names = {kind.__name__ for kind in type(exc).__mro__}
    return "TransportError" in names or ("OSError" in names and getattr(exc, "errno", None) is None)


def status_of(exc: BaseException) -> int | None:
    response = getattr(exc, "response", None)
    return response.status_code if response is not None else None


def place_of(exc: BaseException) -> str:
    """The host that responded, or that was to respond; empty if the error has none."""
    try:
        return _place(str(t.cast(t.Any, getattr(exc, "response", None) or exc).request.url))
    except (AttributeError, RuntimeError):
        return ""


def _place(url: str) -> str:
    """The host of a URL, with a port that is not a usual one."""
    # urlsplit() refuses some endpoints, which is for the library to report.
    found = re.match(r"\w+://(?:[^/?#]*@)?([^/?#]*?)(?::(?:80|443)?)?(?:[/?#]|$)", url)
    return found.group(1).lower() if found else ""


def retry_after(exc: t.Any) -> float:
    try:
        return float(exc.response.headers.get("Retry-After", 1))
    except ValueError:
        # The header may also be a date.
        return 60.0


def root_cause(exc: BaseException) -> BaseException:
    """The hub's own error, which the library wraps in "not found locally either"."""
    while type(exc).__name__ == "LocalEntryNotFoundError" and exc.__cause__ is not None:
        exc = exc.__cause__
    return exc


class Hub:
    """One repository at one revision of a hub."""

    def __init__(self, library: t.Any, repository: str, revision: str, endpoint: str | None, token: str | None) -> None:
        self._library = library
        self._repository = repository
        self._revision = revision
        self._endpoint = (endpoint or DEFAULT_ENDPOINT).rstrip("/")
        self._token = token
        self._stop = threading.Event()
        # Not None, with which the library would look for a token on the host.
        self._access: dict[str, t.Any] = {"endpoint": self._endpoint, "token": token or False}

    @property
    def where(self) -> str:
        return f"{self._repository}@{self._revision} at {self._endpoint}"

    def resolve(self, allow: t.Sequence[str], ignore: t.Sequence[str]) -> tuple[str, list[RepoFile]]:
        """The commit of the revision, and the files that the patterns select."""

        def call() -> t.Any:
            api = self._library.HfApi(**self._access)
            return api.model_info(self._repository, revision=self._revision, files_metadata=True, timeout=60)

        info = self._retrying(lambda: within(MAX_ANSWER_SECONDS, call))
        asked = self._revision if COMMIT.fullmatch(self._revision) else info.sha
        if info.sha != asked or not COMMIT.fullmatch(str(info.sha)):
            raise HubError(f"{self.where} claims to be commit {str(info.sha)[:100]!r}. {DISTRUST}")
        siblings = [sibling for sibling in info.siblings or [] if isinstance(sibling.rfilename, str)]
        chosen = set(select_weights(self.where, [sibling.rfilename for sibling in siblings], allow, ignore))
        files = [self._repo_file(sibling) for sibling in siblings if sibling.rfilename in chosen]
        self._check_sizes(files)
        return info.sha, files

    def _check_sizes(self, files: t.Sequence[RepoFile]) -> None:
        """Refuse files that the library does not download without Xet, which load_library() disables."""
        constants: t.Any = import_module("huggingface_hub.constants")
        limit = constants.MAX_HTTP_DOWNLOAD_SIZE
        large = [f"{file.name} ({human_bytes(file.size)})" for file in files if file.size > limit]
        if large:
            raise HubError(
                f"{self.where} has files of more than {human_bytes(limit)}, which hubs only serve by Xet, not by plain"
                f" HTTP: {', '.join(large)}. Choose a revision or repository with smaller files, or download it with"
                " the hf tool and set src to the folder"
            )

    def _repo_file(self, sibling: t.Any) -> RepoFile:
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        sha1 = None if sha256 else sibling.blob_id
        # The library uses digests in file names.
        is_digest = [
            digest is None or pattern.fullmatch(str(digest)) for digest, pattern in ((sha256, SHA256), (sha1, COMMIT))
        ]
        is_size = isinstance(sibling.size, int) and 0 <= sibling.size < MAX_FILE_BYTES
        if not is_size or not all(is_digest):
            about = f"size {str(sibling.size)[:30]!r} and digest {str(sha256 or sha1)[:100]!r}"
            raise HubError(f"{self.where} reports {about} for the file {sibling.rfilename!r}. {DISTRUST}")
        return RepoFile(sibling.rfilename, sibling.size, sha256, sha1)

    def check_access(self, commit: str, name: str) -> None:
        """Send a HEAD request for one file: the listing of a gated repository is public, its files are not."""
        url = self._library.hf_hub_url(self._repository, name, revision=commit, endpoint=self._endpoint)

        def call() -> t.Any:
            return self._library.get_hf_file_metadata(url, token=self._access["token"])

        self._retrying(lambda: within(MAX_ANSWER_SECONDS, call))

    def fetch(
        self,
        commit: str,
        files: t.Sequence[RepoFile],
        folder: str,
        progress: Progress,
        workers: int,
        cache_dir: str | None,
    ) -> dict[str, str]:
        """Download the files to folder and check each of them; returns their SHA-256 by name."""

        def one(file: RepoFile) -> tuple[str, str]:
            try:
                return file.name, self._fetch_checked(commit, file, folder, progress, cache_dir)
            except BaseException:
                self._stop.set()
                raise

        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(one, file) for file in files]
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        for error in errors:
            if not isinstance(error, Cancelled):
                raise error
        return dict(future.result() for future in futures)

    def _fetch_checked(
        self, commit: str, file: RepoFile, folder: str, progress: Progress, cache_dir: str | None
    ) -> str:
        problem, path = None, path_below(folder, file.name, self.where)
        for _attempt in range(2):
            self._retrying(
                lambda: self._download(commit, file, folder, cache_dir), progress, lambda: received_bytes(folder, file)
            )
            problem, sha256 = file.check(path)
            if problem is None:
                return sha256
            _discard(folder, file)
        raise HubError(
            f"{file.name} of {self.where} was damaged twice: {problem}. It was removed; if this continues, the mirror"
            " or a proxy alters files: set another endpoint"
        )

    def _download(self, commit: str, file: RepoFile, folder: str, cache_dir: str | None) -> None:
        if self._stop.is_set():
            raise Cancelled()
        try:
            self._library.hf_hub_download(
                self._repository,
                file.name,
                revision=commit,
                local_dir=folder,
                cache_dir=cache_dir,
                tqdm_class=_meter(file, self._stop),
                **self._access,
            )
        except Overlong:
            _discard(folder, file)
            raise
        except OSError as exc:
            if status_of(exc) == 416 or "Consistency check failed" in str(exc):
                # The partial file of an earlier run does not belong to this file.
                _discard(folder, file)
            raise

    def _retrying(
        self,
        call: t.Callable[[], t.Any],
        progress: Progress | None = None,
        measure: t.Callable[[], int] = lambda: 0,
    ) -> t.Any:
        """Retry after temporary failures; attempts during which enough data arrived do not count."""
        attempt, seen = 0, measure()
        while True:
            began = time.monotonic()
            try:
                return call()
            except (Cancelled, ArtifactError):
                raise
            except Exception as exc:
                cause = root_cause(exc)
                now = measure()
                attempt = 1 if now > seen + MIN_RATE * (time.monotonic() - began) else attempt + 1
                seen = now
                delay = retry_delay(cause, attempt - 1)
                if delay is None or attempt >= MAX_ATTEMPTS:
                    if getattr(cause, "errno", None) is not None:
                        raise
                    raise HubError(self.describe(cause)) from None
            if progress:
                progress.note(f"waiting {human_seconds(delay)} for the hub")
            self._stop.wait(delay)

    def describe(self, exc: BaseException) -> str:
        """One message with what failed, the hub's own message and the remedy."""
        words = f"cannot fetch {self.where}: {self._words(exc)}"
        return self._without_token(f"{words}. {self._remedy(exc)}")

    def _words(self, exc: BaseException) -> str:
        status, place = status_of(exc), place_of(exc)
        if status is not None and not self._is_answer_of_hub(exc):
            who = "the hub, or a proxy in between," if place == _place(self._endpoint) else f"{place}, not the hub,"
            return f"{who} says {status} {t.cast(t.Any, exc).response.reason_phrase}".rstrip()
        said = getattr(exc, "server_message", None) or str(exc)
        said = re.sub(r"\s+", " ", said).strip().rstrip(".")
        if status is not None:
            return f"the hub says {status}: {said}"
        at = f" ({place})" if place and place not in said else ""
        return f"{type(exc).__name__}: {said}{at}"

    def _is_answer_of_hub(self, exc: BaseException) -> bool:
        """Not of the storage to which the hub redirects, nor a page of a proxy, which may have any of these names."""
        headers = t.cast(t.Any, exc).response.headers
        if "X-Error-Code" in headers:
            return True
        return place_of(exc) == _place(self._endpoint) and "html" not in headers.get("Content-Type", "")

    def _remedy(self, exc: BaseException) -> str:
        kinds = {kind.__name__ for kind in type(exc).__mro__}
        status, place = status_of(exc), place_of(exc)
        if status is not None and self._is_answer_of_hub(exc):
            return self._remedy_of_hub(exc, kinds, status)
        if place not in ("", _place(self._endpoint)):
            return (
                f"The hub redirects downloads to {place}: allow this host to reach it (firewall, proxy, DNS), or set"
                " endpoint to a mirror. Downloaded data is kept"
            )
        if "HFValidationError" in kinds:
            return "Correct repository: it must have the form organisation/name"
        return _REMEDY

    def _remedy_of_hub(self, exc: BaseException, kinds: set[str], status: int) -> str:
        gated = "GatedRepoError" in kinds
        if status in (401, 403) and (gated or "RepositoryNotFoundError" not in kinds):
            return self._access_remedy(gated, status, str(getattr(exc, "server_message", "")))
        if "RevisionNotFoundError" in kinds:
            return "Correct revision: a commit, branch or tag of that repository"
        if "RepositoryNotFoundError" in kinds or status == 404:
            private = "" if self._token else "; if it is private or gated, set token_file (or HF_TOKEN)"
            return f"Correct repository or endpoint{private}"
        if status == 429:
            faster = "" if self._token else "; a token (token_file or HF_TOKEN) raises the limit"
            return f"The hub asks for a pause of {human_seconds(retry_after(exc))}: run again after that{faster}"
        return _REMEDY

    def _access_remedy(self, gated: bool, status: int, said: str) -> str:
        page = f"{self._endpoint}/{self._repository}"
        if not self._token:
            return (
                f"No token was given: accept the model's licence at {page} and set token_file (or HF_TOKEN) to a token"
                " of that account"
            )
        if "fine-grained" in said:
            return "The token works, but its permissions do not: change them in the token's settings as the hub says"
        if "awaiting" in said:
            return f"The token works, and its account has asked for access: wait until it is granted at {page}"
        if gated and status == 403:
            return f"The token works, but its account has no access: accept the model's licence at {page}"
        return "The token was refused: set token_file (or HF_TOKEN) to a valid one with read access"

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "***") if self._token else text


def _meter(file: RepoFile, stop: threading.Event) -> t.Any:
    """A replacement for the library's progress bar, which is its only hook to end a transfer."""
    pace = Pace()

    class Meter:
        def __init__(self, *_args: t.Any, initial: int = 0, **_kwargs: t.Any) -> None:
            self._received = initial

        def __enter__(self) -> t.Any:
            return self

        def __exit__(self, *_exc: t.Any) -> None:
            pass

        def update(self, count: int) -> None:
            """Called before the bytes are written."""
            if stop.is_set():
                raise Cancelled()
            self._received += count
            if self._received > file.size:
                raise Overlong(f"{file.name} has more than the {file.size} bytes that the hub announced. {DISTRUST}")
            pace.advance(count)

    return Meter


class Pace:
    """The speed of one transfer, with its interruptions: TimeoutError if it is too low."""

    def __init__(self) -> None:
        self._since, self._bytes = time.monotonic(), 0

    def advance(self, count: int) -> None:
        self._bytes += count
        elapsed = time.monotonic() - self._since
        if elapsed < RATE_SECONDS:
            return
        if self._bytes < MIN_RATE * elapsed:
            raise TimeoutError(f"less than {MIN_RATE} bytes per second for {elapsed:.0f} s")
        self._since, self._bytes = time.monotonic(), 0


def _local_files(folder: str, file: RepoFile) -> t.Iterator[str]:
    """The file itself and the library's partial download of it, where they exist."""
    path = os.path.join(folder, file.name)
    if os.path.exists(path):
        yield path
    notes = os.path.join(folder, LIBRARY_FOLDER, "huggingface", "download", os.path.dirname(file.name))
    yield from glob.glob(os.path.join(glob.escape(notes), f"*.{file.sha256 or file.sha1}.incomplete"))


def received_bytes(folder: str, file: RepoFile) -> int:
    return sum(os.path.getsize(path) for path in _local_files(folder, file))


def _discard(folder: str, file: RepoFile) -> None:
    """Remove a file and its partial download, so that it is downloaded from the start."""
    for path in list(_local_files(folder, file)):
        os.unlink(path)
