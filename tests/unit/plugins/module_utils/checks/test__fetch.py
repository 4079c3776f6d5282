# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to servers that do not respond as they should."""

from __future__ import annotations

import threading
import time
import typing as t
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks import _fetch
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._fetch import fetcher


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if "garbage" in self.path:
            self.wfile.write(b"this is not HTTP\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " if "headers" in self.path else b"\r\n"))
        with suppress(OSError):
            for _byte in range(100 if "drip" in self.path else 0):
                self.wfile.write(b"1")
                time.sleep(0.05)
            for _block in range(100 if "endless" in self.path else 0):
                self.wfile.write(b"1" * (1 << 16))

    def log_message(self, format: str, *args: t.Any) -> None:
        """Do not log requests."""


@pytest.fixture(name="url")
def fixture_url() -> t.Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["drip", "drip-headers"])
def test_a_dripping_server_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(_fetch, "TIMEOUTS", 0.5)
    reply = fetcher(1, None, read=True)("GET", f"{url}/{path}")
    assert (reply.status, reply.failure) == (0, "no complete response within 0.5 s")


def test_a_body_is_only_read_on_request_and_not_to_its_end(url: str) -> None:
    assert len(fetcher(5, None, read=True)("GET", f"{url}/endless").body) == _fetch.MAX_BODY_BYTES
    assert fetcher(5, None)("GET", f"{url}/endless") == _fetch.Reply(200)


def test_a_response_that_is_not_http_is_a_failure(url: str) -> None:
    assert "this is not HTTP" in fetcher(5, None)("GET", f"{url}/garbage").failure
