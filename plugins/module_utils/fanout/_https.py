# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Copies an artifact from the host that made it by HTTPS, where hosts do not reach each other's port for torrents.

Both sides need a certificate of the transfer's authority. Only the files of the artifact can be read, by hosts of the
transfer only.
"""

from __future__ import annotations

import http.client
import os
import socket
import socketserver
import ssl
import threading
import time
import typing as t
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import sha256_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import open_appending, open_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._torrent import NAME
from ansible_collections.tritonops.trtllm.plugins.module_utils.fanout._transfer import Peer, Served

FILES_URL = "/files/"
DONE_URL = "/done"
CHUNK = 1 << 18
TIMEOUT = 30.0
RETRY_DELAY = 2.0
Files = t.Mapping[str, t.Mapping[str, t.Any]]


class Rate:
    """A bound in bytes per second for all threads together; 0 for none."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._mutex = threading.Lock()
        self._free = 0.0

    def wait(self, count: int) -> None:
        """Until this many bytes may be sent or received."""
        if not self._rate:
            return
        with self._mutex:
            now = time.monotonic()
            self._free = max(self._free, now) + count / self._rate
            delay = self._free - now
        time.sleep(delay)


class Server:
    """Sends the files of an artifact to the other hosts of the transfer, while it is used as a context."""

    def __init__(
        self, folder: str, files: Files, own: Peer, hosts: t.Iterable[str], certificate: str, authority: str, rate: int
    ) -> None:
        kind = _Listener6 if ":" in own.address else _Listener
        self._listener = kind(tuple(own), _Handler, bind_and_activate=False)
        self._listener.folder = folder
        self._listener.files = files
        self._listener.hosts = frozenset(hosts)
        self._listener.context = _context(ssl.PROTOCOL_TLS_SERVER, certificate, authority)
        self._listener.rate = Rate(rate)

    def __enter__(self) -> Server:
        try:
            self._listener.server_bind()
            self._listener.server_activate()
        except OSError:
            self._listener.server_close()
            raise
        threading.Thread(target=self._listener.serve_forever, name="https", daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    def served(self) -> Served:
        with self._listener.mutex:
            return Served(frozenset(self._listener.complete), self._listener.sending > 0)

    @property
    def sent(self) -> int:
        return self._listener.sent


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    # Threads that wait for a slow host must not delay the end.
    block_on_close = False
    folder: str
    files: Files
    hosts: frozenset[str]
    context: ssl.SSLContext
    rate: Rate

    def __init__(self, *arguments: t.Any, **options: t.Any) -> None:
        super().__init__(*arguments, **options)
        self.mutex = threading.Lock()
        self.complete: set[str] = set()
        self.sending = 0
        self.sent = 0

    def server_bind(self) -> None:
        """That of HTTPServer looks up the name of the address."""
        socketserver.TCPServer.server_bind(self)

    def verify_request(self, _request: t.Any, client_address: t.Any) -> bool:
        return client_address[0] in self.hosts

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        """In the thread of the connection, so that a host that is slow to send its certificate delays nobody."""
        request.settimeout(TIMEOUT)
        with self.context.wrap_socket(request, server_side=True) as connection:
            if NAME in _names(connection.getpeercert()):
                super().finish_request(t.cast(t.Any, connection), client_address)

    def handle_error(self, _request: t.Any, _client_address: t.Any) -> None:
        """A connection that fails is the client's concern, which tries again or reports it."""


class _Listener6(_Listener):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    server: _Listener

    def do_GET(self) -> None:
        name = unquote(self.path[len(FILES_URL) :]) if self.path.startswith(FILES_URL) else ""
        if name not in self.server.files:
            self.send_error(404)
            return
        with self.server.mutex:
            self.server.sending += 1
        try:
            self._send(os.path.join(self.server.folder, name), self.server.files[name]["size"])
        finally:
            with self.server.mutex:
                self.server.sending -= 1

    def do_POST(self) -> None:
        """The host has all files."""
        if self.path != DONE_URL:
            self.send_error(404)
            return
        with self.server.mutex:
            self.server.complete.add(self.client_address[0])
        self.send_response(204)
        self.end_headers()

    def _send(self, path: str, size: int) -> None:
        unit, _equals, start = self.headers.get("Range", "bytes=0-").partition("=")
        if unit != "bytes" or not start.endswith("-") or not start[:-1].isdigit() or int(start[:-1]) > size:
            self.send_error(416)
            return
        first = int(start[:-1])
        with open_regular(path) as stream:
            stream.seek(first)
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("Content-Length", str(size - first))
            self.end_headers()
            while first < size:
                block = stream.read(min(CHUNK, size - first))
                if not block:
                    # The file became shorter. The client sees that the connection ends too early.
                    self.close_connection = True
                    return
                self.server.rate.wait(len(block))
                self.wfile.write(block)
                first += len(block)
                with self.server.mutex:
                    self.server.sent += len(block)

    def log_message(self, *_arguments: t.Any) -> None:
        """Nobody reads the log of a transfer."""


class Client:
    """Gets the files of an artifact from the host that made it. `patience` is how long nothing may arrive."""

    def __init__(
        self, maker: Peer, own: Peer, certificate: str, authority: str, rate: int, patience: float = 30
    ) -> None:
        self._maker, self._own, self._patience = maker, own, patience
        self._context = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, authority)
        self._rate = Rate(rate)

    def fetch(self, folder: str, files: Files, working: str, progress: t.Callable[[int], None]) -> int:
        """Get the files that are missing in the folder, or are not the recorded ones; returns the bytes received.

        `working` is a folder for files that are not complete. A later run goes on with them.
        """
        received = 0
        for number, (name, expected) in enumerate(sorted(files.items())):
            path = os.path.join(folder, name)
            if not _is_same(path, expected):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                received += self._file(name, path, expected, os.path.join(working, str(number)), progress)
            else:
                progress(expected["size"])
        with suppress(OSError, http.client.HTTPException):
            self._request("POST", DONE_URL)
        return received

    def _file(
        self, name: str, path: str, expected: t.Mapping[str, t.Any], part: str, progress: t.Callable[[int], None]
    ) -> int:
        os.makedirs(os.path.dirname(part), mode=0o700, exist_ok=True)
        size, arrived = expected["size"], time.monotonic()
        if _size(part) > size:
            os.unlink(part)
        before = have = max(0, _size(part))
        progress(before)
        while _size(part) < size:
            try:
                self._append(name, part, have, size, progress)
            except (OSError, http.client.HTTPException) as exc:
                if _size(part) > have:
                    arrived = time.monotonic()
                elif time.monotonic() - arrived > self._patience:
                    raise ModuleFailure(
                        f"cannot get {name} from {self._maker.address} port {self._maker.port}: {exc}"
                    ) from exc
                time.sleep(RETRY_DELAY)
            have = max(0, _size(part))
        if sha256_of(part) != expected["sha256"]:
            os.unlink(part)
            raise ModuleFailure(f"{name} from {self._maker.address} is damaged: its SHA-256 is not the recorded one")
        os.replace(part, path)
        return int(size - before)

    def _append(self, name: str, part: str, have: int, size: int, progress: t.Callable[[int], None]) -> None:
        connection, answer = self._request("GET", f"{FILES_URL}{quote(name)}", {"Range": f"bytes={have}-"})
        try:
            with open_appending(part) as stream:
                while have < size:
                    block = answer.read(min(CHUNK, size - have))
                    if not block:
                        raise ConnectionError("the connection ended before the file")
                    self._rate.wait(len(block))
                    stream.write(block)
                    have += len(block)
                    progress(len(block))
        finally:
            connection.close()

    def _request(
        self, method: str, url: str, headers: t.Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _Connection(self._maker, self._own, self._context)
        connection.request(method, url, headers=dict(headers or {}))
        answer = connection.getresponse()
        if answer.status not in (200, 204, 206):
            connection.close()
            raise ConnectionError(f"it answers {answer.status} {answer.reason}")
        return connection, answer


class _Connection(http.client.HTTPConnection):
    """All hosts have certificates with the same name, not with that of the host."""

    def __init__(self, maker: Peer, own: Peer, context: ssl.SSLContext) -> None:
        super().__init__(maker.address, maker.port, timeout=TIMEOUT, source_address=(own.address, 0))
        self._context = context

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=NAME)


def _context(protocol: t.Any, certificate: str, authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    context.load_verify_locations(cadata=authority)
    return context


def _names(certificate: t.Any) -> list[str]:
    return [value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]


def _size(path: str) -> int:
    """-1 if it does not exist, because a file may be empty."""
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return -1


def _is_same(path: str, expected: t.Mapping[str, t.Any]) -> bool:
    try:
        return os.lstat(path).st_size == expected["size"] and sha256_of(path) == expected["sha256"]
    except OSError:
        return False
