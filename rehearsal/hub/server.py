# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small model hub that serves the folders <root>/<organisation>/<name>/ to the real huggingface_hub client.

It serves one revision of each repository (`main`, or its commit), supports gated repositories, and can inject faults:

    server.py --root models --fault '{"kind": "cut", "path": "model.safetensors", "after": 1000000, "times": 1}'

The commit of a repository is a hash of its content, unless a file `.commit` in its folder sets another one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16
# The real hub also keeps everything except small text files in LFS.
LFS_FROM = 64 * 1024
LFS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".model")
COMMIT_FILE = ".commit"
FAULTS = ("cut", "flip", "stall", "unauthorized", "gated", "not_found", "rate_limit", "unavailable")


@dataclass
class Fault:
    """A fault that occurs `times` times for matching paths (-1: always), after `skip` successful requests."""

    kind: str
    path: str = "*"
    method: str = "*"
    times: int = 1
    skip: int = 0
    after: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"unknown fault {self.kind!r}; valid kinds are {', '.join(FAULTS)}")

    def strikes(self, kinds: Iterable[str], method: str, path: str) -> bool:
        if self.kind not in kinds or not self.times:
            return False
        if not fnmatch(method, self.method) or not fnmatch(path, f"*{self.path}"):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1 if self.times > 0 else 0
        return True


@dataclass(frozen=True)
class Blob:
    """A file of a repository, with the digests that the hub reports."""

    name: str
    path: Path
    size: int
    sha256: str
    git_sha1: str

    @property
    def is_lfs(self) -> bool:
        return self.size >= LFS_FROM or self.name.endswith(LFS_SUFFIXES)

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.git_sha1

    def sibling(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"rfilename": self.name, "size": self.size, "blobId": self.git_sha1}
        if self.is_lfs:
            entry["lfs"] = {"size": self.size, "sha256": self.sha256, "pointerSize": 134}
        return entry


def read_blob(root: Path, path: Path) -> Blob:
    size = path.stat().st_size
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(CHUNK), b""):
            sha256.update(block)
            git_sha1.update(block)
    return Blob(path.relative_to(root).as_posix(), path, size, sha256.hexdigest(), git_sha1.hexdigest())


@dataclass
class Repository:
    """A folder whose files are hashed once, on the first request."""

    name: str
    commit: str
    blobs: dict[str, Blob]

    @classmethod
    def read(cls, root: Path, name: str) -> Repository | None:
        folder = root / name
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or ".." in name or not folder.is_dir():
            return None
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COMMIT_FILE)
        blobs = {blob.name: blob for blob in (read_blob(folder, path) for path in files)}
        named = folder / COMMIT_FILE
        if named.is_file():
            commit = named.read_text(encoding="ascii").strip()
        else:
            listing = "".join(f"{blob.name}\0{blob.sha256}\n" for blob in blobs.values())
            commit = hashlib.sha1(listing.encode("utf-8")).hexdigest()
        return cls(name, commit, blobs)


@dataclass
class Hub:
    """The repositories that are served, and the faults to inject."""

    root: Path
    gated: set[str] = field(default_factory=set)
    token: str | None = None
    faults: list[Fault] = field(default_factory=list)
    bytes_per_second: float = 0.0
    log: Callable[[str], None] = lambda _line: None

    def __post_init__(self) -> None:
        self._repositories: dict[str, Repository] = {}
        self._mutex = threading.Lock()
        self.requests: list[tuple[str, str, str | None]] = []

    def repository(self, name: str) -> Repository | None:
        with self._mutex:
            if name not in self._repositories:
                found = Repository.read(self.root, name)
                if found is None:
                    return None
                self._repositories[name] = found
            return self._repositories[name]

    def fault(self, kinds: Iterable[str], method: str, path: str) -> Fault | None:
        kinds = tuple(kinds)
        with self._mutex:
            return next((fault for fault in self.faults if fault.strikes(kinds, method, path)), None)

    def note(self, method: str, path: str, byte_range: str | None) -> None:
        with self._mutex:
            self.requests.append((method, path, byte_range))
        self.log(f"{method} {path} {byte_range or ''}".rstrip())


class Refusal(Exception):
    """An error response, in the same form as the real hub's."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message}
        if code:
            self.headers["X-Error-Code"] = code
        if retry_after is not None:
            self.headers["Retry-After"] = f"{retry_after:g}"


def refusal_of(fault: Fault, repository: str) -> Refusal:
    return {
        "unauthorized": Refusal(401, "", "Invalid credentials in Authorization header"),
        "gated": Refusal(403, "GatedRepo", gated_message(repository)),
        "not_found": Refusal(404, "RepoNotFound", "Repository not found"),
        "rate_limit": Refusal(429, "", "We had to rate limit your IP", fault.seconds),
        "unavailable": Refusal(503, "", "The hub is temporarily unavailable"),
    }[fault.kind]


def gated_message(repository: str) -> str:
    return f"Access to model {repository} is restricted and you are not in the authorized list."


class Handler(BaseHTTPRequestHandler):
    """The three requests that the client sends: model info, headers of a file, and a file or a range of it."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self) -> None:
        self._serve(send_body=True)

    def do_HEAD(self) -> None:
        self._serve(send_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """The hub logs requests itself."""

    def _serve(self, send_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.hub.note(self.command, path, self.headers.get("Range"))
        try:
            self._route(path, send_body)
        except Refusal as refusal:
            body = json.dumps({"error": str(refusal)}).encode("utf-8")
            self._reply(refusal.status, refusal.headers, len(body), "application/json")
            if send_body:
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str, send_body: bool) -> None:
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = info or file
        if match is None:
            raise Refusal(404, "", "Not Found")
        name, revision = match.group(1), match.group(2)
        hub = self.server.hub
        fault = hub.fault(("unauthorized", "gated", "not_found", "rate_limit", "unavailable"), self.command, path)
        if fault:
            raise refusal_of(fault, name)
        self._check_token()
        repository = hub.repository(name)
        if repository is None:
            raise Refusal(404, "RepoNotFound", "Repository not found")
        if revision not in (None, "main", repository.commit):
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if info:
            self._send_info(repository, send_body)
        elif file:
            self._send_file(repository, file.group(3), send_body)

    def _check_token(self) -> None:
        given = self.headers.get("Authorization")
        if given is not None and given != f"Bearer {self.server.hub.token}":
            raise Refusal(401, "", "Invalid credentials in Authorization header")

    def _send_info(self, repository: Repository, send_body: bool) -> None:
        info = {
            "id": repository.name,
            "modelId": repository.name,
            "sha": repository.commit,
            "private": False,
            "gated": "manual" if repository.name in self.server.hub.gated else False,
            "siblings": [blob.sibling() for blob in repository.blobs.values()],
        }
        body = json.dumps(info).encode("utf-8")
        self._reply(200, {}, len(body), "application/json")
        if send_body:
            self.wfile.write(body)

    def _send_file(self, repository: Repository, name: str, send_body: bool) -> None:
        if repository.name in self.server.hub.gated and "Authorization" not in self.headers:
            raise Refusal(401, "GatedRepo", f"Access to model {repository.name} is restricted. Please log in.")
        blob = repository.blobs.get(name)
        if blob is None:
            raise Refusal(404, "EntryNotFound", "Entry not found")
        start = self._range_start(blob)
        headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes"}
        if blob.is_lfs:
            headers.update({"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)})
        if start:
            headers["Content-Range"] = f"bytes {start}-{blob.size - 1}/{blob.size}"
        self._reply(206 if start else 200, headers, blob.size - start, "application/octet-stream")
        if send_body:
            self._send_content(blob, start)

    def _range_start(self, blob: Blob) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match.group(1)) if match else 0
        if start and start >= blob.size:
            raise Refusal(416, "", "Range Not Satisfiable")
        return start

    def _send_content(self, blob: Blob, start: int) -> None:
        fault = self.server.hub.fault(("cut", "flip", "stall"), self.command, urlsplit(self.path).path)
        position = start
        for block in self._blocks(blob, start):
            if fault and position + len(block) > fault.after >= position:
                at = fault.after - position
                if fault.kind == "flip":
                    block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1 :]
                else:
                    self.wfile.write(block[:at])
                    self._break_off(fault)
                    return
            self.wfile.write(block)
            position += len(block)

    def _break_off(self, fault: Fault) -> None:
        self.wfile.flush()
        if fault.kind == "stall":
            time.sleep(fault.seconds)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _blocks(self, blob: Blob, start: int) -> Iterator[bytes]:
        speed = self.server.hub.bytes_per_second
        with blob.path.open("rb") as stream:
            stream.seek(start)
            for block in iter(lambda: stream.read(CHUNK), b""):
                yield block
                if speed:
                    time.sleep(len(block) / speed)

    def _reply(self, status: int, headers: dict[str, str], length: int, kind: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class HubServer(ThreadingHTTPServer):
    """Uses a thread for each connection, because the client downloads several files at once."""

    daemon_threads = True

    def __init__(self, hub: Hub, address: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((address, port), Handler)
        self.hub = hub

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with <organisation>/<name>/ in it")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--gated", action="append", default=[], metavar="REPO", help="repository that needs a token")
    parser.add_argument("--token-file", type=Path, help="file with the token that is accepted")
    parser.add_argument("--fault", action="append", default=[], metavar="JSON", help=f"kind: {', '.join(FAULTS)}")
    parser.add_argument("--bytes-per-second", type=float, default=0.0, help="limit for each connection")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse_arguments()
    hub = Hub(
        root=arguments.root,
        gated=set(arguments.gated),
        token=arguments.token_file.read_text(encoding="utf-8").strip() if arguments.token_file else None,
        faults=[Fault(**json.loads(fault)) for fault in arguments.fault],
        bytes_per_second=arguments.bytes_per_second,
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    with HubServer(hub, arguments.address, arguments.port) as server:
        print(f"serving {arguments.root} at {server.url}", file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
